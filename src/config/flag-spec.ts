/**
 * The shape of a table of flags. A table is the one source for parsing, for the help text and for the values of flags
 * that are not given.
 *
 * @module
 */
import type { FlagType } from "./flag-types.ts";

/** One flag. */
export interface FlagSpec<T> {
  readonly type: FlagType<T>;
  /** The value when the flag is not given. */
  readonly initial: T;
  /** One sentence or more for the help text. */
  readonly help: string;
  /** The field of the configuration file that it equals, e.g. `iptables.masqueradeBit`. */
  readonly field?: string;
  /** Single letter for `-x`. */
  readonly shorthand?: string;
  /** The flag to use in its place. Set only for flags that will go away. */
  readonly replacement?: string;
  /** Set when an empty value changes nothing although one would expect it to; giving one is a warning. */
  readonly emptyIsIgnored?: true;
}

/** A flag for each member of `V`, by name without the leading hyphens. */
export type FlagTable<V> = { readonly [K in keyof V]-?: FlagSpec<V[K]> };
