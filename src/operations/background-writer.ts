/**
 * Writes log lines to a file descriptor in the background.
 *
 * Standard error is a pipe to the container runtime. When its reader stalls, a synchronous write stalls with it, and
 * Services would go stale because a log is not read. Here one write is under way at a time, outside the event loop;
 * what comes meanwhile waits, and when too much waits lines are lost and counted. pino's own asynchronous destination
 * is not used: when the descriptor fails, its flush never returns.
 *
 * Invariants
 * - Lines are written in the order in which they came; only a descriptor that fails can cut one short.
 * - Nothing throws: a log that cannot be written is no reason to stop.
 *
 * @module
 */
import { write } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

/** Where lines go. */
export interface LogSink {
  /** Takes one line, newline included. */
  write(line: string): void;
  /** Resolves when everything taken so far is written or lost. */
  flush(): Promise<void>;
  /** Lines that were taken and never written. */
  readonly lostLines: number;
}

/** Writes some of the bytes. @returns how many */
export type WriteSome = (fd: number, bytes: Uint8Array) => Promise<number>;

/** Before a descriptor that takes nothing now is tried again. */
const retryMs = 20;

const promisedWrite = promisify(write);

/** A sink for one file descriptor, which stays the caller's to close. */
export class BackgroundWriter implements LogSink {
  readonly #fd: number;
  readonly #maxWaitingBytes: number;
  readonly #writeSome: WriteSome;
  readonly #pause: () => Promise<unknown>;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #lostLines = 0;

  /** `writeSome` and `pause` are replaced in tests. */
  constructor(
    fd: number,
    maxWaitingBytes: number = 4 << 20,
    writeSome: WriteSome = writeBytes,
    pause: () => Promise<unknown> = () => sleep(retryMs),
  ) {
    this.#pause = pause;
    this.#fd = fd;
    this.#maxWaitingBytes = maxWaitingBytes;
    this.#writeSome = writeSome;
  }

  get lostLines(): number {
    return this.#lostLines;
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#waitingBytes + bytes > this.#maxWaitingBytes) {
      this.#lostLines++;
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += bytes;
    this.#writing ??= this.#drain();
  }

  async flush(): Promise<void> {
    await this.#writing;
  }

  /** Runs until nothing waits. Begins at once, so that a quiet program's line is not held back. */
  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      this.#waitingBytes = 0;
      try {
        await this.#writeAll(Buffer.from(lines.join("")));
      } catch {
        this.#lostLines += lines.length;
      }
    }
    this.#writing = undefined;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      try {
        written += await this.#writeSome(this.#fd, bytes.subarray(written));
      } catch (error) {
        if (!isBusy(error)) {
          throw error;
        }
        await this.#pause();
      }
    }
  }
}

async function writeBytes(fd: number, bytes: Uint8Array): Promise<number> {
  const { bytesWritten } = await promisedWrite(fd, bytes);
  return bytesWritten;
}

/** The other end of a non-blocking pipe has no room now. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EAGAIN";
}
