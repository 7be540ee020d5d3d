/**
 * Claims: who owns an address, port and protocol when several Services ask for it.
 *
 * The API does not prevent two Services from naming the same external address, nor one from naming another one's
 * ClusterIP (CVE-2020-8554). A ClusterIP, which the API server hands out, beats everything that a user writes, also on ports
 * that its Service does not have; after that the claimant whose display name sorts first wins, whatever the order of
 * events. The others lose that frontend until the winner lets go. Within one service port the first kind in the order ClusterIP, ExternalIP, LoadBalancer
 * wins.
 *
 * @module
 */

import type { Address } from "./address.ts";
import type { Protocol } from "./objects.ts";
import type { Frontend, FrontendKind } from "./plan.ts";
import type { ServicePort } from "./service-port.ts";

/** A frontend before it is known who owns it. */
export interface Claim {
  readonly kind: FrontendKind;
  /** Undefined for a NodePort. */
  readonly address: Address | undefined;
  readonly port: number;
  /** Identity of what is claimed. */
  readonly key: string;
}

/** One who asks: a service port, by what orders claimants. */
export interface Claimant {
  readonly displayName: string;
  readonly service: string;
  readonly isClusterIP: boolean;
}

/** A claim as one Service has entered it. */
export interface HeldClaim {
  readonly key: string;
  readonly displayName: string;
  readonly isClusterIP: boolean;
}

/** Everything a service port asks for, in order of precedence within the port. */
export function claimsOf(port: ServicePort): Claim[] {
  const claims = new Map<string, Claim>();
  const add = (kind: FrontendKind, address: Address | undefined, number: number): void => {
    const key = claimKey(port.protocol, address, number);
    if (!claims.has(key)) {
      claims.set(key, { kind, address, port: number, key });
    }
  };
  add("ClusterIP", port.clusterIP, port.port);
  for (const address of port.externalIPs) {
    add("ExternalIP", address, port.port);
  }
  for (const address of port.loadBalancerVIPs) {
    add("LoadBalancer", address, port.port);
  }
  if (port.nodePort !== 0) {
    add("NodePort", undefined, port.nodePort);
  }
  return [...claims.values()];
}

/** `TCP 10.96.0.1 80`, or `TCP node 30080`: a NodePort is claimed on every address of the node. */
export function claimKey(protocol: Protocol, address: Address | undefined, port: number): string {
  return `${protocol} ${address ?? "node"} ${port}`;
}

/** The address of {@link claimKey}; undefined for a NodePort. */
export function claimedAddress(key: string): Address | undefined {
  const [, address = ""] = key.split(" ");
  return address === "node" ? undefined : (address as Address);
}

/** Text of a claim for people. */
export function describeClaim(
  claim: Pick<Frontend, "kind" | "address" | "port">,
  protocol: Protocol,
): string {
  return claim.address === undefined
    ? `node port ${claim.port}/${protocol}`
    : `${claim.address} port ${claim.port}/${protocol}`;
}

/** What a Service asks for no longer, and what it did not ask for before. */
export function claimChanges(
  held: readonly HeldClaim[],
  wanted: readonly HeldClaim[],
): { readonly withdrawn: readonly HeldClaim[]; readonly entered: readonly HeldClaim[] } {
  const identity = (claim: HeldClaim): string => `${claim.displayName} ${claim.isClusterIP} ${claim.key}`;
  const before = new Set(held.map(identity));
  const after = new Set(wanted.map(identity));
  return {
    withdrawn: held.filter((claim) => !after.has(identity(claim))),
    entered: wanted.filter((claim) => !before.has(identity(claim))),
  };
}

/** All claims of one family. Answers who wins, and who is affected when claims come and go. */
export class ClaimRegistry {
  /** Nearly every key has one claimant, so it is kept bare; several are a list sorted by display name. */
  readonly #claimants = new Map<string, Claimant | readonly Claimant[]>();

  /**
   * Adds a claim.
   *
   * @returns the other claimants of the key, if the owner is another one now
   */
  add(key: string, claimant: Claimant): readonly Claimant[] {
    const before = this.winner(key);
    const others = this.#list(key).filter((one) => one.displayName !== claimant.displayName);
    this.#store(key, [...others, claimant].sort(byPrecedence));
    return this.winner(key)?.displayName === before?.displayName ? [] : others;
  }

  /**
   * Withdraws a claim. Withdrawing what is not there is no error.
   *
   * @returns the remaining claimants of the key, if the owner is another one now
   */
  remove(key: string, displayName: string): readonly Claimant[] {
    const before = this.winner(key);
    const rest = this.#list(key).filter((one) => one.displayName !== displayName);
    this.#store(key, rest);
    return this.winner(key)?.displayName === before?.displayName ? [] : rest;
  }

  /** Everybody who claims the key. */
  claimants(key: string): readonly Claimant[] {
    return this.#list(key);
  }

  /** The claimant that owns the key. */
  winner(key: string): Claimant | undefined {
    return this.#list(key)[0];
  }

  #list(key: string): readonly Claimant[] {
    const known = this.#claimants.get(key);
    if (known === undefined) {
      return [];
    }
    return Array.isArray(known) ? known : [known as Claimant];
  }

  #store(key: string, claimants: readonly Claimant[]): void {
    const [first] = claimants;
    if (first === undefined) {
      this.#claimants.delete(key);
    } else {
      this.#claimants.set(key, claimants.length === 1 ? first : claimants);
    }
  }
}

function byPrecedence(a: Claimant, b: Claimant): number {
  if (a.isClusterIP !== b.isClusterIP) {
    return a.isClusterIP ? -1 : 1;
  }
  return a.displayName < b.displayName ? -1 : 1;
}
