/**
 * Tables from rules: kube-proxy's as they were recorded, and ours of every kind beside the Plan that they were made from.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { renderPlan } from "../iptables/render-plan.ts";
import { everyKindOfRule } from "../iptables/testing-cluster.ts";
import { type Family, families } from "../proxier/address.ts";
import { defaultVerdict, type Frontend, forwards, type ServicePortPlan } from "../proxier/plan.ts";
import { PlannedCluster } from "../proxier/testing.ts";
import { listEntry, listHead } from "./ipvsadm-format.ts";
import { findFrontends, parseServiceName, type RuleTableOptions, sortFrontends } from "./read-iptables.ts";
import { RuleChains } from "./rule-chains.ts";
import type { AffinityMemory } from "./rule-pools.ts";
import { serviceNameText, type VirtualServerRow } from "./service-table.ts";

function golden(name: string): string {
  return readFileSync(new URL(`golden/${name}`, import.meta.url), "utf8");
}

const encoder = new TextEncoder();

function chainsOf(...pieces: readonly string[]): RuleChains {
  const chains = new RuleChains();
  for (const piece of pieces) chains.push(encoder.encode(piece));
  expect(chains.complete).toBe(true);
  return chains;
}

/** The virtual servers in ipvsadm's order. */
function readRuleTable(
  chains: RuleChains,
  family: Family,
  options: RuleTableOptions = {},
): readonly VirtualServerRow[] {
  return sortFrontends(findFrontends(chains, family, options)).map((frontend) => frontend.row());
}

function listOf(virtualServers: readonly VirtualServerRow[]): string {
  const options = { format: "default", names: true } as const;
  const head = listHead({ source: "iptables-nft", virtualServers }, options);
  return head + virtualServers.map((row) => listEntry(row, options)).join("");
}

const recorded = {
  IPv4: {
    nft: "kube-proxy-nft.ipv4.save",
    legacy: "kube-proxy-legacy.ipv4.save",
    list: "golden/kube-proxy.ipv4.list",
  },
  IPv6: {
    nft: "kube-proxy-nft.ipv6.save",
    legacy: "kube-proxy-legacy.ipv6.save",
    list: "golden/kube-proxy.ipv6.list",
  },
};

describe("rules of kube-proxy", () => {
  test.each(families)("make the same %s table in both variants", async (family) => {
    const { nft, legacy, list } = recorded[family];
    const textOf = (name: string): string =>
      listOf(readRuleTable(chainsOf(golden(name)), family, { connections: true }));
    expect(textOf(legacy)).toBe(textOf(nft));
    await expect(textOf(nft)).toMatchFileSnapshot(list);
  });

  test("of ipvs mode make none", () => {
    const chains = chainsOf(golden("kube-proxy-ipvs.ipv4.rules"));
    expect(chains.rules("nat", "KUBE-SERVICES").length).toBeGreaterThan(0);
    expect(readRuleTable(chains, "IPv4")).toEqual([]);
  });
});

/** What a table should say of a frontend. */
function expected(port: ServicePortPlan, frontend: Frontend, family: Family): string {
  const routes = frontend.kind === "ClusterIP" ? port.internal : port.external;
  const verdict = defaultVerdict(routes);
  const address = frontend.address ?? (family === "IPv4" ? "0.0.0.0" : "::");
  const words = [port.protocol, address, frontend.port, port.displayName];
  if (verdict?.kind !== "forward") return [...words, verdict?.kind].join(" ");
  const servers = port[verdict.pool].map(({ address: ip, port: number }) => `${ip} ${number}`);
  const sources = frontend.allowedSources;
  const allowed =
    sources === undefined ? [] : [...sources.ranges.map(({ text }) => text), ...sources.ownAddresses];
  return [...words, port.affinity?.timeoutSeconds, ...allowed.map(bare), ...servers.toSorted()].join(" ");
}

function found(row: VirtualServerRow): string {
  if ("firewallMark" in row || row.service === undefined) return "not of a Service";
  const words = [row.protocol, row.address, row.port, serviceNameText(row.service)];
  if (row.refusal !== undefined) return [...words, row.refusal].join(" ");
  const servers = row.realServers.map(({ address, port }) => `${address} ${port}`);
  const allowed = (row.allowedSources ?? []).map(bare);
  return [...words, row.persistence?.timeoutSeconds, ...allowed, ...servers.toSorted()].join(" ");
}

