/**
 * The JSON log of a daemon, line by line: what a test waits for and what it judges afterwards.
 *
 * @module
 */
import type { Readable } from "node:stream";
import { eventually, type WaitOptions } from "./eventually.ts";

/** One line. Fields beside these are the message's own. */
export interface LogLine {
  readonly level: "info" | "warning" | "error";
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** A place between two lines: what comes later is looked at. */
export type LogMark = number;

/** Collects what a process writes. */
export class DaemonLog {
  readonly lines: LogLine[] = [];
  /** What was no JSON: complaints before logging begins, and crashes. */
  readonly other: string[] = [];
  #rest = "";

  constructor(stream: Readable) {
    stream.setEncoding("utf8").on("data", (text: string) => this.#take(text));
  }

  /** The place after the last line so far. */
  mark(): LogMark {
    return this.lines.length;
  }

  /** The lines with this message, after a mark. */
  find(message: string, since: LogMark = 0): readonly LogLine[] {
    return this.lines.slice(since).filter(({ msg }) => msg === message);
  }

  /** Waits for a line that comes after the mark. */
  waitFor(
    what: string,
    wanted: (line: LogLine) => boolean,
    since: LogMark = 0,
    options: WaitOptions = {},
  ): Promise<LogLine> {
    return eventually(what, () => this.lines.slice(since).find(wanted), options);
  }

  /** Errors and warnings after a mark, for a message about a failure. */
  complaints(since: LogMark = 0): readonly LogLine[] {
    return this.lines.slice(since).filter(({ level }) => level !== "info");
  }

  /** The last lines, for a message about a failure. */
  tail(count: number): string {
    return [...this.other, ...this.lines.slice(-count).map((line) => JSON.stringify(line))].join("\n");
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      try {
        this.lines.push(JSON.parse(line));
      } catch {
        this.other.push(line);
      }
    }
  }
}
