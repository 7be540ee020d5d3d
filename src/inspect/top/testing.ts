/**
 * Tables for tests of `top`.
 *
 * @module
 */
import type { RealServerRow, ServiceTable, TableSource, VirtualServerRow } from "../service-table.ts";

/** Counters of a real server. */
export interface ServerCounts {
  readonly connections?: number;
  readonly bytes?: number;
  readonly active?: number;
  readonly weight?: number;
}

/** A virtual server of the Service port `ns/NAME:http`, with its real servers by last byte of their address. */
export function virtualServer(
  name: string,
  address: string,
  connections: number,
  servers: Readonly<Record<number, ServerCounts>>,
): VirtualServerRow {
  const realServers = Object.entries(servers).map(
    ([last, { connections: made, bytes, active = 0, weight = 1 }]): RealServerRow => ({
      address: `10.244.0.${last}`,
      port: 8080,
      forwarding: "masquerade",
      weight,
      activeConnections: active,
      inactiveConnections: 1,
      totals: {
        ...(made === undefined ? {} : { connections: made }),
        ...(bytes === undefined ? {} : { incomingBytes: bytes, outgoingBytes: 0n }),
      },
    }),
  );
  return {
    protocol: "TCP",
    address,
    port: 80,
    scheduler: "random",
    family: "IPv4",
    service: { namespace: "ns", name, port: "http" },
    totals: { connections },
    realServers,
  };
}

/** A table. */
export function tableOf(source: TableSource, ...virtualServers: readonly VirtualServerRow[]): ServiceTable {
  return { source, virtualServers };
}
