/**
 * Facts: everything that is known of a node when findings are made of it. Plain values; where something could not be
 * seen, the reason stands in its place.
 *
 * @module
 */
import type { Variant } from "../../iptables/tools.ts";
import type { Address, Cidr, Family } from "../../proxier/address.ts";
import type { Fact } from "./finding.ts";
import type { KernelParts } from "./kernel-parts.ts";
import type { RuleSummary } from "./rule-summary.ts";

/** What the configuration asks for, as far as findings depend on it. */
export interface WantedFacts {
  readonly mode: "iptables" | "ipvs" | "nftables";
  /** Schedulers that the configuration and annotations of Services name. */
  readonly schedulers: readonly string[];
  readonly strictARP: boolean;
  readonly acceptServices: boolean;
  readonly affinityBackend: "auto" | "recent" | "ipset";
  /** NodePorts on 127.0.0.0/8 are wanted. */
  readonly localhostNodePorts: boolean;
  readonly masqueradeMark: number;
  /** The networks of all pods of the cluster, as far as the configuration tells. */
  readonly podNetworks: readonly Cidr[];
  /** The bridge that the configuration names; `""` when it does not. */
  readonly bridge: string;
  readonly syncPeriodMs: number;
}

/** One variant and family of iptables. */
export interface RulesFact {
  readonly variant: Variant;
  readonly family: Family;
  readonly rules: Fact<RuleSummary>;
}

/** A process with a lock. */
export interface LockHolder {
  readonly pid: number;
  /** Its name; `""` when it cannot be seen from here. */
  readonly name: string;
}

/** A network interface. */
export interface LinkFact {
  readonly name: string;
  /** `bridge`, `veth`, `vxlan`, `ipip`, `dummy`; `""` for hardware. */
  readonly kind: string;
  readonly up: boolean;
  readonly mtu: number;
  /** With their prefixes. */
  readonly addresses: readonly Cidr[];
  /** Addresses as such, in the order of `addresses`. */
  readonly own: readonly Address[];
  /** The effective reverse-path filter: 0 off, 1 strict, 2 loose. */
  readonly rpFilter: Fact<number>;
  /** Of a vxlan: the interface that carries its packets, where it is told. */
  readonly underlay: string | undefined;
}

/** A port of a bridge. */
export interface BridgePort {
  readonly bridge: string;
  readonly port: string;
  readonly hairpin: boolean;
}

/** A bridge in promiscuous mode sends packets back to their port without hairpin mode. */
export interface BridgeFacts {
  readonly ports: readonly BridgePort[];
  readonly promiscuous: readonly string[];
}

/** A route of IPv4. */
export interface RouteFact {
  readonly destination: Cidr;
  readonly gateway: Address | undefined;
  readonly link: string;
}

/** Lists of the `recent` match. */
export interface RecentFacts {
  /** Clients that a list remembers. */
  readonly limit: number;
  /** Lists of endpoints, with the clients in them. */
  readonly lists: readonly { readonly name: string; readonly clients: number }[];
}

/** IPVS in this network namespace. */
export interface IpvsFacts {
  /** Virtual servers. */
  readonly servers: number;
  /** Seconds after which an idle TCP connection is forgotten; undefined when the process may not ask. */
  readonly tcpTimeout: number | undefined;
}

/** Connections lost because of the table, since the kernel's start. */
export interface ConntrackLosses {
  /** No room: the packet was dropped. */
  readonly dropped: number;
  /** Room was made by throwing out a connection that had not been answered. */
  readonly evicted: number;
}

/** What the daemon says of itself. */
export interface DaemonFacts {
  readonly healthy: boolean;
  readonly mode: string;
  /** Families that it serves. */
  readonly families: readonly {
    readonly family: Family;
    readonly healthy: boolean;
    /** Since the last successful sync, by the daemon's own clock. */
    readonly sinceSyncMs: number;
    /** The age of the oldest change that is not in the kernel; 0 without one. */
    readonly oldestPendingMs: number;
  }[];
  /** Services left out because the kernel refuses them. */
  readonly leftOut: number;
}

/** What the objects of the cluster tell. */
export interface ObjectFacts {
  /** External and load-balancer addresses, with the Services that have them. */
  readonly externalAddresses: readonly { readonly address: Address; readonly service: string }[];
  /** The latest time at which an EndpointSlice says to have changed, in milliseconds since 1970; undefined without any. */
  readonly latestTriggerMs: number | undefined;
  /** The time at which that was looked at. */
  readonly nowMs: number;
}

/** What a first sync would write. */
export interface Drift {
  /** Chains, entries, virtual servers or addresses that differ: `nat KUBE-SVC-…`, `add address 10.96.0.10 …`. */
  readonly differences: readonly string[];
}

/** Everything. */
export interface Facts {
  readonly wanted: WantedFacts;
  readonly kernelRelease: string;
  readonly parts: KernelParts;
  /** By name below /proc/sys: `net/ipv4/ip_forward`. */
  readonly sysctls: ReadonlyMap<string, Fact<number>>;
  readonly conntrackLosses: Fact<ConntrackLosses>;
  readonly rules: readonly RulesFact[];
  /** The variant that serves, or would. */
  readonly variant: Fact<Variant>;
  /** Whoever held the lock for as long as it was looked at. */
  readonly lock: Fact<readonly LockHolder[]>;
  readonly links: Fact<readonly LinkFact[]>;
  readonly bridges: Fact<BridgeFacts>;
  readonly routes: Fact<readonly RouteFact[]>;
  readonly recent: Fact<RecentFacts>;
  /** Undefined value: the kernel has not loaded IPVS. */
  readonly ipvs: Fact<IpvsFacts | undefined>;
  /** Names of ipsets. */
  readonly sets: Fact<readonly string[]>;
  /** Tables of nftables: `ip kube-proxy`. */
  readonly nftTables: Fact<readonly string[]>;
  /** Processes of this network namespace that are other service proxies: `kube-proxy`, `kube-router`. */
  readonly proxies: Fact<readonly string[]>;
  readonly daemon: Fact<DaemonFacts>;
  readonly objects: Fact<ObjectFacts>;
  readonly drift: readonly { readonly family: Family; readonly drift: Fact<Drift> }[];
}

/** A sysctl that was to be read; one that nobody asked for is unknown. */
export function sysctl(facts: Pick<Facts, "sysctls">, name: string): Fact<number> {
  return facts.sysctls.get(name) ?? { known: false, reason: `${name} was not read` };
}

/** The rules of the variant in use, of IPv4. */
export function usedRules({ rules, variant }: Pick<Facts, "rules" | "variant">): Fact<RuleSummary> {
  if (!variant.known) {
    return { known: false, reason: variant.reason };
  }
  const used = rules.find((one) => one.family === "IPv4" && one.variant === variant.value);
  return used?.rules ?? { known: false, reason: "the rules of IPv4 were not read" };
}
