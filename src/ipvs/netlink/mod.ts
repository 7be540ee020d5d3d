/**
 * `kube-sluice/ipvsadm-netlink`: the kernel's load balancer, IPVS, without ipvsadm. See README.md beside this file.
 *
 * Virtual servers and real servers as values, a client that reads and changes them over netlink, hundreds to a
 * datagram, and the text form of ipvsadm(8). Nothing here starts a program, and nothing knows of Kubernetes.
 *
 * @module
 */
export type { NetlinkConnection, NetlinkOutcome, NetlinkRequest } from "../../netlink/connection.ts";
export type { IpFamily } from "../../netlink/ip-address.ts";
// biome-ignore lint/performance/noBarrelFile: the package's public surface
export { isKernelError, KernelError, type KernelErrorCode } from "../../netlink/kernel-error.ts";
export { IpvsClient } from "./client.ts";
export {
  type FormatOptions,
  formatRealServer,
  formatTable,
  formatVirtualServer,
  schedulerFlagLabels,
} from "./format.ts";
export type { IpvsInfo } from "./info.ts";
export { openIpvs } from "./open.ts";
export { compareRealServers, compareVirtualServers } from "./order.ts";
export { parseLine, parseTable, type SaveLine } from "./parse.ts";
export {
  type ForwardingMethod,
  forwardingMethods,
  type GreTunnel,
  type GueTunnel,
  largestWeight,
  type ObservedRealServer,
  type RealServer,
  type RealServerKey,
  realServerName,
  sameRealServer,
  type Tunnel,
  type TunnelChecksum,
  tunnelChecksums,
} from "./real-server.ts";
export {
  addRealServerRequest,
  addVirtualServerRequest,
  deleteRealServerRequest,
  deleteVirtualServerRequest,
  editRealServerRequest,
  editVirtualServerRequest,
  flushRequest,
  setTimeoutsRequest,
  startDaemonRequest,
  stopDaemonRequest,
  type ToleranceOption,
  zeroRequest,
} from "./requests.ts";
export type { Statistics, StatisticsOption, Traffic } from "./statistics.ts";
export type { SyncDaemon, SyncRole } from "./sync-daemon.ts";
export type { ObservedTableEntry, TableEntry } from "./table-entry.ts";
export type { Timeouts } from "./timeouts.ts";
export {
  type AddressKey,
  familyOfVirtualServer,
  hashFlags,
  longestPersistenceSeconds,
  type MarkKey,
  type ObservedVirtualServer,
  type Persistence,
  type Protocol,
  type SchedulerFlag,
  type SchedulerName,
  sameVirtualServer,
  schedulerFlagNames,
  schedulerNames,
  type VirtualServer,
  type VirtualServerKey,
  type VirtualServerSettings,
  virtualServerName,
} from "./virtual-server.ts";
export type { IpvsFamily, IpvsRequest } from "./wire.ts";
