/**
 * The ipsets of ipvs mode: names, types, and the comments of the rules that look at them.
 *
 * Names and comments are kube-proxy's where the thing is the same. `KUBE-SLUICE-…` are our own: they say what no rule of
 * kube-proxy's can. Rules name every set always; an empty one matches nothing, so the rules never change.
 *
 * @module
 */
import type { SetDefinition } from "../netlink/ipset.ts";
import type { SetType } from "../netlink/ipset-entry.ts";
import type { Family } from "../proxier/address.ts";

/** What each set is for, as this program calls it, in the order in which sets are created. */
export const setRoles = [
  "loopBack",
  "clusterIP",
  "externalIP",
  "externalIPLocal",
  "loadBalancer",
  "loadBalancerLocal",
  "restricted",
  "allowedRange",
  "allowedAddress",
  "nodePortTCP",
  "nodePortLocalTCP",
  "nodePortUDP",
  "nodePortLocalUDP",
  "nodePortSCTP",
  "nodePortLocalSCTP",
  "healthCheck",
  "boundAddress",
  "clusterIPMasquerade",
  "clusterIPReject",
  "clusterIPDrop",
  "externalReject",
  "externalDrop",
  "nodePortRejectTCP",
  "nodePortRejectUDP",
  "nodePortDropTCP",
  "nodePortDropUDP",
  "nodeAddress",
  "mark",
  "draining",
] as const;

/** One of {@link setRoles}. */
export type SetRole = (typeof setRoles)[number];

interface SetRow {
  /** In IPv4. */
  readonly name: string;
  readonly type: SetType;
  /** Of the rules that look at it: kube-proxy's, or none. */
  readonly comment: string;
}

/** Longest name of a set that the kernel takes. */
const longestName = 31;

/** Entries that a set may have. It grows as they come; kube-proxy's sets end at the kernel's default of 65536. */
export const maximumElements: number = 1_048_576;

