/**
 * Pool endpoint: an endpoint that packets may be sent to. Why it may (conditions, node, topology) is decided already.
 *
 * A Plan holds one for every endpoint of the cluster, so it is as small as can be: what follows from other fields is
 * computed when asked for.
 *
 * @module
 */
import { type Address, joinHostPort } from "./address.ts";

/** Where packets of a pool go. Plain data: equal when address and port are. */
export class PoolEndpoint {
  readonly address: Address;
  readonly port: number;

  constructor(address: Address, port: number) {
    this.address = address;
    this.port = port;
  }

  /** `ip:port` or `[ip]:port`: identity within the service port, and sort key. */
  get target(): string {
    return joinHostPort(this.address, this.port);
  }
}
