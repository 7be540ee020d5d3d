/**
 * Names of the ipsets that remember clients, where affinity is kept in sets.
 *
 * @module
 */
import type { Family } from "../proxier/address.ts";

/**
 * The set of clients that an endpoint remembers: the name of its chain, with kube-proxy's `KUBE-6-` for IPv6 because
 * sets, unlike chains, share one name space between the families. The kernel allows 31 characters.
 */
export function affinitySetName(family: Family, endpointChain: string): string {
  return family === "IPv4" ? endpointChain : endpointChain.replace(/^KUBE-/, "KUBE-6-");
}
