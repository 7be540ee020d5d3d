/**
 * A piece of a byte stream that may lie across many chunks, put together once when it is complete.
 *
 * The buffer doubles as it fills: joining at every chunk would make a line of megabytes that arrives in small chunks
 * cost the square of its length, and keeping the chunks apart would cost an object for each byte of a slow drip.
 *
 * @module
 */

/** Greatest size of one piece. The largest object that etcd takes is 1.5 MiB, which JSON may spell out to several. */
export const pieceLimit: number = 32 * 1024 * 1024;

/** First size of the buffer, and the largest that is kept for the next piece. */
const keptSize = 64 * 1024;

/** The beginning of a piece that is not complete yet. */
export class ByteParts {
  #buffer: Uint8Array = new Uint8Array(0);
  #size = 0;

  /** Adds bytes at the end. Throws a RangeError when the piece grows beyond {@link pieceLimit}. */
  add(part: Uint8Array): void {
    const size = this.#size + part.length;
    if (size > pieceLimit) {
      throw new RangeError(`Cannot read the stream: one object has more than ${pieceLimit} bytes`);
    }
    if (size > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(size, 2 * this.#buffer.length, keptSize));
      larger.set(this.#buffer.subarray(0, this.#size));
      this.#buffer = larger;
    }
    this.#buffer.set(part, this.#size);
    this.#size = size;
  }

  /** The whole piece, ended by `last`; the next one begins empty. */
  take(last: Uint8Array): Uint8Array {
    if (this.#size === 0) {
      return last;
    }
    this.add(last);
    const whole = this.#buffer.slice(0, this.#size);
    this.#size = 0;
    if (this.#buffer.length > keptSize) {
      this.#buffer = new Uint8Array(0);
    }
    return whole;
  }
}
