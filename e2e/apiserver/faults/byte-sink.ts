/**
 * Where bytes of an answer go, with the two things that only faults need: closing without an end, and small pieces.
 *
 * @module
 */
import type { ServerResponse } from "node:http";

/** The body of a response. */
export interface ByteSink {
  /** False while the reader is behind. */
  readonly ready: boolean;
  write(bytes: Buffer): void;
  /** Ends the body. */
  end(): void;
  /** Closes the connection behind what was written, without ending the body. */
  cut(): void;
}

/** The body of an HTTP response. */
export class ResponseSink implements ByteSink {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get ready(): boolean {
    return !this.#response.writableNeedDrain;
  }

  write(bytes: Buffer): void {
    if (!this.#response.destroyed) this.#response.write(bytes);
  }

  end(): void {
    if (!this.#response.destroyed) this.#response.end();
  }

  cut(): void {
    const { socket } = this.#response;
    // Writing nothing calls back when everything before it has left the process.
    if (socket === null || socket.destroyed) return;
    socket.write("", () => socket.destroy());
  }
}

/** Passes bytes on in small pieces, one in each turn of the event loop. */
export class DripSink implements ByteSink {
  readonly #inner: ByteSink;
  readonly #bytesPerWrite: number;
  readonly #drained: () => void;
  #waiting: Buffer = Buffer.alloc(0);
  #last: (() => void) | undefined;
  #running = false;

  /** @param drained called when everything is written and more may come */
  constructor(inner: ByteSink, bytesPerWrite: number, drained: () => void) {
    this.#inner = inner;
    this.#bytesPerWrite = Math.max(1, bytesPerWrite);
    this.#drained = drained;
  }

  get ready(): boolean {
    return this.#waiting.length === 0;
  }

  write(bytes: Buffer): void {
    this.#waiting = Buffer.concat([this.#waiting, bytes]);
    this.#run();
  }

  end(): void {
    this.#finishWith(() => this.#inner.end());
  }

  cut(): void {
    this.#finishWith(() => this.#inner.cut());
  }

  #finishWith(last: () => void): void {
    this.#last = last;
    this.#run();
  }

  #run(): void {
    if (this.#running) return;
    this.#running = true;
    setImmediate(() => this.#step());
  }

  #step(): void {
    this.#running = false;
    const piece = this.#waiting.subarray(0, this.#bytesPerWrite);
    this.#waiting = this.#waiting.subarray(piece.length);
    if (piece.length > 0) this.#inner.write(piece);
    if (this.#waiting.length > 0) this.#run();
    else if (this.#last !== undefined) this.#last();
    else this.#drained();
  }
}
