/**
 * From the plan of one Service to what ipvs mode keeps for it: virtual servers, entries of sets, bound addresses.
 *
 * A translation: every decision stands in the plan. What is decided here is only how the kernel is told.
 *
 * - A frontend whose packets are forwarded, whoever sends them, has a virtual server: one per address, for a NodePort one
 *   per address of the node that takes node ports.
 * - Where pods and the node itself may go elsewhere than everybody else, a second virtual server of the Service port, by
 *   firewall mark, has their endpoints. The sets and the fixed rules put the mark on their packets.
 * - A frontend that forwards nothing has no virtual server, and its packets are refused by the sets.
 *
 * @module
 */
import { entryText, normalEntry, type SetEntry } from "../netlink/ipset-entry.ts";
import type { Address, Family } from "../proxier/address.ts";
import {
  defaultVerdict,
  type Frontend,
  forwards,
  type Pool,
  type Route,
  type ServicePlan,
  type ServicePortPlan,
  type Verdict,
} from "../proxier/plan.ts";
import { hash } from "./marks.ts";
import {
  type Protocol,
  protocolNumbers,
  type VirtualServer,
  virtualServerName,
} from "./netlink/virtual-server.ts";
import { markedSettings, schedulerSettings } from "./scheduler-settings.ts";
import type { SetRole } from "./sets.ts";

/** A real server as it is wanted. */
export interface WantedRealServer {
  readonly address: Address;
  readonly port: number;
  /** `ip:port` or `[ip]:port`. */
  readonly target: string;
  readonly weight: number;
}

/** A virtual server as it is wanted. */
export interface WantedServer {
  /** `TCP 10.96.0.10:80`, `FWM 1342189569`. */
  readonly name: string;
  readonly server: VirtualServer;
  readonly protocol: Protocol;
  /** In the order in which they are added. */
  readonly realServers: readonly WantedRealServer[];
  /**
   * Of a server of datagrams: endpoints that serve, chosen or not. Datagrams have no end that could be waited for, so a
   * real server that is no longer chosen stays, with weight 0, for as long as it is one of these.
   */
  readonly serving?: ReadonlySet<string>;
  /** Addresses on kube-ipvs0 without which its connections would end. */
  readonly addresses: readonly Address[];
  /** Of two that want the same address and port the lower rank has it: an address's own frontend before a node port. */
  readonly rank: number;
}

/** An entry of a set as it is wanted. */
export interface WantedEntry {
  readonly role: SetRole;
  readonly entry: SetEntry;
  /** As a server's, where what an entry says depends on who wants it: a mark. 0 for all others. */
  readonly rank?: number;
}

/** Everything of one Service. */
export interface ServiceTables {
  readonly servers: readonly WantedServer[];
  readonly entries: readonly WantedEntry[];
  /** Addresses to be bound to kube-ipvs0. */
  readonly addresses: readonly Address[];
  /** Addresses that are not bound, and why. */
  readonly unbound: readonly UnboundAddress[];
  /** Service ports that need a mark. */
  readonly marked: readonly string[];
}

/** An address that is served but not bound, so that packets from outside only arrive if something else brings them. */
export interface UnboundAddress {
  readonly address: Address;
  readonly kind: Frontend["kind"];
  readonly reason: string;
}

/** What a Service's tables depend on besides its plan. */
export interface TableContext {
  readonly family: Family;
  readonly nodeName: string;
  readonly defaultScheduler: string;
  /** Whether the kernel is known not to have a scheduler; the default is then used. */
  readonly isLacking: (scheduler: string) => boolean;
  /** Addresses that take node ports now. */
  readonly nodePortAddresses: readonly Address[];
  /** Whether hairpin traffic is recognised by a set of all endpoints. */
  readonly hairpinSet: boolean;
  /**
   * The mark of a Service port's second virtual server; undefined when there is none left.
   *
   * @param destinations what it is for, as texts of a set's entries
   */
  readonly markOf: (port: string, destinations: readonly string[]) => number | undefined;
  /** Why a frontend's address must not be bound; undefined when it may be. */
  readonly bindingProblem: (address: Address, kind: Frontend["kind"]) => string | undefined;
}

/** Nothing at all. */
export const noTables: ServiceTables = { servers: [], entries: [], addresses: [], unbound: [], marked: [] };

/** Tables of one Service. */
export function serviceTables(service: ServicePlan, context: TableContext): ServiceTables {
  const tables: Tables = { servers: [], entries: [], addresses: [], unbound: [], marked: [] };
  for (const port of service.ports) {
    new PortTables(port, context, tables).add();
  }
  if (service.health !== undefined) {
    const entry: SetEntry = { type: "bitmap:port", port: service.health.port };
    tables.entries.push({ role: "healthCheck", entry });
  }
  return tables;
}

/** What a Service port is called among those that need a mark. */
export function markName(port: Pick<ServicePortPlan, "displayName" | "protocol">): string {
  return `${port.displayName} ${port.protocol}`;
}

