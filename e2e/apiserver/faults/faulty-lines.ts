/**
 * The lines of a watch on their way out, with the faults that count them.
 *
 * @module
 */
import type { LineSink } from "../reads/watcher.ts";
import type { ByteSink } from "./byte-sink.ts";
import type { FaultAction } from "./fault-action.ts";
import { findAction } from "./fault-action.ts";

/** A line that begins like an event and is cut off, newline included. */
const malformedLine = Buffer.from(`{"type":"MODIFIED","object":{"kind":"Serv\n`);

/** Passes lines on until a fault says otherwise. */
export class FaultyLines implements LineSink {
  readonly #bytes: ByteSink;
  readonly #endAfter: number;
  readonly #cutAfter: number;
  readonly #silentAfter: number;
  readonly #malformedAfter: number;
  #sent = 0;
  #closed = false;

  constructor(bytes: ByteSink, actions: readonly FaultAction[]) {
    this.#bytes = bytes;
    this.#endAfter = findAction(actions, "end")?.afterEvents ?? Number.POSITIVE_INFINITY;
    this.#cutAfter = eventsBefore(findAction(actions, "cut"));
    this.#silentAfter = eventsBefore(findAction(actions, "silence"));
    this.#malformedAfter = eventsBefore(findAction(actions, "malformed"));
    this.#reached();
  }

  get ready(): boolean {
    return this.#bytes.ready;
  }

  write(line: Buffer): void {
    if (this.#closed || this.#sent >= this.#silentAfter) return;
    if (this.#sent >= this.#cutAfter) {
      this.#bytes.write(line.subarray(0, line.length >>> 1));
      this.cut();
      return;
    }
    this.#bytes.write(line);
    this.#sent++;
    this.#reached();
  }

  end(): void {
    if (this.#closed || this.#sent >= this.#silentAfter) return;
    this.#closed = true;
    this.#bytes.end();
  }

  /** Closes the connection; a reader is left with half a line. */
  cut(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#bytes.cut();
  }

  /** Like {@link cut}, where no line is under way. */
  cutMidLine(): void {
    if (this.#closed) return;
    this.#bytes.write(malformedLine.subarray(0, -1));
    this.cut();
  }

  #reached(): void {
    if (this.#sent === this.#malformedAfter) this.#bytes.write(malformedLine);
    if (this.#sent >= this.#endAfter) this.end();
  }
}

function eventsBefore(action: { readonly afterEvents?: number } | undefined): number {
  return action === undefined ? Number.POSITIVE_INFINITY : (action.afterEvents ?? 0);
}