/** A single address with or without its prefix length. */
function bare(network: string): string {
  return network.replace(/\/(?:32|128)$/, "");
}

describe("our rules", () => {
  const layouts = ["lean", "endpoint-chains"] as const;
  const cases = families.flatMap((family) => layouts.map((layout) => [family, layout] as const));

  test.each(cases)("of every kind, %s, %s, make the table that was planned", (family, layout) => {
    const cluster = new PlannedCluster({ family }).put(...everyKindOfRule(family));
    cluster.planner.take();
    const { plan } = cluster.planner;
    const { text } = renderPlan(plan, { layout, dropInvalid: true });
    const rows = readRuleTable(chainsOf(text), family, { connections: true });
    const ports = [...plan.services.values()].flatMap((service) => service.ports);
    const wanted = ports.flatMap((port) =>
      port.frontends
        .filter(({ kind }) => {
          const routes = kind === "ClusterIP" ? port.internal : port.external;
          return forwards(routes) || defaultVerdict(routes) !== undefined;
        })
        .map((frontend) => expected(port, frontend, family)),
    );
    expect(wanted.length).toBeGreaterThan(300);
    expect(rows.map(found).toSorted()).toEqual(wanted.toSorted());
    const weights = rows.flatMap(({ realServers }) => realServers.map(({ weight }) => weight));
    expect(new Set(weights)).toEqual(new Set([1]));
    expect(new Set(rows.map(({ scheduler }) => scheduler))).toEqual(new Set(["random"]));
  });
});

const head = "*nat\n:KUBE-SERVICES - [0:0]\n";

function rowsOf(...lines: readonly string[]): readonly VirtualServerRow[] {
  return readRuleTable(chainsOf(`${head}${lines.join("\n")}\nCOMMIT\n`), "IPv4", { connections: true });
}

const web =
  '[7:420] -A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m comment --comment "ns/web:http cluster IP" -m tcp --dport 80 -j KUBE-SVC-A';

test("weights are in the proportion of the chances", () => {
  const [row] = rowsOf(
    web,
    "[4:1] -A KUBE-SVC-A -p tcp -m statistic --mode random --probability 0.60000000009 -j DNAT --to-destination 10.0.0.1:80",
    "[2:1] -A KUBE-SVC-A -p tcp -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.0.0.2:80",
    "[1:1] -A KUBE-SVC-A -p tcp -j DNAT --to-destination 10.0.0.3:80",
  );
  expect(row?.totals).toEqual({ connections: 7 });
  expect(row?.realServers.map(({ weight, totals }) => [weight, totals?.connections])).toEqual([
    [3, 4],
    [1, 2],
    [1, 1],
  ]);
});

test("affinity is seen in lists of recent clients and in sets, and what it lets through is counted", () => {
  const [recent] = rowsOf(
    web,
    "[5:1] -A KUBE-SVC-A -p tcp -m recent --update --seconds 600 --reap --name KUBE-SEP-B --mask 255.255.255.255 --rsource -j DNAT --to-destination 10.0.0.1:80",
    "[2:1] -A KUBE-SVC-A -p tcp -m recent --set --name KUBE-SEP-B --mask 255.255.255.255 --rsource -j DNAT --to-destination 10.0.0.1:80",
  );
  expect(recent?.persistence).toEqual({ timeoutSeconds: 600 });
  expect(recent?.realServers).toMatchObject([{ weight: 1, totals: { connections: 7 } }]);
  const [set] = rowsOf(
    web,
    "[0:0] -A KUBE-SVC-A -m set --match-set KUBE-SEP-B src -j KUBE-SEP-B",
    "[0:0] -A KUBE-SVC-A -j KUBE-SEP-B",
    "[3:1] -A KUBE-SEP-B -j SET --add-set KUBE-SEP-B src --exist --timeout 900",
    "[3:1] -A KUBE-SEP-B -p tcp -j DNAT --to-destination 10.0.0.1:80",
  );
  expect(set?.persistence).toEqual({ timeoutSeconds: 900 });
  expect(set?.realServers).toMatchObject([{ weight: 1, totals: { connections: 3 } }]);
});

