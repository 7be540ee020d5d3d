/**
 * Texts handed on in large pieces.
 *
 * Each text becomes bytes at once: a long text that is added to a longer one is kept as a tree of all its parts until somebody
 * reads it, and a hundred thousand lines of such trees are more than the table that they tell of.
 *
 * @module
 */

const pieceLength = 65_536;

/** UTF-8 needs no more for a unit of a string. */
const mostBytes = 3;

/** Collects texts. */
export class PieceWriter {
  readonly #print: (piece: Uint8Array) => void;
  #bytes = Buffer.allocUnsafeSlow(pieceLength);
  #length = 0;

  /** @param print takes a piece, which is its own from then on */
  constructor(print: (piece: Uint8Array) => void) {
    this.#print = print;
  }

  write(text: string): void {
    if (text.length * mostBytes > pieceLength - this.#length) {
      this.flush();
      if (text.length * mostBytes > pieceLength) {
        this.#print(Buffer.from(text));
        return;
      }
    }
    this.#length += this.#bytes.write(text, this.#length);
  }

  /** Hands on what there is. */
  flush(): void {
    if (this.#length === 0) return;
    this.#print(this.#bytes.subarray(0, this.#length));
    this.#bytes = Buffer.allocUnsafeSlow(pieceLength);
    this.#length = 0;
  }
}
