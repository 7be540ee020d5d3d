/**
 * Cuts the JSON of a list response into its items as it arrives.
 *
 * A list of 10,000 slices has 40 MB. Parsed as a whole it costs ten times what is kept of it; cut into items, no more
 * than one item and one chunk are ever held. Everything around the items, the envelope, is small and is kept:
 * `{"kind":"ServiceList","metadata":{...},"items":[]}`.
 *
 * The splitter follows strings and brackets only. It finds the items of every well-formed document; of an
 * ill-formed one it gives pieces that JSON.parse then refuses.
 *
 * @module
 */
import { ByteParts } from "./byte-parts.ts";

const quote = 0x22;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** Greatest size of the envelope: a list's metadata, or a Status. */
const envelopeLimit = 1024 * 1024;

/** Cuts one document. */
export class ListSplitter {
  readonly #rest = new ByteParts();
  readonly #envelope: number[] = [];
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** Inside the list of items, which is at depth 2: an item reaches from depth 2 to 3 and back. */
  #inItems = false;

  /** The JSON text around the items; the list of items is empty in it. Complete when the document has ended. */
  get envelope(): string {
    return Buffer.from(this.#envelope).toString("utf8");
  }

  /**
   * The items that `chunk` completes, each the JSON of one object.
   *
   * Must be iterated to its end before the next chunk is pushed. Throws a RangeError when the envelope or an item is
   * too long.
   */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    let start = this.#inItem() ? 0 : -1;
    for (let index = 0; index < chunk.length; index++) {
      const byte = chunk[index] ?? 0;
      const before = this.#depth;
      const inItems = this.#inItems;
      this.#step(byte);
      if (!inItems) {
        this.#keep(byte);
      } else if (this.#depth > before && before === 2) {
        start = index;
      } else if (this.#depth < before && before === 3) {
        yield this.#rest.take(chunk.subarray(start, index + 1));
        start = -1;
      } else if (!this.#inItems) {
        this.#keep(byte);
      }
    }
    if (start >= 0) {
      this.#rest.add(chunk.subarray(start));
    }
  }

  #inItem(): boolean {
    return this.#inItems && this.#depth > 2;
  }

  #step(byte: number): void {
    if (this.#inString) {
      this.#stepInString(byte);
    } else if (byte === quote) {
      this.#inString = true;
    } else if (byte === openBrace || byte === openBracket) {
      if (byte === openBracket && this.#depth === 1 && this.#afterItemsKey()) {
        this.#inItems = true;
      }
      this.#depth += 1;
    } else if (byte === closeBrace || byte === closeBracket) {
      this.#depth -= 1;
      if (this.#depth < 2) {
        this.#inItems = false;
      }
    }
  }

  #stepInString(byte: number): void {
    if (this.#escaped) {
      this.#escaped = false;
    } else if (byte === backslash) {
      this.#escaped = true;
    } else if (byte === quote) {
      this.#inString = false;
    }
  }

  #keep(byte: number): void {
    if (this.#envelope.length >= envelopeLimit) {
      throw new RangeError(`Cannot read the list: it has more than ${envelopeLimit} bytes around its items`);
    }
    this.#envelope.push(byte);
  }

  /** Whether the envelope so far ends in `"items":`, white space allowed. */
  #afterItemsKey(): boolean {
    const tail = String.fromCharCode(...this.#envelope.slice(-32));
    return /"items"\s*:\s*$/.test(tail);
  }
}
