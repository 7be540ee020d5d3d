/**
 * What the kernel counts for a virtual server and for each of its real servers.
 *
 * Pure. All numbers are 64-bit. Kernels before 4.1 have only 32 bits for most of them; the wider form is taken where
 * both are there.
 *
 * Source: the IPVS_STATS_ATTR_ constants of linux/ip_vs.h.
 *
 * @module
 */
import type { AttributeReader } from "../../netlink/attribute-reader.ts";

/** Counts of one kind: either since the counters were zeroed, or per second. */
export interface Traffic {
  /** Connections that were scheduled. */
  readonly connections: bigint;
  /** From clients to real servers. */
  readonly incomingPackets: bigint;
  /** From real servers to clients, where they pass through this machine: not with direct routing or tunnels. */
  readonly outgoingPackets: bigint;
  readonly incomingBytes: bigint;
  readonly outgoingBytes: bigint;
}

/** What was counted. */
export interface Statistics {
  readonly totals: Traffic;
  /**
   * Per second, as the kernel estimates it over the last seconds. All 0 while the sysctl
   * `net.ipv4.vs.run_estimation` is 0.
   */
  readonly rates: Traffic;
}

/** What to read along with servers. */
export interface StatisticsOption {
  /** False leaves the statistics out, which makes reading long tables faster; true by default. */
  readonly statistics?: boolean;
}

/**
 * Attributes of both the 32-bit and the 64-bit form: totals from 1, rates from 6, each in the order of `Traffic`.
 * Number 11 is empty and only aligns what follows.
 */
export const statisticsAttribute = { firstTotal: 1, firstRate: 6, padding: 11 } as const;

/** Reads the numbers inside either form. */
export function readStatistics(reader: AttributeReader): Statistics {
  const numbers: bigint[] = new Array(statisticsAttribute.padding).fill(0n);
  while (reader.next()) {
    const { type } = reader;
    if (type < statisticsAttribute.firstTotal || type >= statisticsAttribute.padding) continue;
    numbers[type] = reader.length === 4 ? BigInt(reader.u32()) : reader.u64();
  }
  return {
    totals: trafficAt(numbers, statisticsAttribute.firstTotal),
    rates: trafficAt(numbers, statisticsAttribute.firstRate),
  };
}

function trafficAt(numbers: readonly bigint[], first: number): Traffic {
  return {
    connections: numbers[first] ?? 0n,
    incomingPackets: numbers[first + 1] ?? 0n,
    outgoingPackets: numbers[first + 2] ?? 0n,
    incomingBytes: numbers[first + 3] ?? 0n,
    outgoingBytes: numbers[first + 4] ?? 0n,
  };
}
