/**
 * What all Services together want of the kernel, kept Service by Service.
 *
 * Pure. Kept is who wants what, not what it looks like: a Service's tables are made anew whenever they are needed, so that
 * the memory for a Service is a few names. Two may want the same virtual server (an external address that is a node's,
 * and a node port): the one with the lower rank has it, then the first by name. Entries and addresses can be wanted by any
 * number; they are there as long as anybody wants them.
 *
 * @module
 */
import { entryText } from "../netlink/ipset-entry.ts";
import type { Address } from "../proxier/address.ts";
import type { ObjectKey } from "../proxier/objects.ts";
import type { ServiceTables, WantedEntry } from "./service-tables.ts";
import type { SetRole } from "./sets.ts";

/** Who wants something. Not only Services: the node wants entries, and so does a virtual server that drains. */
export type Owner = ObjectKey;

interface Claim {
  readonly owner: Owner;
  readonly rank: number;
}

/** What changed hands by a fold. */
export interface Folded {
  /** Things that nobody wants any more. */
  readonly abandoned: readonly string[];
  /** Owners that get what another one gave up: to be folded again. */
  readonly heirs: readonly Owner[];
}

/** Key of a virtual server among things that are wanted. */
export function serverKey(name: string): string {
  return `server ${name}`;
}

/** Key of a set's entry. */
export function entryKey({ role, entry }: WantedEntry): string {
  return `entry ${role} ${entryText(entry)}`;
}

/** Key of a bound address. */
export function addressKey(address: string): string {
  return `address ${address}`;
}

/** What a key stands for. */
export type Thing =
  | { readonly kind: "server"; readonly name: string }
  | { readonly kind: "entry"; readonly role: SetRole; readonly text: string }
  | { readonly kind: "address"; readonly address: Address };

/** Reads a key that was made here. */
export function thingOf(key: string): Thing {
  const [, kind, rest = ""] = /^(server|entry|address) (.*)$/.exec(key) ?? [];
  switch (kind) {
    case "server":
      return { kind, name: rest };
    case "entry": {
      const [role, text] = rest.split(" ");
      return { kind, role: role as SetRole, text: text ?? "" };
    }
    case "address":
      return { kind, address: rest as Address };
    default:
      throw new RangeError(`Cannot read key ${JSON.stringify(key)}`);
  }
}

/** Who wants what. */
export class WantedState {
  readonly #claims = new Map<string, Claim | readonly Claim[]>();
  readonly #keys = new Map<Owner, readonly string[]>();

  /** Owners that want anything. */
  owners(): Iterable<Owner> {
    return this.#keys.keys();
  }

  /** Whether anybody wants it. */
  has(key: string): boolean {
    return this.#claims.has(key);
  }

  /** Everybody who wants it, the one that has it first. */
  ownersOf(key: string): readonly Owner[] {
    const claims = this.#claims.get(key);
    return claims === undefined ? [] : claimList(claims).map(({ owner }) => owner);
  }

  /** Whether the owner is the one that has it: what another one has is not its to write. */
  isHeldBy(key: string, owner: Owner): boolean {
    const claims = this.#claims.get(key);
    const [first] = claims === undefined ? [] : claimList(claims);
    return first?.owner === owner;
  }

  /** Replaces what an owner wants. */
  fold(owner: Owner, tables: ServiceTables): Folded {
    const wanted = new Map<string, number>();
    for (const server of tables.servers) {
      wanted.set(serverKey(server.name), server.rank);
    }
    for (const entry of tables.entries) {
      wanted.set(entryKey(entry), entry.rank ?? 0);
    }
    for (const address of tables.addresses) {
      wanted.set(addressKey(address), 0);
    }
    const abandoned: string[] = [];
    const heirs = new Set<Owner>();
    for (const key of this.#keys.get(owner) ?? []) {
      if (!wanted.has(key)) {
        this.#withdraw(key, owner, abandoned, heirs);
      }
    }
    for (const [key, rank] of wanted) {
      this.#enter(key, { owner, rank });
    }
    if (wanted.size === 0) {
      this.#keys.delete(owner);
    } else {
      this.#keys.set(owner, [...wanted.keys()]);
    }
    return { abandoned, heirs: [...heirs] };
  }

  #withdraw(key: string, owner: Owner, abandoned: string[], heirs: Set<Owner>): void {
    const claims = this.#claims.get(key);
    const left = claims === undefined ? [] : claimList(claims).filter((claim) => claim.owner !== owner);
    const [heir, ...others] = left;
    if (heir === undefined) {
      this.#claims.delete(key);
      abandoned.push(key);
      return;
    }
    if (this.isHeldBy(key, owner)) {
      heirs.add(heir.owner);
    }
    this.#claims.set(key, others.length === 0 ? heir : left);
  }

  #enter(key: string, claim: Claim): void {
    const claims = this.#claims.get(key);
    if (claims === undefined) {
      this.#claims.set(key, claim);
      return;
    }
    const others = claimList(claims).filter(({ owner }) => owner !== claim.owner);
    const all = [...others, claim].sort(byRankAndName);
    this.#claims.set(key, all.length === 1 ? claim : all);
  }
}

function claimList(claims: Claim | readonly Claim[]): readonly Claim[] {
  return "owner" in claims ? [claims] : claims;
}

function byRankAndName(a: Claim, b: Claim): number {
  return a.rank - b.rank || (a.owner < b.owner ? -1 : 1);
}
