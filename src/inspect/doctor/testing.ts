/**
 * Facts for tests: a node on which everything is in order, and for each finding what provokes it.
 *
 * The table of provocations has an entry for every finding: the compiler sees to that.
 *
 * @module
 */
import { type Address, type Cidr, parseAddress, parseCidr } from "../../proxier/address.ts";
import type { FindingId } from "./catalogue.ts";
import type { Facts, LinkFact, RouteFact, RulesFact } from "./facts.ts";
import { type Fact, known, unknown } from "./finding.ts";
import { iptablesExtras, iptablesParts, ipvsParts, nftablesParts, schedulerPart } from "./kernel-parts.ts";
import { RuleSummary } from "./rule-summary.ts";

/** Rules as kubelet and this program leave them. */
export const nodeRules = `*mangle
:KUBE-IPTABLES-HINT - [0:0]
:POSTROUTING ACCEPT [0:0]
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:KUBE-FORWARD - [0:0]
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
COMMIT
`;

/** A canonical address. */
export function addressOf(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new RangeError(`Cannot use ${text}: no address`);
  return address;
}

/** A network. */
export function cidrOf(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new RangeError(`Cannot use ${text}: no network`);
  return cidr;
}

/** A link; `addresses` with their prefixes, as `ip addr` shows them. */
export function link(
  name: string,
  kind: string,
  addresses: readonly string[] = [],
  more: Partial<LinkFact> = {},
): LinkFact {
  return {
    name,
    kind,
    up: true,
    mtu: 1500,
    addresses: addresses.map(cidrOf),
    own: addresses.map((text) => addressOf(text.replace(/\/.*/, ""))),
    rpFilter: known(0),
    underlay: undefined,
    ...more,
  };
}

/** A route. */
export function route(destination: string, device: string, gateway?: string): RouteFact {
  return {
    destination: cidrOf(destination),
    link: device,
    gateway: gateway === undefined ? undefined : addressOf(gateway),
  };
}

/** The four rule sets, from their texts; those left out are empty. */
export function ruleSets(
  texts: Partial<Record<"nft4" | "nft6" | "legacy4" | "legacy6", string>>,
): readonly RulesFact[] {
  const one = (variant: "nft" | "legacy", family: "IPv4" | "IPv6", text = ""): RulesFact => ({
    variant,
    family,
    rules: known(RuleSummary.of(text)),
  });
  return [
    one("nft", "IPv4", texts.nft4),
    one("nft", "IPv6", texts.nft6),
    one("legacy", "IPv4", texts.legacy4),
    one("legacy", "IPv6", texts.legacy6),
  ];
}

const links: readonly LinkFact[] = [
  link("lo", "", ["127.0.0.1/8", "::1/128"], { mtu: 65_536 }),
  link("eth0", "", ["192.0.2.11/24", "2001:db8::11/64"]),
  link("flannel.1", "vxlan", ["10.244.1.0/32"], { mtu: 1450 }),
  link("cni0", "bridge", ["10.244.1.1/24"], { mtu: 1450 }),
  link("veth1", "veth", [], { mtu: 1450 }),
];

const routes: readonly RouteFact[] = [
  route("0.0.0.0/0", "eth0", "192.0.2.1"),
  route("192.0.2.0/24", "eth0"),
  route("10.244.1.0/24", "cni0"),
  route("10.244.2.0/24", "flannel.1", "10.244.2.0"),
];

const allModules = [
  ...iptablesParts,
  ...iptablesExtras,
  ...ipvsParts,
  ...nftablesParts,
  schedulerPart("rr"),
].map(({ module }) => module);

