/**
 * What iptables-save says about tables that it leaves out.
 *
 * `iptables-nft-save` ends well when a table holds what iptables cannot express, and prints a note in place of the table. Who
 * took such a table for empty would write into it what is there already.
 *
 * Pure.
 *
 * @module
 */

const note = /^# Table `(\w+)' is incompatible/gm;

/** Looks for the notes in a dump that comes in pieces, cut anywhere. */
export class DumpNotes {
  readonly #tables: ReadonlySet<string>;
  readonly #found = new Set<string>();
  /** A line whose end has not come yet. */
  #rest = "";

  /** @param tables those that matter; what others have in tables of their own does not */
  constructor(tables: Iterable<string>) {
    this.#tables = new Set(tables);
  }

  push(text: string): void {
    const whole = this.#rest + text;
    const end = whole.lastIndexOf("\n") + 1;
    this.#rest = whole.slice(end);
    for (const [, table = ""] of whole.slice(0, end).matchAll(note)) {
      if (this.#tables.has(table)) {
        this.#found.add(table);
      }
    }
  }

  /** What is wrong, to be read behind "Cannot read the rules:"; undefined when every table could be read. */
  get problem(): string | undefined {
    return this.#found.size === 0
      ? undefined
      : `table ${[...this.#found].join(", ")} holds what iptables cannot express`;
  }
}
