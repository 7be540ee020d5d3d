/**
 * ClientIP session affinity as a value: the one contract that every backend keeps.
 *
 * Key      the client's source address as it arrives, before any masquerade.
 * Scope    one Service port and family. ClusterIP, NodePort, external and load-balancer addresses of the port share it.
 * Refresh  every new connection renews the record; packets of an open connection do not.
 * Loss     a record whose endpoint is no longer offered to this packet is not consulted; the client is balanced anew.
 *
 * @module
 */

/** Affinity of one Service port. */
export interface Affinity {
  readonly kind: "ClientIP";
  /** How long after the last new connection a client is remembered, in seconds. */
  readonly timeoutSeconds: number;
}

/** The API's default of `sessionAffinityConfig.clientIP.timeoutSeconds`. */
export const defaultAffinityTimeoutSeconds = 10_800;

/** The API's upper bound of the timeout: one day. */
export const maximumAffinityTimeoutSeconds = 86_400;

/** Whether the API server would accept the timeout. */
export function isValidAffinityTimeout(seconds: number): boolean {
  return Number.isInteger(seconds) && seconds > 0 && seconds <= maximumAffinityTimeoutSeconds;
}
