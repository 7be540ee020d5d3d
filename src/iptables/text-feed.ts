/**
 * Text for a process that reads at its own pace.
 *
 * What makes the text and what reads it work at the same time when there is always some text at hand. The kernel's buffer is
 * not enough for that: it tells that there is room when the reader has nearly emptied it, and making more takes as long as
 * reading the rest.
 *
 * @module
 */
import type { Writable } from "node:stream";
import { setImmediate } from "node:timers/promises";

/** Characters that may wait here: what a reader takes while garbage is being collected. */
const lookAhead = 512 * 1024;

/** Feeds one stream. It never fails: one that is broken takes everything and passes nothing on, and others will notice. */
export class TextFeed {
  readonly #stream: Writable;
  readonly #waiting: string[] = [];
  /** Characters waiting, and being written. */
  #length = 0;
  #isWriting = false;
  #onRoom: () => void = () => {};

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  /** Takes a piece of text. @returns a promise that resolves when the next one may be made */
  async push(text: string): Promise<void> {
    this.#waiting.push(text);
    this.#length += text.length;
    this.#write();
    if (this.#length > lookAhead) {
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
      });
    } else if (this.#isWriting) {
      // Only between two turns of the event loop is it seen that the stream has taken something.
      await setImmediate();
    }
  }

  /** Ends the stream. What still waits here is dropped. */
  end(): void {
    this.#waiting.length = 0;
    this.#stream.end();
  }

  /** One piece at a time, so that there is news of each; given several, a stream tells when it has taken the last one. */
  #write(): void {
    const text = this.#isWriting ? undefined : this.#waiting.shift();
    if (text === undefined) {
      return;
    }
    this.#isWriting = true;
    this.#stream.write(text, () => {
      this.#isWriting = false;
      this.#length -= text.length;
      this.#write();
      this.#onRoom();
    });
  }
}
