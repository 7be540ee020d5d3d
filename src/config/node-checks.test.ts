/**
 * Checks of the configuration against the node.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { Family } from "../proxier/address.ts";
import { checkNodeSettings, type NodeFacts } from "./node-checks.ts";
import { runFile } from "./testing.ts";

function facts(primary: Family, podCIDRs: readonly string[] = [], ...also: readonly Family[]): NodeFacts {
  return { primary, supported: new Set([primary, ...also]), podCIDRs };
}

async function findings(body: string, node: NodeFacts): Promise<readonly string[]> {
  const { config } = await runFile(body);
  return checkNodeSettings(config, node).map(({ fatal, message }) => (fatal ? `fatal: ${message}` : message));
}

const primary = "nodePortAddresses: [primary]\n";

test.each([
  [primary, facts("IPv4"), []],
  [
    primary,
    { ...facts("IPv6"), supported: new Set<Family>(["IPv4"]) },
    ['fatal: no support for primary IP family "IPv6"'],
  ],
  [
    "",
    facts("IPv4"),
    [
      "nodePortAddresses is unset; NodePort connections will be accepted on all local IPs. Consider using `--nodeport-addresses primary`",
    ],
  ],
  ["nodePortAddresses: [10.0.0.0/8]", facts("IPv4"), []],
  [
    "nodePortAddresses: ['::/0', 10.0.0.0/8]\nclusterCIDR: 10.0.0.0/8,fd00::/8",
    facts("IPv4", [], "IPv6"),
    [],
  ],
  [
    "nodePortAddresses: [10.0.0.0/8]\nclusterCIDR: 10.0.0.0/8,fd00::/8",
    facts("IPv4", [], "IPv6"),
    [
      "cluster appears to be dual-stack but nodePortAddresses contains only IPv4 addresses; NodePort connections will be accepted on all local IPv6 IPs",
    ],
  ],
  [
    "nodePortAddresses: [10.0.0.0/8]",
    facts("IPv6", [], "IPv4"),
    [
      "cluster appears to be IPv6-primary but nodePortAddresses contains only IPv4 addresses; NodePort connections will be accepted on all local IPv6 IPs",
    ],
  ],
  [
    `${primary}clusterCIDR: fd00::/8`,
    facts("IPv4"),
    ["fatal: cluster is IPv4-only but clusterCIDR contains only IPv6 addresses"],
  ],
  [
    `${primary}clusterCIDR: fd00::/8`,
    facts("IPv4", [], "IPv6"),
    ["cluster is IPv4-primary but clusterCIDR contains only IPv6 addresses"],
  ],
  [
    `${primary}clusterCIDR: fd00::/8\ndetectLocalMode: NodeCIDR`,
    facts("IPv4", ["fd00::/64"]),
    [
      "cluster is IPv4-only but clusterCIDR contains only IPv6 addresses",
      "fatal: cluster is IPv4-only but node.spec.podCIDRs contains only IPv6 addresses",
    ],
  ],
  [
    primary,
    facts("IPv4", ["fd00::/64"], "IPv6"),
    ["cluster is IPv4-primary but node.spec.podCIDRs contains only IPv6 addresses"],
  ],
  [
    `${primary}ipvs: {excludeCIDRs: [fd00::/8]}\nhealthzBindAddress: "[fd00::1]:1"\nmetricsBindAddress: "[::1]:1"`,
    facts("IPv4"),
    [
      "cluster is IPv4-only but ipvs.excludeCIDRs contains only IPv6 addresses",
      "cluster is IPv4-only but healthzBindAddress contains only IPv6 addresses",
      "cluster is IPv4-only but metricsBindAddress contains only IPv6 addresses",
    ],
  ],
  [`${primary}healthzBindAddress: "[::]:1"`, facts("IPv4"), []],
  [`${primary}healthzBindAddress: "[fd00::1]:1"`, facts("IPv4", [], "IPv6"), []],
])("checkNodeSettings() with %j", async (body, node, expected) => {
  expect(await findings(body, node)).toEqual(expected);
});
