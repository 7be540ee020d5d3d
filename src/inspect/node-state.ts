/**
 * What a node's kernel holds that decides about a connection, read from it or made from a Plan.
 *
 * @module
 */
import type { RuleEdit, Ruleset, Table, TracedSet } from "../iptables/builder/mod.ts";
import type { TableEntry } from "../ipvs/netlink/table-entry.ts";
import { entryText } from "../netlink/ipset-entry.ts";
import type { ObservedSet } from "../netlink/ipset-list.ts";
import type { Family } from "../proxier/address.ts";

/** A client of a `recent` list. */
export interface RecentEntry {
  /** Since its last packet that a rule noted; undefined where the kernel does not show its clock. */
  readonly secondsAgo: number | undefined;
}

/** A client that IPVS binds to a real server. */
export interface PersistenceTemplate {
  /** As in the virtual server's name; of a firewall mark `FWM 7`. */
  readonly server: string;
  readonly client: string;
  /** `address:port`. */
  readonly target: string;
  readonly secondsLeft: number;
}

/** Clients that are remembered. */
export interface NodeMemory {
  /** By list and address. */
  readonly recent: Pick<ReadonlyMap<string, ReadonlyMap<string, RecentEntry>>, "get">;
  /** Seconds left, by set and address. */
  readonly sets: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly templates: readonly PersistenceTemplate[];
}

/** One family. */
export interface NodeState {
  readonly family: Family;
  readonly ruleset: Ruleset;
  /** Those that do not remember clients. */
  readonly sets: ReadonlyMap<string, TracedSet>;
  readonly servers: readonly TableEntry[];
  /** On all interfaces. */
  readonly localAddresses: ReadonlySet<string>;
  readonly memory: NodeMemory;
}

/** Nobody is remembered. */
export const noMemory: NodeMemory = { recent: new Map(), sets: new Map(), templates: [] };

/** A set for the tracer. */
export function tracedSet({ type, entries = [] }: Pick<ObservedSet, "type" | "entries">): TracedSet {
  const marks = new Map<string, number>();
  for (const entry of entries) {
    if ("mark" in entry && entry.mark !== undefined) {
      marks.set(entryText(entry), entry.mark);
    }
  }
  return { type, entries: new Set(entries.map(entryText)), marks };
}

/** Whether a set remembers the clients of an endpoint. */
export function isAffinitySet(name: string): boolean {
  return /^KUBE-(6-)?SEP-/.test(name);
}

/** Restore text that was parsed, as the kernel holds it once it has been sent to an empty one. */
export function applyEdits(ruleset: Ruleset): Ruleset {
  const tables = new Map<string, Table>();
  for (const table of ruleset.tables) {
    const known = tables.get(table.name);
    const chains = [...(known?.chains ?? []), ...table.chains];
    tables.set(table.name, { name: table.name, chains: (table.edits ?? []).reduce(applyEdit, chains) });
  }
  return { tables: [...tables.values()] };
}

function applyEdit(chains: readonly Table["chains"][number][], edit: RuleEdit): Table["chains"][number][] {
  const { chain: name, rule, operation } = edit;
  const known = chains.find((one) => one.name === name) ?? { name, rules: [] };
  const rules = operation === "insert" ? [rule, ...known.rules] : [...known.rules, rule];
  return [...chains.filter((one) => one !== known), { ...known, rules }];
}