type Tables = { -readonly [Key in keyof ServiceTables]: ServiceTables[Key][number][] };

/** A frontend in the words of the kernel: address and port. */
interface Place {
  readonly address: Address;
  readonly port: number;
  readonly rank: number;
}

const nodePortRoles = {
  TCP: {
    all: "nodePortTCP",
    local: "nodePortLocalTCP",
    reject: "nodePortRejectTCP",
    drop: "nodePortDropTCP",
  },
  UDP: {
    all: "nodePortUDP",
    local: "nodePortLocalUDP",
    reject: "nodePortRejectUDP",
    drop: "nodePortDropUDP",
  },
} as const;

class PortTables {
  readonly #port: ServicePortPlan;
  readonly #context: TableContext;
  readonly #tables: Tables;
  readonly #real = new Map<Pool, readonly WantedRealServer[]>();
  readonly #settings: ReturnType<typeof schedulerSettings>;

  constructor(port: ServicePortPlan, context: TableContext, tables: Tables) {
    this.#port = port;
    this.#context = context;
    this.#tables = tables;
    this.#settings = schedulerSettings(port, context);
  }

  add(): void {
    const marked: Place[] = [];
    for (const frontend of this.#port.frontends) {
      const routes = frontend.kind === "ClusterIP" ? this.#port.internal : this.#port.external;
      const verdict = defaultVerdict(routes);
      if (verdict === undefined) {
        continue;
      }
      const places = this.#placesOf(frontend);
      if (forwards(routes)) {
        this.#forward(frontend, places, verdict);
        if (secondRoute(routes) !== undefined) {
          marked.push(...places);
        }
      }
      if (verdict.kind !== "forward") {
        this.#refuse(frontend, places, verdict.kind);
      }
    }
    const second = secondRoute(this.#port.external);
    if (second !== undefined && marked.length > 0) {
      this.#addMarked(second, marked);
    }
    if (this.#context.hairpinSet) {
      this.#addHairpin();
    }
  }

  #placesOf({ address, port }: Frontend): readonly Place[] {
    return address === undefined
      ? this.#context.nodePortAddresses.map((one) => ({ address: one, port, rank: 1 }))
      : [{ address, port, rank: 0 }];
  }

