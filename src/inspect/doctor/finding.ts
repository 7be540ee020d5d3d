/**
 * A finding: what is the matter with one thing on this node, why it matters, and the command that mends it.
 *
 * @module
 */
import { catalogue, type FindingId } from "./catalogue.ts";

/**
 * How bad it is. `error`: traffic fails, or will. `warning`: works, with a trap. `ok`: looked at and in order.
 * `unknown`: could not be looked at, which is never taken for in order.
 */
export type FindingLevel = "error" | "warning" | "ok" | "unknown";

/** Levels, the worst first. */
export const findingLevels: readonly FindingLevel[] = ["error", "warning", "unknown", "ok"];

/** One finding. */
export interface Finding {
  readonly id: FindingId;
  readonly level: FindingLevel;
  /** What was found here, with the values that were seen. */
  readonly what: string;
  /** What it does to traffic. */
  readonly why: string;
  /** The command that mends it. */
  readonly mend: string;
}

/** Something that was looked at: its value, or why it could not be seen. */
export type Fact<T> =
  | { readonly known: true; readonly value: T }
  | { readonly known: false; readonly reason: string };

/** A fact that was seen. */
export function known<T>(value: T): Fact<T> {
  return { known: true, value };
}

/** A fact that could not be seen. */
export function unknown<T>(reason: string): Fact<T> {
  return { known: false, reason };
}

/** Makes a finding; what the catalogue says of it is added. */
export function finding(id: FindingId, level: FindingLevel, what: string, mend?: string): Finding {
  const entry = catalogue[id];
  return { id, level, what, why: entry.why, mend: mend ?? entry.mend };
}

/** The finding of something that could not be looked at. */
export function notSeen(id: FindingId, reason: string): Finding {
  return finding(id, "unknown", reason);
}

/** A finding by a fact: what `judge` makes of its value, or that it could not be seen. */
export function judged<T>(id: FindingId, fact: Fact<T>, judge: (value: T) => Finding): Finding {
  return fact.known ? judge(fact.value) : notSeen(id, fact.reason);
}

/** Several names for one line: the first few, and how many more. */
export function someOf(names: readonly string[], most = 3): string {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
