/**
 * A virtual server together with its real servers: what the table of IPVS consists of.
 *
 * @module
 */
import type { ObservedRealServer, RealServer } from "./real-server.ts";
import type { ObservedVirtualServer, VirtualServer } from "./virtual-server.ts";

/** A virtual server and its real servers. */
export interface TableEntry {
  readonly server: VirtualServer;
  readonly realServers: readonly RealServer[];
}

/** The same as the kernel reports it; also a `TableEntry`. */
export interface ObservedTableEntry {
  readonly server: ObservedVirtualServer;
  readonly realServers: readonly ObservedRealServer[];
}
