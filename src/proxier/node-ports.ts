/**
 * NodePort addresses: on which local addresses NodePorts answer.
 *
 * Follows kube-proxy's `nodePortAddresses`: CIDRs of one family restrict that family only; a family without any is
 * unrestricted; a CIDR of length zero lifts the restriction. Loopback destinations are special because a packet
 * from 127.0.0.1 can only leave the host with `route_localnet`.
 *
 * @module
 */
import { type Address, type Cidr, cidrContains, type Family, familyOf, isLoopback } from "./address.ts";
import type { NodePortAddresses } from "./plan.ts";

/** The setting for one family, as configured. */
export interface NodePortPolicy {
  readonly family: Family;
  /** Empty means every local address. */
  readonly cidrs: readonly Cidr[];
  /** Whether the CIDRs let loopback addresses in (IPv4 only). */
  readonly containsLoopback: boolean;
}

const loopbackNetwork = "127.0.0.0" as Address;

/** Reads the configured list (`primary` already replaced by addresses) for one family. */
export function nodePortPolicy(configured: readonly Cidr[], family: Family): NodePortPolicy {
  const ofFamily = configured.filter((cidr) => cidr.family === family);
  const firstWhole = ofFamily.findIndex((cidr) => cidr.prefix === 0);
  // Everything behind a CIDR that holds all addresses is out of consideration, for loopback as well.
  const considered = firstWhole < 0 ? ofFamily : ofFamily.slice(0, firstWhole + 1);
  const loopback = considered.length === 0 || considered.some(admitsLoopback);
  return {
    family,
    cidrs: firstWhole < 0 ? ofFamily : [],
    containsLoopback: family === "IPv4" && loopback,
  };
}

/** Whether NodePorts answer on 127.0.0.0/8. */
export function localhostNodePortsInEffect(policy: NodePortPolicy, wanted: boolean): boolean {
  return policy.family === "IPv4" && wanted && policy.containsLoopback;
}

/**
 * The addresses that take NodePort traffic now.
 *
 * @param localAddresses every address on the node's interfaces; not needed (may be empty) when nothing restricts them
 * @param localhost whether NodePorts answer on loopback, from {@link localhostNodePortsInEffect}
 */
export function resolveNodePorts(
  policy: NodePortPolicy,
  localAddresses: readonly Address[],
  localhost: boolean,
): NodePortAddresses {
  if (policy.cidrs.length === 0) {
    return { kind: "all", loopback: localhost };
  }
  const addresses = new Set(
    localAddresses.filter(
      (address) =>
        familyOf(address) === policy.family &&
        policy.cidrs.some((cidr) => cidrContains(cidr, address)) &&
        (localhost || !isLoopback(address)),
    ),
  );
  return { kind: "listed", addresses: [...addresses].sort() };
}

function admitsLoopback(cidr: Cidr): boolean {
  return cidr.family === "IPv4" && (cidr.address.startsWith("127.") || cidrContains(cidr, loopbackNetwork));
}
