/**
 * The stage of one case: the node in a namespace of its own, everybody who sends to it in a second, all that it may
 * send to in a third.
 *
 * ```
 *   clients ──c0────n0── node ──n1────e0── endpoints
 * ```
 *
 * The node has the case's addresses on n0, the case's sources (other than itself) behind n0, and all the rest of the
 * world behind n1. Clients take in everything that comes to them and send everything to the node, also what is
 * addressed to one of themselves. Endpoints take nothing in and are silent: what is sent to them is read off the
 * node's connection tracking, and no answer of theirs can be mistaken for one of the node's.
 *
 * @module
 */

import type { FlowCase } from "../cases/cases.ts";
import { announceVariant, type Variant } from "../harness/iptables-variant.ts";
import { createNamespaces, type Namespace, removeNamespaces } from "../harness/namespace.ts";
import { ScratchFolder } from "../harness/scratch.ts";

/**
 * Addresses that the node has in addition, first on each device, so that masquerading always changes the source, even
 * that of a packet from one of the case's own addresses.
 */
const EXTRA = { n0: ["100.64.0.1", "fd64::1"], n1: ["100.64.1.1", "fd64::2"] } as const;
const MAC = {
  c0: "02:00:00:00:00:01",
  n0: "02:00:00:00:00:02",
  n1: "02:00:00:00:00:03",
  e0: "02:00:00:00:00:04",
};
/** Next hops, which nobody has: their link-layer addresses are given. */
const HOP = {
  node: ["169.254.0.1", "fe80::1"],
  clients: ["169.254.0.2", "fe80::2"],
  world: ["169.254.0.3", "fe80::3"],
};

const IPV6_AT_ONCE = {
  "net/ipv6/conf/all/accept_dad": 0,
  "net/ipv6/conf/default/accept_dad": 0,
  // No link-local addresses: nothing is to be sent that is not sent by the case.
  "net/ipv6/conf/default/addr_gen_mode": 1,
};

const NODE_SYSCTLS = {
  ...IPV6_AT_ONCE,
  "net/ipv4/ip_forward": 1,
  "net/ipv6/conf/all/forwarding": 1,
  // Sources come in by devices that a route back would not always use.
  "net/ipv4/conf/all/rp_filter": 0,
  "net/ipv4/conf/default/rp_filter": 0,
  // Each REJECT is to be heard of.
  "net/ipv4/icmp_ratemask": 0,
  "net/ipv6/icmp/ratelimit": 0,
};

/** Makes the kernel track connections from the beginning, whatever rules the case is about. */
const TRACKING_RULE = "-A KUBE-IPTABLES-HINT -m conntrack --ctstate NEW";

/** A built stage. Made by `buildStage`. */
export interface Stage extends AsyncDisposable {
  readonly clients: Namespace;
  readonly node: Namespace;
  /** The case's IP family; the clients have no other. */
  readonly family: 4 | 6;
  /** For files that belong to the case. */
  readonly scratch: ScratchFolder;
  /** What commands in the node's namespace need in their environment: a lock of the node's own. */
  readonly env: Readonly<Record<string, string>>;
  /** All addresses of the node, except those of loopback's own range. */
  readonly nodeAddresses: ReadonlySet<string>;
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

/** Whether `address` is one of the node's, so that packets from it come from a process on the node. */
export function isOnNode({ nodeAddresses }: Pick<Stage, "nodeAddresses">, address: string): boolean {
  return nodeAddresses.has(address) || isLoopback(address);
}

function prefixOf(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}

/** Both cables, and everything on the node. */
function nodeLines(
  clients: Namespace,
  endpoints: Namespace,
  own: readonly string[],
  sources: ReadonlySet<string>,
): readonly string[] {
  const [clients4, clients6] = HOP.clients;
  return [
    `link add n0 address ${MAC.n0} type veth peer name c0 address ${MAC.c0} netns ${clients.name}`,
    `link add n1 address ${MAC.n1} type veth peer name e0 address ${MAC.e0} netns ${endpoints.name}`,
    ...EXTRA.n0.map((address) => `addr add ${prefixOf(address)} dev n0`),
    ...own.map((address) => `addr add ${prefixOf(address)} dev n0`),
    ...EXTRA.n1.map((address) => `addr add ${prefixOf(address)} dev n1`),
    "link set lo up",
    "link set n0 up",
    "link set n1 up",
    ...HOP.clients.map((hop) => `neigh add ${hop} lladdr ${MAC.c0} dev n0`),
    ...HOP.world.map((hop) => `neigh add ${hop} lladdr ${MAC.e0} dev n1`),
    ...[...sources].map(
      (ip) => `route add ${prefixOf(ip)} via ${ip.includes(":") ? clients6 : clients4} dev n0 onlink`,
    ),
    `route add 0.0.0.0/0 via ${HOP.world[0]} dev n1 onlink`,
    `route add ::/0 via ${HOP.world[1]} dev n1 onlink`,
  ];
}

/**
 * What comes in by c0 is the clients' own, whatever its destination (table 100). What goes out goes to the node, also
 * to a local address, because the table of local addresses is not asked (its rule is the one with preference 0).
 */
function clientLines(family: 4 | 6): readonly string[] {
  const [all, hop] = family === 4 ? ["0.0.0.0/0", HOP.node[0]] : ["::/0", HOP.node[1]];
  return [
    "link set lo up",
    "link set c0 up",
    `neigh add ${hop} lladdr ${MAC.n0} dev c0`,
    `route add ${all} via ${hop} dev c0 onlink`,
    `route add local ${all} dev lo table 100`,
    "rule add pref 1 iif c0 lookup 100",
    "rule del pref 0",
  ];
}

/** Builds the stage of `flowCase`; what was made is removed when that fails. */
export async function buildStage(flowCase: FlowCase, variant: Variant): Promise<Stage> {
  const namespaces = await createNamespaces(["clients", "node", "endpoints"]);
  const [clients, node, endpoints] = namespaces;
  const scratch = new ScratchFolder("flows");
  const env = { XTABLES_LOCKFILE: scratch.file("xtables.lock") };
  const own = flowCase.node.localIPs.filter((address) => !isLoopback(address));
  const nodeAddresses = new Set([...own, ...EXTRA.n0, ...EXTRA.n1]);
  const remove = async (): Promise<void> => {
    await removeNamespaces(namespaces);
    scratch.remove();
  };
  try {
    const family = flowCase.config.ipFamily === "IPv6" ? 6 : 4;
    const sources = new Set(flowCase.flows.map(({ sourceIP }) => sourceIP));
    for (const source of sources) if (isOnNode({ nodeAddresses }, source)) sources.delete(source);
    node.setSysctls(NODE_SYSCTLS);
    for (const namespace of [clients, endpoints]) namespace.setSysctls(IPV6_AT_ONCE);
    await node.ip(nodeLines(clients, endpoints, own, sources));
    await Promise.all([
      clients.ip(clientLines(family), family),
      endpoints.ip(["link set e0 up"]),
      announceVariant(node, variant, env, [TRACKING_RULE]),
    ]);
    // Only now is it certain that the kernel has connection tracking: it may be a module that the rule brought.
    node.setSysctls({ "net/netfilter/nf_conntrack_events": 1 });
    return { clients, node, family, scratch, env, nodeAddresses, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
