/**
 * Cuts a byte stream into lines, as the frames of a watch.
 *
 * Works on bytes: a line break byte cannot be part of a longer UTF-8 sequence, so chunk borders may fall anywhere,
 * also inside a character. A last line without a line break is an incomplete event and never comes out.
 *
 * @module
 */
import { ByteParts } from "./byte-parts.ts";

const lineBreak = 0x0a;

/** Cuts one stream. */
export class LineSplitter {
  readonly #rest = new ByteParts();

  /**
   * The lines that `chunk` completes, without their line breaks; empty lines are left out.
   *
   * Must be iterated to its end before the next chunk is pushed. Throws a RangeError when a line is too long.
   */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    let start = 0;
    let end = chunk.indexOf(lineBreak);
    while (end >= 0) {
      const line = this.#rest.take(chunk.subarray(start, end));
      if (line.length > 0) {
        yield line;
      }
      start = end + 1;
      end = chunk.indexOf(lineBreak, start);
    }
    this.#rest.add(chunk.subarray(start));
  }
}
