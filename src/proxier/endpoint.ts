/**
 * Endpoint: one address and port behind a service port, with its conditions as the API has them.
 *
 * @module
 */
import type { Address } from "./address.ts";

/** One endpoint of one service port. Absent conditions already have the API's defaults. */
export interface Endpoint {
  readonly address: Address;
  readonly port: number;
  /** `ip:port` or `[ip]:port`: identity within the service port, and sort key. */
  readonly target: string;
  /** Whether the endpoint runs on this node, by `nodeName`. */
  readonly isLocal: boolean;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly nodeName: string;
  readonly zone: string;
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
}

/** Whether the endpoint may stand in when nothing is ready: terminating, but still serving. */
export function isServingTerminating(endpoint: Endpoint): boolean {
  return endpoint.serving && endpoint.terminating;
}
