/**
 * Ipvs mode in a network namespace of a test: the product's backend with doors that lead there.
 *
 * Sockets are opened by this process with its thread in the namespace and stay in it; programs are run in it.
 *
 * @module
 */

import { IptablesBackend } from "../../src/iptables/backend.ts";
import type { IptablesKernel } from "../../src/iptables/kernel.ts";
import { removeLocalhostRules } from "../../src/iptables/remove-part.ts";
import { localhostRules } from "../../src/iptables/rule-part.ts";
import { DumpReader } from "../../src/iptables/tools.ts";
import { IpvsBackend } from "../../src/ipvs/backend.ts";
import type { IpvsDoors, IpvsOptions } from "../../src/ipvs/backend-options.ts";
import { localhostRuleSettings, WithLocalhost } from "../../src/ipvs/localhost-node-ports.ts";
import { openIpvs } from "../../src/ipvs/netlink/open.ts";
import { RuleKeeper } from "../../src/ipvs/rule-keeper.ts";
import type { RuleKernel } from "../../src/ipvs/rule-kernel.ts";
import type { RuleSettings } from "../../src/ipvs/rule-settings.ts";
import { ipvsSysctls } from "../../src/ipvs/sysctls.ts";
import { openServerTable } from "../../src/ipvs/table-file.ts";
import { openNetlink } from "../../src/netlink/socket.ts";
import type { Family } from "../../src/proxier/address.ts";
import type { Backend } from "../../src/proxier/backend.ts";
import type { NodePlan } from "../../src/proxier/plan.ts";
import type { Variant } from "../harness/iptables-variant.ts";
import type { Namespace } from "../harness/namespace.ts";

/** A node's namespace, and what commands in it need in their environment. */
export interface NamespaceHost {
  readonly node: Namespace;
  readonly variant: Variant;
  readonly env: Readonly<Record<string, string>>;
}

/** Rules as on a kernel that has everything. */
export const fullRules: RuleSettings = {
  hairpin: "compare",
  dropInvalid: true,
  acceptServices: true,
  answerPing: true,
};

/** Iptables of a namespace. */
export function ruleKernelOf({ node, variant, env }: NamespaceHost, family: Family): RuleKernel {
  const tool = family === "IPv4" ? "iptables" : "ip6tables";
  return {
    save: async (push) => {
      push((await node.exec([`${tool}-${variant}-save`], { env })).stdout);
    },
    write: async (chunks) => {
      const input = [...chunks].join("");
      await node.exec([`${tool}-${variant}-restore`, "-w", "5", "--noflush"], { env, input });
    },
    hasChain: async (table, chain) => {
      const argv = [`${tool}-${variant}`, "-t", table, "-S", chain];
      return (await node.exec(argv, { env, anyStatus: true })).status === 0;
    },
    close: () => Promise.resolve(),
  };
}

/** Doors of a namespace, with the switches of its kernel set. */
export function openDoors(host: NamespaceHost, family: Family, rules: RuleSettings): IpvsDoors {
  const doors = host.node.enter(() => ({
    ipvs: openIpvs(),
    sets: openNetlink("netfilter"),
    route: openNetlink("route"),
    table: openServerTable(),
  }));
  host.node.setSysctls(
    Object.fromEntries(ipvsSysctls([6, 1], false).map(({ name, value }) => [name, value])),
  );
  return { ...doors, rules: new RuleKeeper(ruleKernelOf(host, family), rules) };
}

/** The same programs, for rules of iptables mode that serve node ports on localhost. */
function localhostKernelOf({ node, variant, env }: NamespaceHost): IptablesKernel {
  const kernel = ruleKernelOf({ node, variant, env }, "IPv4");
  return {
    ...kernel,
    rulesPerCommit: Number.POSITIVE_INFINITY,
    read: async () => {
      const reader = new DumpReader("IPv4", localhostRules);
      await kernel.save((text) => reader.push(text));
      return reader.finish();
    },
  };
}

/** The backend of a namespace, with node ports on localhost where the node has them. */
export function openWholeBackend(
  host: NamespaceHost,
  node: NodePlan,
  options: Partial<IpvsOptions>,
): Backend {
  const backend = openBackend(host, node, options);
  if (node.family === "IPv6") return backend;
  if (node.localhostNodePorts) host.node.setSysctls({ "net/ipv4/conf/all/route_localnet": 1 });
  const kernel = localhostKernelOf(host);
  return new WithLocalhost(backend, {
    backend: new IptablesBackend(node, localhostRuleSettings, kernel),
    remove: () => removeLocalhostRules(kernel),
  });
}

/** The backend of a namespace. */
export function openBackend(
  host: NamespaceHost,
  node: NodePlan,
  options: Partial<IpvsOptions> = {},
  rules: RuleSettings = fullRules,
): IpvsBackend {
  return new IpvsBackend(node, openDoors(host, node.family, rules), {
    nodeName: "node",
    scheduler: "rr",
    reserved: { node: [], pods: [] },
    excludeCIDRs: [],
    drainMs: 900_000,
    hairpinSet: rules.hairpin === "set",
    clock: { now: () => performance.now(), after: () => () => undefined },
    onProblems: () => {},
    ...options,
  });
}