/** A node in iptables mode with flannel, on which nothing is wrong. */
export const healthyNode: Facts = {
  wanted: {
    mode: "iptables",
    schedulers: ["rr"],
    strictARP: false,
    acceptServices: true,
    affinityBackend: "auto",
    localhostNodePorts: true,
    masqueradeMark: 0x4000,
    podNetworks: [cidrOf("10.244.0.0/16")],
    bridge: "",
    syncPeriodMs: 30_000,
  },
  kernelRelease: "6.1.0-18-amd64",
  parts: { loaded: new Set(allModules), config: undefined, installed: new Set(), builtIn: new Set() },
  sysctls: new Map(
    Object.entries({
      "net/ipv4/ip_forward": 1,
      "net/ipv6/conf/all/forwarding": 1,
      "net/ipv4/conf/all/route_localnet": 1,
      "net/ipv4/conf/all/arp_ignore": 0,
      "net/ipv4/conf/all/arp_announce": 0,
      "net/ipv4/tcp_keepalive_time": 600,
      "net/netfilter/nf_conntrack_max": 262_144,
      "net/netfilter/nf_conntrack_count": 1_000,
      "net/netfilter/nf_conntrack_tcp_be_liberal": 0,
      "net/bridge/bridge-nf-call-iptables": 1,
      "net/bridge/bridge-nf-call-ip6tables": 1,
      "net/ipv4/vs/conntrack": 1,
      "net/ipv4/vs/conn_reuse_mode": 0,
      "net/ipv4/vs/expire_nodest_conn": 1,
      "net/ipv4/vs/expire_quiescent_template": 1,
    }).map(([name, value]) => [name, known(value)]),
  ),
  conntrackLosses: known({ dropped: 0, evicted: 0 }),
  rules: ruleSets({ nft4: nodeRules }),
  variant: known("nft"),
  lock: known([]),
  links: known(links),
  bridges: known({ ports: [{ bridge: "cni0", port: "veth1", hairpin: true }], promiscuous: [] }),
  routes: known(routes),
  recent: known({ limit: 100, lists: [{ name: "KUBE-SEP-AAAAAAAAAAAAAAAA", clients: 12 }] }),
  ipvs: known(undefined),
  sets: known([]),
  nftTables: known(["ip nat", "ip filter", "ip mangle"]),
  proxies: known([]),
  daemon: known({
    healthy: true,
    mode: "iptables",
    families: [{ family: "IPv4", healthy: true, sinceSyncMs: 60_000, oldestPendingMs: 0 }],
    leftOut: 0,
  }),
  objects: known({
    externalAddresses: [{ address: addressOf("203.0.113.7"), service: "default/web" }],
    latestTriggerMs: 1_000_000,
    nowMs: 2_000_000,
  }),
  drift: [
    { family: "IPv4", drift: known({ differences: [] }) },
    { family: "IPv6", drift: known({ differences: [] }) },
  ],
};

/** The same node in ipvs mode. */
export const healthyIpvsNode: Facts = {
  ...healthyNode,
  wanted: { ...healthyNode.wanted, mode: "ipvs", localhostNodePorts: false },
  sysctls: new Map([...healthyNode.sysctls, ["net/ipv4/conf/all/route_localnet", known(0)]]),
  links: known([...links, link("kube-ipvs0", "dummy", ["10.96.0.10/32"], { up: false })]),
  ipvs: known({ servers: 12, tcpTimeout: 900 }),
  sets: known(["KUBE-CLUSTER-IP"]),
  daemon: known({
    healthy: true,
    mode: "ipvs",
    families: [{ family: "IPv4", healthy: true, sinceSyncMs: 60_000, oldestPendingMs: 0 }],
    leftOut: 0,
  }),
};

/** Facts with some replaced. */
export type Change = (facts: Facts) => Facts;

/** Sysctls replaced, by name below /proc/sys. */
export function withSysctls(values: Readonly<Record<string, number | Fact<number>>>): Change {
  return (facts) => ({
    ...facts,
    sysctls: new Map([
      ...facts.sysctls,
      ...Object.entries(values).map(
        ([name, value]) => [name, typeof value === "number" ? known(value) : value] as const,
      ),
    ]),
  });
}

/** Rules of the variant in use replaced. */
export function withRules(edit: (text: string) => string): Change {
  return (facts) => ({ ...facts, rules: ruleSets({ nft4: edit(nodeRules) }) });
}

/** A link replaced, or added. */
export function withLink(changed: LinkFact): Change {
  return (facts) => ({
    ...facts,
    links: facts.links.known
      ? known([...facts.links.value.filter(({ name }) => name !== changed.name), changed])
      : facts.links,
  });
}

/** What provokes a finding: on which node, and what is wrong there. */
export interface Provocation {
  readonly node: Facts;
  readonly level: "error" | "warning";
  readonly change: Change;
}

const wrong = (change: Change, node: Facts = healthyNode): Provocation => ({ node, level: "error", change });
const odd = (change: Change, node: Facts = healthyNode): Provocation => ({ node, level: "warning", change });
const lacking =
  (module: string): Change =>
  (facts) => ({
    ...facts,
    parts: { ...facts.parts, loaded: new Set([...facts.parts.loaded].filter((name) => name !== module)) },
  });