test("clients that are remembered are asked for by the name of their list", () => {
  const text = `${head}${web}
-A KUBE-SVC-A -p tcp -m recent --set --name KUBE-SEP-B --mask 255.255.255.255 --rsource -j DNAT --to-destination 10.0.0.1:80
COMMIT
`;
  const clientsOf = ({ kind, name }: AffinityMemory) =>
    kind === "list" && name === "KUBE-SEP-B" ? 3 : undefined;
  const [row] = readRuleTable(chainsOf(text), "IPv4", { clientsOf });
  expect(row?.realServers).toMatchObject([{ persistentConnections: 3 }]);
});

test("clients in a set are asked for by the set's name, in each endpoint's chain for its own", () => {
  const text = `${head}${web}
-A KUBE-SVC-A -m set --match-set KUBE-SEP-B src -j KUBE-SEP-B
-A KUBE-SVC-A -m set --match-set KUBE-SEP-C src -j KUBE-SEP-C
-A KUBE-SVC-A -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-B
-A KUBE-SVC-A -j KUBE-SEP-C
-A KUBE-SEP-B -j SET --add-set SET-B src --exist --timeout 900
-A KUBE-SEP-B -p tcp -j DNAT --to-destination 10.0.0.1:80
-A KUBE-SEP-C -j SET --add-set SET-C src --exist --timeout 900
-A KUBE-SEP-C -p tcp -j DNAT --to-destination 10.0.0.2:80
COMMIT
`;
  const sizes = new Map([
    ["set SET-B", 2],
    ["set SET-C", 5],
  ]);
  const clientsOf = ({ kind, name }: AffinityMemory) => sizes.get(`${kind} ${name}`);
  const [row] = readRuleTable(chainsOf(text), "IPv4", { clientsOf });
  expect(row?.realServers).toMatchObject([{ persistentConnections: 2 }, { persistentConnections: 5 }]);
});

test("node ports that listen on some addresses are virtual servers of those", () => {
  const rows = rowsOf(
    "-A KUBE-SERVICES -d 192.0.2.1/32 -j KUBE-NODEPORTS",
    "-A KUBE-SERVICES -d 192.0.2.2/32 -j KUBE-NODEPORTS",
    '-A KUBE-NODEPORTS -p tcp -m comment --comment "ns/web" -m tcp --dport 30080 -j KUBE-EXT-A',
    "-A KUBE-EXT-A -j KUBE-SVC-A",
    "-A KUBE-SVC-A -p tcp -j DNAT --to-destination 10.0.0.1:80",
  );
  expect(rows).toMatchObject(
    ["192.0.2.1", "192.0.2.2"].map((address) => ({ address, port: 30_080, kind: "NodePort" })),
  );
});

test("chains that lead in circles end, and words in a comment are no options", () => {
  const rows = rowsOf(
    web,
    "-A KUBE-SVC-A -j KUBE-SVC-A",
    "-A KUBE-SERVICES -d 10.0.0.0/8 -j KUBE-SERVICES",
    '-A KUBE-SERVICES -m comment --comment "x -d 10.96.0.11/32 -p tcp --dport 81 -j KUBE-SVC-A" -j RETURN',
  );
  expect(rows.map((row) => [found(row), row.realServers])).toEqual([["TCP 10.96.0.10 80 ns/web:http ", []]]);
});

test("a dump that is cut off is not complete, wherever", () => {
  const dump = encoder.encode(`*nat\n${web}\nCOMMIT\n`);
  for (let length = 1; length < dump.length; length++) {
    const chains = new RuleChains();
    chains.push(dump.subarray(0, length));
    expect(chains.complete).toBe(false);
    chains.push(dump.subarray(length));
    expect(chains.complete).toBe(true);
    expect(readRuleTable(chains, "IPv4")).toHaveLength(1);
  }
});

test("parseServiceName() takes names of Services, with and without a port", () => {
  expect(parseServiceName("ns/web:http")).toEqual({ namespace: "ns", name: "web", port: "http" });
  expect(parseServiceName("ns/web")).toEqual({ namespace: "ns", name: "web", port: "" });
  for (const text of ["", "web", "ns/", "/web", "a/b/c", "kubernetes service"]) {
    expect(parseServiceName(text)).toBeUndefined();
  }
});
