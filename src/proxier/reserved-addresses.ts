/**
 * Addresses that Services may not claim for themselves, whatever they write: what somebody else on the network answers at.
 *
 * Without this a tenant who may write Services takes over traffic to a node, to pods, or to the API server (CVE-2020-8554).
 * ClusterIPs of other Services are protected in `claims.ts`.
 *
 * @module
 */
import { type Address, type Cidr, cidrContains, endpointAddressProblem } from "./address.ts";

/** An address or a network that is taken. */
export interface ReservedAddress {
  readonly cidr: Cidr;
  /** As in `it is an address of this node`. */
  readonly what: string;
  /** Whether load-balancer addresses may lie here all the same: controllers write these, not users. */
  readonly mayBalance: boolean;
}

/** Why an external address may not be claimed; undefined when it may. */
export function reservation(
  address: Address,
  field: "externalIPs" | "loadBalancer",
  reserved: readonly ReservedAddress[],
): string | undefined {
  const special = endpointAddressProblem(address);
  if (special !== undefined) {
    return `it is ${special}`;
  }
  return reserved.find(
    ({ cidr, mayBalance }) => !(mayBalance && field === "loadBalancer") && cidrContains(cidr, address),
  )?.what;
}