/** One for every finding. */
export const provocations: Readonly<Record<FindingId, Provocation>> = {
  "iptables-features": wrong(lacking("xt_statistic")),
  "ipvs-features": wrong(lacking("ip_vs_rr"), healthyIpvsNode),
  "nftables-features": wrong(lacking("nf_tables")),
  "ip-forward": wrong(withSysctls({ "net/ipv4/ip_forward": 0 })),
  "ipv6-forward": wrong(withSysctls({ "net/ipv6/conf/all/forwarding": 0 })),
  "route-localnet": odd(withSysctls({ "net/ipv4/conf/all/route_localnet": 1 }), healthyIpvsNode),
  "conntrack-liberal": odd(withRules((text) => text.replace(/^.*--ctstate INVALID.*\n/m, ""))),
  "ipvs-conntrack": wrong(withSysctls({ "net/ipv4/vs/conntrack": 0 }), healthyIpvsNode),
  "ipvs-conn-reuse": wrong(withSysctls({ "net/ipv4/vs/conn_reuse_mode": 1 }), {
    ...healthyIpvsNode,
    kernelRelease: "5.4.0-150-generic",
    links: known([]),
  }),
  "ipvs-expire": wrong(withSysctls({ "net/ipv4/vs/expire_quiescent_template": 0 }), healthyIpvsNode),
  "ipvs-timeouts": odd(withSysctls({ "net/ipv4/tcp_keepalive_time": 7200 }), healthyIpvsNode),
  "strict-arp": wrong((facts) => facts, {
    ...healthyIpvsNode,
    wanted: { ...healthyIpvsNode.wanted, strictARP: true },
  }),
  "load-balancer-subnet": wrong((facts) => {
    const externalAddresses = [{ address: addressOf("192.0.2.200"), service: "default/web" }];
    return facts.objects.known
      ? { ...facts, objects: known({ ...facts.objects.value, externalAddresses }) }
      : facts;
  }, healthyIpvsNode),
  "conntrack-fill": wrong(withSysctls({ "net/netfilter/nf_conntrack_count": 250_000 })),
  "conntrack-dropped": odd((facts) => ({ ...facts, conntrackLosses: known({ dropped: 3, evicted: 0 }) })),
  "iptables-variants": wrong((facts) => ({
    ...facts,
    rules: ruleSets({ nft4: nodeRules, legacy4: nodeRules.replace(/^:KUBE-IPTABLES-HINT.*\n/m, "") }),
  })),
  "kubelet-hint": wrong((facts) => ({ ...facts, variant: known("legacy") })),
  "xtables-lock": odd((facts) => ({ ...facts, lock: known([{ pid: 4242, name: "iptables-save" }]) })),
  "bridge-nf-call": wrong(withSysctls({ "net/bridge/bridge-nf-call-iptables": 0 })),
  hairpin: odd((facts) => ({
    ...facts,
    bridges: known({ ports: [{ bridge: "cni0", port: "veth1", hairpin: false }], promiscuous: [] }),
  })),
  "recent-list": wrong((facts) => ({
    ...facts,
    recent: known({ limit: 100, lists: [{ name: "KUBE-SEP-AAAAAAAAAAAAAAAA", clients: 100 }] }),
  })),
  "leftover-mode": odd((facts) => ({ ...facts, sets: known(["KUBE-CLUSTER-IP"]) })),
  "leftover-kube-proxy": wrong((facts) => ({ ...facts, nftTables: known(["ip kube-proxy"]) })),
  "second-proxy": wrong((facts) => ({ ...facts, proxies: known(["kube-proxy"]) })),
  "forward-policy": odd(withRules((text) => text.replace(":FORWARD ACCEPT", ":FORWARD DROP"))),
  "input-policy": wrong(
    withRules((text) => text.replace(":INPUT ACCEPT", ":INPUT DROP")),
    {
      ...healthyIpvsNode,
      wanted: { ...healthyIpvsNode.wanted, acceptServices: false },
    },
  ),
  daemon: wrong((facts) => ({ ...facts, daemon: unknown("connect ECONNREFUSED") })),
  "sync-lag": wrong((facts) => ({
    ...facts,
    daemon: known({
      healthy: false,
      mode: "iptables",
      families: [{ family: "IPv4", healthy: false, sinceSyncMs: 200_000, oldestPendingMs: 90_000 }],
      leftOut: 0,
    }),
  })),
  "left-out-services": wrong((facts) =>
    facts.daemon.known ? { ...facts, daemon: known({ ...facts.daemon.value, leftOut: 2 }) } : facts,
  ),
  "clock-skew": odd((facts) =>
    facts.objects.known
      ? { ...facts, objects: known({ ...facts.objects.value, latestTriggerMs: 2_060_000 }) }
      : facts,
  ),
  drift: wrong((facts) => ({
    ...facts,
    drift: [{ family: "IPv4", drift: known({ differences: ["nat chain KUBE-SVC-AAAAAAAAAAAAAAAA"] }) }],
  })),
  "pod-network": wrong(withLink(link("flannel.1", "vxlan", [], { mtu: 1450, up: false }))),
  "tunnel-mtu": wrong(withLink(link("flannel.1", "vxlan", [], { mtu: 1500 }))),
  "vxlan-checksum": odd((facts) => ({ ...facts, kernelRelease: "5.4.0-150-generic" }), {
    ...healthyNode,
    kernelRelease: "5.10.0",
  }),
  "cni-masquerade": odd(
    withRules((text) =>
      text.replace(
        /(?=COMMIT\n$)/,
        [
          "-A CNI-0123456789abcdef01234567 -d 10.244.1.0/24 -j ACCEPT",
          '-A CNI-0123456789abcdef01234567 ! -d 224.0.0.0/4 -m comment --comment "name: pods" -j MASQUERADE',
          "",
        ].join("\n"),
      ),
    ),
  ),
  "mark-overlap": odd(
    withRules((text) =>
      text.replace("COMMIT\n*filter", "-A POSTROUTING -j MARK --set-xmark 0x4000/0xffff\nCOMMIT\n*filter"),
    ),
  ),
  "rp-filter": odd(withLink(link("flannel.1", "vxlan", [], { mtu: 1450, rpFilter: known(1) }))),
};
