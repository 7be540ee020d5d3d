/**
 * The door to one of the kernel's tables, for whoever shows it.
 *
 * @module
 */
import type { SyncDaemon } from "../ipvs/netlink/sync-daemon.ts";
import type { Timeouts } from "../ipvs/netlink/timeouts.ts";
import type { VirtualServerKey } from "../ipvs/netlink/virtual-server.ts";
import type { ConnectionRow, ServiceName, ServiceTable, TableSource } from "./service-table.ts";

/** How much of a table to read. */
export interface TableRequest {
  /** Totals of packets and bytes. */
  readonly totals?: boolean;
  /** Numbers per second. Where the kernel keeps none, this looks twice and takes a second. */
  readonly rates?: boolean;
  /** How many clients affinity binds. */
  readonly clients?: boolean;
  /** In the kernel's order. */
  readonly unsorted?: boolean;
  /** Only this virtual server. */
  readonly server?: VirtualServerKey;
}

/** A virtual server, of which it matters whose it is. */
export interface NamedServer {
  readonly service?: ServiceName | undefined;
}

/** Reads one table. Nothing that it does changes the kernel. */
export interface TableReader {
  readonly source: TableSource;
  /** @throws {KernelError | ToolError} The kernel cannot be read. */
  table(request: TableRequest): Promise<ServiceTable>;
  /**
   * Offers the connections, in the kernel's order.
   *
   * @param visit also gets the virtual server, where it is known
   */
  connections(visit: (row: ConnectionRow, server: NamedServer | undefined) => void): Promise<void>;
  timeouts(): Timeouts;
  daemons(): Promise<readonly SyncDaemon[]>;
  /** Gives back what it holds open, if anything. It must not be used afterwards. */
  close?(): void;
}
