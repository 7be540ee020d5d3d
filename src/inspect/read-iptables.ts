/**
 * The table of Services that iptables rules make, whoever wrote them: this program, in either layout, or kube-proxy.
 *
 * Pure. Follows the chains from where packets enter them: the chain of Services, its branches if it is a tree, that of
 * node ports; and the chains of the filter table that refuse what has no endpoint. Rules of ipvs mode, which stand in
 * chains of the same names, name no Service and make no virtual server.
 *
 * @module
 */
import { sortRealServers, sortVirtualServers } from "../ipvs/netlink/order.ts";
import type { Protocol } from "../ipvs/netlink/virtual-server.ts";
import type { IpFamily } from "../netlink/ip-address.ts";
import type { FlowTarget } from "./flow-tally.ts";
import type { RuleChains, RuleTable } from "./rule-chains.ts";
import type { RuleLine } from "./rule-line.ts";
import { type AffinityMemory, type Pool, type PoolServer, RulePools } from "./rule-pools.ts";
import type { FrontendKind, RealServerRow, Refusal, ServiceName, VirtualServerRow } from "./service-table.ts";

/** What was found at an address, port and protocol. */
export class RuleFrontend implements FlowTarget {
  readonly family: IpFamily;
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
  service: ServiceName | undefined;
  kind: FrontendKind | undefined;
  /** The chain that its connections go into. */
  chain: string | undefined;
  refusal: Refusal | undefined;
  /** Connections that its rules have seen. */
  connections = 0;
  readonly #rowOf: (frontend: RuleFrontend) => VirtualServerRow;

  constructor(
    key: FlowTarget & { readonly protocol: Protocol },
    rowOf: (frontend: RuleFrontend) => VirtualServerRow,
  ) {
    this.family = key.family;
    this.protocol = key.protocol;
    this.address = key.address;
    this.port = key.port;
    this.#rowOf = rowOf;
  }

  /** It as a row: made anew each time, because its real servers are most of a table. */
  row(): VirtualServerRow {
    return this.#rowOf(this);
  }
}

/** What the chain that a rule stands in says of it. */
interface Place {
  /** The address of the node that rules of a chain of node ports are for. */
  readonly local?: string;
  readonly kind?: FrontendKind;
}

/** The address that stands for all of the node's. */
export const anyAddress: Readonly<Record<IpFamily, string>> = { IPv4: "0.0.0.0", IPv6: "::" };

/** The name that iptables' way to choose goes by in the column of schedulers. */
export const randomScheduler = "random";

const protocols: Readonly<Record<string, Protocol>> = { tcp: "TCP", udp: "UDP", sctp: "SCTP" };

const deepest = 16;

/** How to present what was read. */
export interface RuleTableOptions {
  /** Leave servers in the order of the rules; false by default. */
  readonly unsorted?: boolean;
  /** Whether connections are going to be counted (`flow-tally.ts`): then their numbers begin at 0. */
  readonly connections?: boolean;
  /** What the rules have counted; true by default. */
  readonly totals?: boolean;
  /** How many clients are remembered. Absent: not asked for. */
  readonly clientsOf?: (memory: AffinityMemory) => number | undefined;
}

/** The virtual servers of one family's rules, in the order of the rules. */
export function findFrontends(
  chains: RuleChains,
  family: IpFamily,
  options: RuleTableOptions = {},
): readonly RuleFrontend[] {
  return new RuleReader(chains, family, options).frontends();
}

/** Those of all families in ipvsadm's order. */
export function sortFrontends(frontends: readonly RuleFrontend[]): readonly RuleFrontend[] {
  // Ordered as a whole: protocols of the one family do not come between those of the other.
  return sortVirtualServers(frontends, (frontend) => frontend);
}

class RuleReader {
  readonly #chains: RuleChains;
  readonly #family: IpFamily;
  readonly #options: RuleTableOptions;
  readonly #pools: RulePools;
  readonly #frontends = new Map<string, RuleFrontend>();

  constructor(chains: RuleChains, family: IpFamily, options: RuleTableOptions) {
    this.#chains = chains;
    this.#family = family;
    this.#options = options;
    this.#pools = new RulePools(chains);
  }

  frontends(): readonly RuleFrontend[] {
    this.#visit("nat", "KUBE-SERVICES", {}, 0);
    this.#visit("filter", "KUBE-SERVICES", { kind: "ClusterIP" }, 0);
    this.#visit("filter", "KUBE-EXTERNAL-SERVICES", {}, 0);
    return [...this.#frontends.values()];
  }

  #visit(table: RuleTable, chain: string, place: Place, depth: number): void {
    if (depth > deepest) return;
    for (const rule of this.#chains.rules(table, chain)) {
      if (rule.port !== undefined) this.#take(table, rule, place);
      else if (rule.target === "KUBE-NODEPORTS") {
        const local = hostOf(rule.destination) ?? this.#any;
        if (table === "nat") this.#visit(table, rule.target, { local, kind: "NodePort" }, depth + 1);
      } else if (rule.target.startsWith("KUBE-")) {
        this.#visit(table, rule.target, place, depth + 1);
      }
    }
  }

  get #any(): string {
    return anyAddress[this.#family];
  }

