/**
 * The kernel's table of virtual and real servers as text, /proc/net/ip_vs.
 *
 * Edge. The file is that of the network namespace in which it was opened, for ever, like a socket.
 *
 * @module
 */
import { closeSync, openSync, readSync } from "node:fs";

/** The table. */
export interface ServerTable extends Disposable {
  /**
   * Reads it from its beginning, each piece when it is asked for. It may change in between: then entries are missed or
   * come twice, but none comes in half. It ends early where it cannot be read.
   */
  pieces(): Iterable<string>;
}

/** A table that says nothing. */
export const noServerTable: ServerTable = { pieces: () => [], [Symbol.dispose]: () => {} };

/** The file. A thread has its own namespace. */
const path = "/proc/thread-self/net/ip_vs";

/** The kernel gives a page at a time, more only where one virtual server needs it. */
const pieceBytes = 64 * 1024;

/** Opens the table of the calling thread's network namespace; it is there once IPVS is. Without one it is as if it were empty. */
export function openServerTable(): ServerTable {
  try {
    return new TableFile(openSync(path, "r"));
  } catch {
    return noServerTable;
  }
}

class TableFile implements ServerTable {
  /** Undefined once closed. */
  #descriptor: number | undefined;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  *pieces(): Iterable<string> {
    const buffer = Buffer.allocUnsafe(pieceBytes);
    for (let position = 0; ; ) {
      const length = this.#read(buffer, position);
      if (length === 0) {
        return;
      }
      position += length;
      yield buffer.toString("latin1", 0, length);
    }
  }

  [Symbol.dispose](): void {
    if (this.#descriptor !== undefined) {
      closeSync(this.#descriptor);
      this.#descriptor = undefined;
    }
  }

  #read(buffer: Buffer, position: number): number {
    try {
      return this.#descriptor === undefined
        ? 0
        : readSync(this.#descriptor, buffer, 0, buffer.length, position);
    } catch {
      return 0;
    }
  }
}