const setTable: Readonly<Record<SetRole, SetRow>> = {
  loopBack: {
    name: "KUBE-LOOP-BACK",
    type: "hash:ip,port,ip",
    comment: "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose",
  },
  clusterIP: {
    name: "KUBE-CLUSTER-IP",
    type: "hash:ip,port",
    comment: "Kubernetes service cluster ip + port for masquerade purpose",
  },
  externalIP: {
    name: "KUBE-EXTERNAL-IP",
    type: "hash:ip,port",
    comment: "Kubernetes service external ip + port for masquerade and filter purpose",
  },
  externalIPLocal: {
    name: "KUBE-EXTERNAL-IP-LOCAL",
    type: "hash:ip,port",
    comment: "Kubernetes service external ip + port with externalTrafficPolicy=local",
  },
  loadBalancer: {
    name: "KUBE-LOAD-BALANCER",
    type: "hash:ip,port",
    comment: "Kubernetes service lb portal",
  },
  loadBalancerLocal: {
    name: "KUBE-LOAD-BALANCER-LOCAL",
    type: "hash:ip,port",
    comment: "Kubernetes service load balancer ip + port with externalTrafficPolicy=local",
  },
  restricted: {
    name: "KUBE-LOAD-BALANCER-FW",
    type: "hash:ip,port",
    comment: "Kubernetes service load balancer ip + port for load balancer with sourceRange",
  },
  allowedRange: {
    name: "KUBE-LOAD-BALANCER-SOURCE-CIDR",
    type: "hash:ip,port,net",
    comment: "Kubernetes service load balancer ip + port + source cidr for packet filter purpose",
  },
  allowedAddress: {
    name: "KUBE-LOAD-BALANCER-SOURCE-IP",
    type: "hash:ip,port,ip",
    comment: "Kubernetes service load balancer ip + port + source IP for packet filter purpose",
  },
  nodePortTCP: {
    name: "KUBE-NODE-PORT-TCP",
    type: "bitmap:port",
    comment: "Kubernetes nodeport TCP port for masquerade purpose",
  },
  nodePortLocalTCP: {
    name: "KUBE-NODE-PORT-LOCAL-TCP",
    type: "bitmap:port",
    comment: "Kubernetes nodeport TCP port with externalTrafficPolicy=local",
  },
  nodePortUDP: {
    name: "KUBE-NODE-PORT-UDP",
    type: "bitmap:port",
    comment: "Kubernetes nodeport UDP port for masquerade purpose",
  },
  nodePortLocalUDP: {
    name: "KUBE-NODE-PORT-LOCAL-UDP",
    type: "bitmap:port",
    comment: "Kubernetes nodeport UDP port with externalTrafficPolicy=local",
  },
  nodePortSCTP: {
    name: "KUBE-NODE-PORT-SCTP-HASH",
    type: "hash:ip,port",
    comment: "Kubernetes nodeport SCTP port for masquerade purpose with type hash ip:port",
  },
  nodePortLocalSCTP: {
    name: "KUBE-NODE-PORT-LOCAL-SCTP-HASH",
    type: "hash:ip,port",
    comment: "Kubernetes nodeport SCTP port with externalTrafficPolicy=local with type hash ip:port",
  },
  healthCheck: {
    name: "KUBE-HEALTH-CHECK-NODE-PORT",
    type: "bitmap:port",
    comment: "Kubernetes health check node port",
  },
  boundAddress: {
    name: "KUBE-IPVS-IPS",
    type: "hash:ip",
    comment: "Addresses on the ipvs interface",
  },
  /** ClusterIPs whose packets are masqueraded whoever sends them. */
  clusterIPMasquerade: { name: "KUBE-SLUICE-CLUSTER-IP-MASQ", type: "hash:ip,port", comment: "" },
  /** ClusterIPs without endpoints, and those that are dropped. */
  clusterIPReject: { name: "KUBE-SLUICE-CLUSTER-IP-REJECT", type: "hash:ip,port", comment: "" },
  clusterIPDrop: { name: "KUBE-SLUICE-CLUSTER-IP-DROP", type: "hash:ip,port", comment: "" },
  /** The same for external and load-balancer addresses, and for node ports of SCTP, which a bitmap cannot hold. */
  externalReject: { name: "KUBE-SLUICE-EXTERNAL-REJECT", type: "hash:ip,port", comment: "" },
  externalDrop: { name: "KUBE-SLUICE-EXTERNAL-DROP", type: "hash:ip,port", comment: "" },
  /** The same for node ports. */
  nodePortRejectTCP: { name: "KUBE-SLUICE-PORT-REJECT-TCP", type: "bitmap:port", comment: "" },
  nodePortRejectUDP: { name: "KUBE-SLUICE-PORT-REJECT-UDP", type: "bitmap:port", comment: "" },
  nodePortDropTCP: { name: "KUBE-SLUICE-PORT-DROP-TCP", type: "bitmap:port", comment: "" },
  nodePortDropUDP: { name: "KUBE-SLUICE-PORT-DROP-UDP", type: "bitmap:port", comment: "" },
  /** Addresses that take node ports. */
  nodeAddress: { name: "KUBE-SLUICE-NODE-IP", type: "hash:ip", comment: "" },
  /** Destinations with a second virtual server, for pods and for the node itself, and its mark. */
  mark: { name: "KUBE-SLUICE-MARK", type: "hash:ip,port", comment: "" },
  /** Destinations of virtual servers that only finish what they have begun. */
  draining: { name: "KUBE-SLUICE-DRAINING", type: "hash:ip,port", comment: "" },
};

/** The set's name in a family: kube-proxy's way, cut where it would be too long. */
export function setName(role: SetRole, family: Family): string {
  const { name } = setTable[role];
  return (family === "IPv4" ? name : name.replace("KUBE-", "KUBE-6-")).slice(0, longestName);
}

/** The type of the set's entries. */
export function setType(role: SetRole): SetType {
  return setTable[role].type;
}

/** The comment of rules that look at the set; `""` for our own sets, whose names say it. */
export function setComment(role: SetRole): string {
  return setTable[role].comment;
}

/** The set as it is to be created. */
export function setDefinition(role: SetRole, family: Family): SetDefinition {
  const name = setName(role, family);
  const type = setType(role);
  return type === "bitmap:port"
    ? { name, type }
    : { name, type, family, maximumElements, ...(role === "mark" ? { marks: true } : {}) };
}
