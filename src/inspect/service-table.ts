/**
 * What the kernel of a node does with Services, as a table that is the same for every mode: virtual servers, and the real
 * servers that their connections go to.
 *
 * Readers make it (`read-ipvs.ts`, `read-iptables.ts`), printers and whatever else looks at a node take it. It holds what
 * was found in the kernel, never what the program meant to write.
 *
 * Plain, readonly objects. Optional parts are absent, never undefined: absent means that nobody knows, or that it was not
 * asked for, and is something else than 0.
 *
 * Pure.
 *
 * @module
 */

import type { IpvsInfo } from "../ipvs/netlink/info.ts";
import type { ForwardingMethod, Tunnel } from "../ipvs/netlink/real-server.ts";
import type { VirtualServerKey, VirtualServerSettings } from "../ipvs/netlink/virtual-server.ts";
import type { IpFamily } from "../netlink/ip-address.ts";

/** Where a table was read. A mode that is read in another way gets another word here. */
export type TableSource = "ipvs" | "iptables-nft" | "iptables-legacy";

/** A table, or a part of it that was selected. */
export interface ServiceTable {
  readonly source: TableSource;
  /** Version and size, of IPVS. */
  readonly info?: IpvsInfo;
  /** In ipvsadm's order unless the kernel's was asked for. */
  readonly virtualServers: RowList;
}

/** Rows that can be gone through. Those of a large table are made while they are taken, so that nobody has to hold them all. */
export interface RowList extends Iterable<VirtualServerRow> {
  readonly length: number;
}

/** A list whose rows are made, each time that they are gone through, from so many items. */
export function rowsFrom<Item>(
  items: Iterable<Item> & { readonly length: number },
  rowOf: (item: Item) => VirtualServerRow,
): RowList {
  return {
    length: items.length,
    *[Symbol.iterator]() {
      for (const item of items) yield rowOf(item);
    },
  };
}

/** What kind of address of a Service a virtual server stands for. */
export type FrontendKind = "ClusterIP" | "NodePort" | "ExternalIP" | "LoadBalancer";

/** What becomes of connections that no real server takes. */
export type Refusal = "reject" | "drop";

/** The port of a Service. */
export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
  /** Name of the port; `""` when it has none. */
  readonly port: string;
}

/**
 * A virtual server.
 *
 * The key is as in IPVS: an address with a port and protocol, or a firewall mark. Where rules hold for every local address
 * (a node port), the address is `0.0.0.0` or `::`. The scheduler is what is really used: `random` in iptables.
 */
export type VirtualServerRow = VirtualServerKey &
  VirtualServerSettings & {
    readonly family: IpFamily;
    /** Where it is known: from the comments of rules, or from the API. */
    readonly service?: ServiceName;
    readonly kind?: FrontendKind;
    /** Without real servers: what rules do with the connection. IPVS always rejects. */
    readonly refusal?: Refusal;
    /** Networks that may connect, where not all may. */
    readonly allowedSources?: readonly string[];
    /** Since the counters began; see {@link TrafficCounts}. */
    readonly totals?: TrafficCounts;
    /** Per second. */
    readonly rates?: TrafficCounts;
    readonly realServers: readonly RealServerRow[];
  };

/** A real server of a virtual server. */
export interface RealServerRow {
  readonly address: string;
  readonly port: number;
  readonly forwarding: ForwardingMethod;
  readonly tunnel?: Tunnel;
  /**
   * Share of new connections in proportion to the other real servers; 0 takes none. In iptables worked out from the
   * probabilities of the rules; 0 for one that no rule chooses any more and that still has connections.
   */
  readonly weight: number;
  readonly upperThreshold?: number;
  readonly lowerThreshold?: number;
  /** Connections in state ESTABLISHED; of UDP always 0. */
  readonly activeConnections?: number;
  /** All others. */
  readonly inactiveConnections?: number;
  /** Clients that affinity binds to this server. */
  readonly persistentConnections?: number;
  readonly totals?: TrafficCounts;
  readonly rates?: TrafficCounts;
  /** `namespace/name` of the pod, where it is known. */
  readonly pod?: string;
}

/**
 * What was counted, since some beginning or per second.
 *
 * IPVS counts since the server was added. In iptables connections are counted by rules, since the rule was last written;
 * a real server's count is that of its Service port, whichever virtual server of it they came through. Packets and bytes
 * are those of the connections that are open now, and known only where conntrack counts them.
 */
export interface TrafficCounts {
  readonly connections?: number | bigint;
  /** From clients to real servers. */
  readonly incomingPackets?: number | bigint;
  readonly outgoingPackets?: number | bigint;
  readonly incomingBytes?: number | bigint;
  readonly outgoingBytes?: number | bigint;
}

/** One connection to a virtual server. */
export interface ConnectionRow {
  readonly family: IpFamily;
  readonly protocol: string;
  /** Seconds until it is forgotten if no packet comes. */
  readonly expiresSeconds: number;
  readonly state: string;
  readonly source: AddressAndPort;
  readonly virtual: AddressAndPort;
  readonly destination: AddressAndPort;
  /** Persistence engine and what it goes by. */
  readonly engine?: { readonly name: string; readonly data: string };
}

/** An end of a connection. */
export interface AddressAndPort {
  readonly address: string;
  readonly port: number;
}

/** `namespace/name` of a Service, with `:port` where its port has a name: as in the comments of rules. */
export function serviceNameText({ namespace, name, port }: ServiceName): string {
  return port === "" ? `${namespace}/${name}` : `${namespace}/${name}:${port}`;
}
