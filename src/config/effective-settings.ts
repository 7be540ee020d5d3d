/**
 * What the configuration comes to: the values of a mode, addresses parsed, empty texts replaced by what they mean.
 *
 * The functions that return parsed values take a validated configuration; a text that does not parse is left out.
 *
 * Pure.
 *
 * @module
 */
import {
  type Address,
  type Cidr,
  type Family,
  families,
  isLoopback,
  parseAddress,
  parseCidr,
  singleAddressCidr,
} from "../proxier/address.ts";
import type { LocalDetector } from "../proxier/plan.ts";
import { splitHostPort } from "./host-port.ts";
import { type ConfigFields, isProxyMode, type ProxyConfig, type ProxyMode } from "./proxy-config.ts";

/** The settings of which every mode has one set. */
export interface ModeSettings {
  readonly mode: ProxyMode;
  readonly syncPeriodMs: number;
  readonly minSyncPeriodMs: number;
  readonly masqueradeAll: boolean;
  /** Bit of the packet mark. */
  readonly masqueradeBit: number;
}

/**
 * The settings that hold in `mode`. ipvs mode has periods of its own but masquerades as section `iptables` says; a
 * text that is no mode counts as `iptables`, as with kube-proxy.
 */
export function modeSettings(config: ConfigFields, mode: string): ModeSettings {
  const known = isProxyMode(mode) ? mode : "iptables";
  const periods = config[known];
  const masquerade = known === "nftables" ? config.nftables : config.iptables;
  return {
    mode: known,
    syncPeriodMs: periods.syncPeriodMs,
    minSyncPeriodMs: periods.minSyncPeriodMs,
    masqueradeAll: masquerade.masqueradeAll,
    masqueradeBit: masquerade.masqueradeBit,
  };
}

/** The packet mark of a mark bit, 0 to 31: bit 14 is 0x4000. */
export function masqueradeMark(bit: number): number {
  return 2 ** bit;
}

/** The IPVS scheduler: the one asked for, else round robin. */
export function ipvsScheduler(config: ConfigFields): string {
  return config.ipvs.scheduler || "rr";
}

/** Where a server listens. */
export interface ServerAddress {
  readonly address: Address;
  readonly port: number;
}

/** Reads `healthzBindAddress` or `metricsBindAddress`; undefined means no server. */
export function serverAddress(text: string): ServerAddress | undefined {
  const parts = splitHostPort(text);
  const address = parseAddress(parts?.host ?? "");
  return address === undefined || parts === undefined ? undefined : { address, port: Number(parts.port) };
}

/** The CIDRs among the texts, in their order. */
export function parseCidrs(texts: readonly string[]): readonly Cidr[] {
  return texts.flatMap((text) => parseCidr(text) ?? []);
}

/** Per family the first CIDR of that family. */
function firstCidrs(texts: readonly string[]): Readonly<Partial<Record<Family, Cidr>>> {
  const cidrs = parseCidrs(texts);
  return Object.fromEntries(
    families.flatMap((family) => {
      const first = cidrs.find((cidr) => cidr.family === family);
      return first === undefined ? [] : [[family, first]];
    }),
  );
}

/**
 * How traffic of local pods is recognised in a family; undefined when it cannot be, which means that traffic to
 * cluster addresses from outside the cluster is not masqueraded.
 *
 * @param podCIDRs `spec.podCIDRs` of this node
 */
export function localDetector(
  config: ProxyConfig,
  family: Family,
  podCIDRs: readonly string[],
): LocalDetector | undefined {
  switch (config.detectLocalMode) {
    case "BridgeInterface":
      return { kind: "bridge", name: config.detectLocal.bridgeInterface };
    case "InterfaceNamePrefix":
      return { kind: "prefix", prefix: config.detectLocal.interfaceNamePrefix };
    case "ClusterCIDR":
    case "NodeCIDR": {
      const cidr = firstCidrs(config.detectLocalMode === "NodeCIDR" ? podCIDRs : config.clusterCIDR)[family];
      return cidr === undefined ? undefined : { kind: "cidr", cidr };
    }
  }
}

/**
 * The CIDRs on which node ports answer; empty means every local address. The word `primary` stands for the node's
 * addresses except loopback ones, so a node without addresses serves node ports everywhere.
 */
export function nodePortCidrs(config: ConfigFields, nodeAddresses: readonly Address[]): readonly Cidr[] {
  if (config.nodePortAddresses.includes("primary")) {
    return nodeAddresses.filter((address) => !isLoopback(address)).map(singleAddressCidr);
  }
  return parseCidrs(config.nodePortAddresses);
}
