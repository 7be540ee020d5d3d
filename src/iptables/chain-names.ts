/**
 * Chain names.
 *
 * Names are kube-proxy's where the chain is the same thing, so that operators' knowledge carries over and a node can
 * be taken over in place. Chains that kube-proxy does not have (branches of a dispatch tree, parts of a long endpoint
 * list) carry one of the prefixes that kube-proxy sweeps as stale in the table nat: after a return to kube-proxy nothing of
 * ours is left there that could keep its own chains from being deleted. In the table filter it sweeps nothing; branches
 * of ours stay there, and nothing leads to them.
 *
 * The kernel allows 28 characters (XT_EXTENSION_MAXNAMELEN minus the terminating zero).
 *
 * @module
 */
import { hash } from "node:crypto";
import type { Protocol } from "../proxier/objects.ts";

/** Longest chain name that the kernel takes. */
export const maxChainNameLength = 28;

/** Prefixes of per-service chains in the nat table. Every chain that starts with one of them is ours. */
export const servicePrefixes = ["KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-FW-", "KUBE-EXT-"] as const;

/** One of {@link servicePrefixes}. */
export type ServicePrefix = (typeof servicePrefixes)[number];

/** Whether the chain of the nat or filter table belongs to a Service, an endpoint or a dispatch tree. */
export function isServiceChain(name: string): boolean {
  return servicePrefixes.some((prefix) => name.startsWith(prefix));
}

/**
 * The 16 characters that identify a service port in chain names: base32 (RFC 4648) of the SHA-256 of display name and
 * lower-case protocol, as kube-proxy computes it.
 */
export function servicePortHash(displayName: string, protocol: Protocol): string {
  return hash16(displayName + protocol.toLowerCase());
}

/** The 16 characters that identify an endpoint of a service port. `target` is `ip:port`. */
export function endpointHash(displayName: string, protocol: Protocol, target: string): string {
  return hash16(displayName + protocol.toLowerCase() + target);
}

/** Name of the chain, and of the list of recent clients, of one endpoint. */
export function endpointChainName(displayName: string, protocol: Protocol, target: string): string {
  return `KUBE-SEP-${endpointHash(displayName, protocol, target)}`;
}

/** Name of a branch of a dispatch tree: readable when it fits, hashed when not (long IPv6 prefixes). */
export function branchChainName(prefix: ServicePrefix, text: string): string {
  const name = prefix + text;
  return name.length <= maxChainNameLength ? name : prefix + hash16(text);
}

/** Name of part `index` of a long endpoint list: the list's chain and up to two base-36 digits. */
export function partChainName(listChain: string, index: number): string {
  return `${listChain}-${index.toString(36)}`;
}

/** Most parts that {@link partChainName} can name within the kernel's limit. */
export const maxParts: number = 36 * 36;

const alphabet = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"];

/** All pairs of characters: ten bits each. */
const pairs: readonly string[] = alphabet.flatMap((first) => alphabet.map((second) => first + second));

/** The first 16 base32 characters are the first 10 bytes. */
function hash16(text: string): string {
  const digest = hash("sha256", text, "buffer");
  let result = "";
  for (let at = 0; at < 10; at += 5) {
    const high = digest.readUIntBE(at, 3) >> 4;
    const low = digest.readUIntBE(at + 2, 3) & 0xf_ffff;
    result += `${pairs[high >> 10]}${pairs[high & 1023]}${pairs[low >> 10]}${pairs[low & 1023]}`;
  }
  return result;
}
