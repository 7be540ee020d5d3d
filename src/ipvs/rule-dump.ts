/**
 * Hands a dump of iptables-save on, and tells at its end what was wrong with it.
 *
 * @module
 */
import { DumpNotes } from "../iptables/dump-notes.ts";
import { ToolError } from "../iptables/tools.ts";
import type { Family } from "../proxier/address.ts";
import { ruleTables } from "./fixed-chains.ts";

/** One dump of all tables. */
export class RuleDump {
  readonly #family: Family;
  readonly #take: (text: string) => void;
  readonly #notes = new DumpNotes(ruleTables);
  #failure: unknown;

  /** @param take takes the text; what it throws is told at the end */
  constructor(family: Family, take: (text: string) => void) {
    this.#family = family;
    this.#take = take;
  }

  /** Takes the next piece, cut anywhere. Never throws. */
  push(text: string): void {
    this.#notes.push(text);
    try {
      this.#take(text);
    } catch (error) {
      this.#failure ??= error;
    }
  }

  /** @throws ToolError when what came cannot be read, or leaves out a table that holds rules of ours */
  finish(): void {
    const failure = this.#failure;
    const problem =
      failure === undefined
        ? this.#notes.problem
        : failure instanceof Error
          ? failure.message
          : String(failure);
    if (problem !== undefined) {
      throw new ToolError(`Cannot read the ${this.#family} rules: ${problem}`, { cause: failure });
    }
  }
}