  #take(table: RuleTable, rule: RuleLine, place: Place): void {
    const protocol = protocols[rule.protocol ?? ""];
    // kube-proxy counts loopback's connections to a node port in a rule of its own.
    const address = place.local ?? hostOf(rule.destination) ?? this.#any;
    if (protocol === undefined || rule.port === undefined) return;
    const leads = table === "nat" && rule.target.startsWith("KUBE-");
    const refusal = refusalOf(rule);
    if (!leads && refusal === undefined) return;
    const frontend = this.#frontend(protocol, address, rule.port);
    const named = describe(rule.comment ?? "");
    frontend.service ??= named.service;
    frontend.kind ??= named.kind ?? place.kind ?? (address === this.#any ? "NodePort" : undefined);
    frontend.refusal ??= refusal;
    frontend.connections += rule.packets;
    if (leads) frontend.chain ??= rule.target;
  }

  #frontend(protocol: Protocol, address: string, port: number): RuleFrontend {
    const key = `${protocol} ${address} ${port}`;
    const known = this.#frontends.get(key);
    if (known !== undefined) return known;
    const frontend = new RuleFrontend({ family: this.#family, protocol, address, port }, this.#rowOf);
    this.#frontends.set(key, frontend);
    return frontend;
  }

  readonly #rowOf = (frontend: RuleFrontend): VirtualServerRow => {
    const { family, protocol, address, port, service, kind, chain, refusal, connections } = frontend;
    const pool = chain === undefined ? undefined : this.#pools.pool(chain);
    const realServers = pool === undefined ? [] : this.#realServers(pool);
    // Where nothing is said of refusing, nothing answers: the packet goes on to the address itself.
    const refused = realServers.length > 0 ? undefined : refusal;
    const allowed = pool?.allowedSources;
    return {
      protocol,
      address,
      port,
      scheduler: randomScheduler,
      family,
      ...(pool?.affinitySeconds === undefined
        ? {}
        : { persistence: { timeoutSeconds: pool.affinitySeconds } }),
      ...(service === undefined ? {} : { service }),
      ...(kind === undefined ? {} : { kind }),
      ...(refused === undefined ? {} : { refusal: refused }),
      ...(allowed === undefined ? {} : { allowedSources: allowed }),
      ...(this.#options.totals === false ? {} : { totals: { connections } }),
      realServers,
    };
  };

  #realServers({ servers, isAscending = false }: Pool): readonly RealServerRow[] {
    const weights = weightsOf(servers);
    const rows = servers.map((server, index) => this.#realServer(server, weights[index] ?? 1));
    return isAscending || this.#options.unsorted === true ? rows : sortRealServers(rows);
  }

  #realServer({ address, port, connections, memory }: PoolServer, weight: number): RealServerRow {
    const { connections: counted = false, totals = true, clientsOf } = this.#options;
    const row: Writable<RealServerRow> = { address, port, forwarding: "masquerade", weight };
    if (counted) {
      row.activeConnections = 0;
      row.inactiveConnections = 0;
    }
    // A server without affinity has nobody bound to it.
    const clients = memory === undefined ? 0 : clientsOf?.(memory);
    if (clientsOf !== undefined && clients !== undefined) row.persistentConnections = clients;
    if (totals) row.totals = { connections };
    return row;
  }
}

type Writable<Row> = { -readonly [Field in keyof Row]: Row[Field] };

/** Whole numbers in the proportion of the shares; all 1 where the shares are equal, as far as iptables can say so. */
function weightsOf(servers: readonly PoolServer[]): readonly number[] {
  let least = 1;
  for (const { share } of servers) if (share > 0 && share < least) least = share;
  return servers.map(({ share }) => (share > 0 ? Math.max(1, Math.round(share / least)) : 0));
}

function refusalOf({ target, comment = "" }: RuleLine): Refusal | undefined {
  if (!/ has no (?:local )?endpoints$/.test(comment)) return undefined;
  if (target === "REJECT") return "reject";
  return target === "DROP" ? "drop" : undefined;
}

/** The address of a network of one; undefined for a wider one. */
function hostOf(network: string | undefined): string | undefined {
  if (network === undefined) return undefined;
  const slash = network.indexOf("/");
  if (slash < 0) return network;
  const address = network.slice(0, slash);
  return network.slice(slash) === (address.includes(":") ? "/128" : "/32") ? address : undefined;
}

const kinds: Readonly<Record<string, FrontendKind>> = {
  "cluster IP": "ClusterIP",
  "external IP": "ExternalIP",
  "loadbalancer IP": "LoadBalancer",
};

/** What the comment of a rule says: `namespace/name:port`, and what kind of address. */
function describe(comment: string): {
  readonly service: ServiceName | undefined;
  readonly kind: FrontendKind | undefined;
} {
  const blank = comment.indexOf(" ");
  const words = blank < 0 ? "" : comment.slice(blank + 1);
  return { service: parseServiceName(blank < 0 ? comment : comment.slice(0, blank)), kind: kinds[words] };
}

/** `namespace/name` or `namespace/name:port`; undefined for anything else. */
export function parseServiceName(text: string): ServiceName | undefined {
  const [, namespace, name, port = ""] = /^([^/:\s]+)\/([^/:\s]+)(?::(\S+))?$/.exec(text) ?? [];
  return namespace === undefined || name === undefined ? undefined : { namespace, name, port };
}