  /** A frontend that has packets forwarded, at least those of some senders. */
  #forward(frontend: Frontend, places: readonly Place[], verdict: Verdict): void {
    const bound = frontend.address === undefined ? [] : this.#bind(frontend.address, frontend.kind);
    if (verdict.kind === "forward") {
      this.#addServers(places, bound, this.#realServers(verdict.pool));
    }
    this.#addAcceptance(frontend, places, verdict);
    if (frontend.allowedSources !== undefined) {
      this.#addSources(frontend.allowedSources, places);
    }
  }

  #addServers(
    places: readonly Place[],
    addresses: readonly Address[],
    realServers: readonly WantedRealServer[],
  ): void {
    const { protocol } = this.#port;
    for (const { address, port, rank } of places) {
      const key = { protocol, address, port };
      const server: VirtualServer = { ...key, ...this.#settings };
      const name = virtualServerName(key);
      this.#tables.servers.push({ name, server, ...this.#common(), realServers, addresses, rank });
    }
  }

  #common(): Pick<WantedServer, "protocol" | "serving"> {
    const { protocol, serving } = this.#port;
    return protocol === "UDP" ? { protocol, serving: new Set(serving) } : { protocol };
  }

  /** Entries by which packets are let in, and masqueraded or not. */
  #addAcceptance(frontend: Frontend, places: readonly Place[], verdict: Verdict): void {
    const always = verdict.kind === "forward" && verdict.masquerade === "always";
    switch (frontend.kind) {
      case "ClusterIP":
        this.#addEntries("clusterIP", places);
        if (always) {
          this.#addEntries("clusterIPMasquerade", places);
        }
        break;
      case "ExternalIP":
        this.#addEntries(always ? "externalIP" : "externalIPLocal", places);
        break;
      case "LoadBalancer":
        // The narrower set first: until the other one has it too, nobody looks there.
        if (!always) {
          this.#addEntries("loadBalancerLocal", places);
        }
        this.#addEntries("loadBalancer", places);
        break;
      case "NodePort":
        this.#addNodePort(frontend.port, places, always);
        break;
    }
  }

  #addNodePort(port: number, places: readonly Place[], always: boolean): void {
    const { protocol } = this.#port;
    if (protocol === "SCTP") {
      if (!always) {
        this.#addEntries("nodePortLocalSCTP", places);
      }
      this.#addEntries("nodePortSCTP", places);
      return;
    }
    const entry: SetEntry = { type: "bitmap:port", port };
    const roles = nodePortRoles[protocol];
    if (!always) {
      this.#tables.entries.push({ role: roles.local, entry });
    }
    this.#tables.entries.push({ role: roles.all, entry });
  }

  /** Sources before the restriction: a destination must not be restricted to nobody for a moment. */
  #addSources(allowed: NonNullable<Frontend["allowedSources"]>, places: readonly Place[]): void {
    const protocol = protocolNumbers[this.#port.protocol];
    for (const { address, port } of places) {
      const key = { address, port, protocol };
      for (const { address: network, prefix } of allowed.ranges) {
        const entry: SetEntry = { type: "hash:ip,port,net", ...key, network, prefixLength: prefix };
        this.#tables.entries.push({ role: "allowedRange", entry: normalEntry(entry) });
      }
      for (const address2 of allowed.ownAddresses) {
        const entry: SetEntry = { type: "hash:ip,port,ip", ...key, address2 };
        this.#tables.entries.push({ role: "allowedAddress", entry });
      }
    }
    this.#addEntries("restricted", places);
  }

  /** A frontend whose packets are refused, but for senders with a route of their own. */
  #refuse(frontend: Frontend, places: readonly Place[], kind: "drop" | "reject"): void {
    if (frontend.kind === "ClusterIP") {
      this.#addEntries(kind === "drop" ? "clusterIPDrop" : "clusterIPReject", places);
    } else if (frontend.kind === "NodePort" && this.#port.protocol !== "SCTP") {
      const role = nodePortRoles[this.#port.protocol][kind];
      this.#tables.entries.push({ role, entry: { type: "bitmap:port", port: frontend.port } });
    } else {
      this.#addEntries(kind === "drop" ? "externalDrop" : "externalReject", places);
    }
  }

  /** The second virtual server, for pods and the node itself. */
  #addMarked(pool: Pool, places: readonly Place[]): void {
    const name = markName(this.#port);
    const destinations = places.map((place) => entryText(this.#entry(place)));
    const firewallMark = this.#context.markOf(name, destinations);
    if (firewallMark === undefined) {
      return;
    }
    const { family } = this.#context;
    const key = { firewallMark, family };
    const bound = new Set(this.#tables.addresses);
    this.#tables.marked.push(name);
    this.#tables.servers.push({
      name: virtualServerName(key),
      server: { ...key, ...markedSettings(this.#port, this.#context) },
      ...this.#common(),
      realServers: this.#realServers(pool),
      addresses: places.map(({ address }) => address).filter((address) => bound.has(address)),
      rank: 0,
    });
    this.#addEntries("mark", places, firewallMark);
  }

  #addHairpin(): void {
    const protocol = protocolNumbers[this.#port.protocol];
    const endpoints = new Map([...this.#port.cluster, ...this.#port.local].map((one) => [one.target, one]));
    for (const { address, port } of endpoints.values()) {
      const entry: SetEntry = { type: "hash:ip,port,ip", address, protocol, port, address2: address };
      this.#tables.entries.push({ role: "loopBack", entry });
    }
  }

  #addEntries(role: SetRole, places: readonly Place[], mark?: number): void {
    for (const place of places) {
      const entry = this.#entry(place);
      this.#tables.entries.push(
        mark === undefined ? { role, entry } : { role, entry: { ...entry, mark }, rank: place.rank },
      );
    }
  }

  #entry({ address, port }: Place): Extract<SetEntry, { type: "hash:ip,port" }> {
    return { type: "hash:ip,port", address, port, protocol: protocolNumbers[this.#port.protocol] };
  }

  /** Binds an address if it may be. @returns the address, or nothing */
  #bind(address: Address, kind: Frontend["kind"]): readonly Address[] {
    const reason = this.#context.bindingProblem(address, kind);
    if (reason !== undefined) {
      this.#tables.unbound.push({ address, kind, reason });
      return [];
    }
    this.#tables.addresses.push(address);
    this.#tables.entries.push({ role: "boundAddress", entry: { type: "hash:ip", address } });
    return [address];
  }

  /** The real servers of a pool, each time the same list. */
  #realServers(pool: Pool): readonly WantedRealServer[] {
    const known = this.#real.get(pool);
    if (known !== undefined) {
      return known;
    }
    const { weights = {} } = this.#port;
    const all = this.#port[pool].map(({ address, port, target }) => ({
      address,
      port,
      target,
      weight: Object.hasOwn(weights, target) ? (weights[target] ?? 1) : 1,
    }));
    const rotated = rotate(all, `${this.#context.nodeName}/${markName(this.#port)}`);
    this.#real.set(pool, rotated);
    return rotated;
  }
}

/** Another start on every node, so that round robin does not send the first connection of all nodes to one endpoint. */
function rotate<T>(items: readonly T[], seed: string): readonly T[] {
  const start = items.length === 0 ? 0 : hash(seed) % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

/**
 * The pool of senders with a route of their own, if there is one other than everybody's. The plan has such routes for pods
 * and for the node itself together, to one pool, and masquerades the node's packets only: so do the fixed rules.
 */
function secondRoute(routes: readonly Route[]): Pool | undefined {
  const route = routes.find(({ from, verdict }) => from !== "any" && verdict.kind === "forward");
  return route?.verdict.kind === "forward" ? route.verdict.pool : undefined;
}
