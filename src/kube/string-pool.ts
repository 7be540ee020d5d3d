/**
 * One copy of texts that repeat: node names, zones, namespaces, port names.
 *
 * Every parsed object brings its own copies. In a cluster of 100,000 endpoints the same few thousand texts repeat,
 * and sharing them halves what an endpoint costs.
 *
 * Invariant: a pool is bounded. When it is full it starts afresh; texts that are in use stay alive through their
 * users, only the sharing begins anew. Names that come and go can therefore not make it grow for ever.
 *
 * @module
 */

/** Most texts that a pool remembers. */
const poolLimit = 8192;

/** A bounded pool of texts and of short lists of texts. */
export class StringPool {
  /** Whether decoding keeps the names of pods, which a proxy has no use for, and of which there is one an endpoint. */
  readonly keepsPods: boolean;
  readonly #texts = new Map<string, string>();
  readonly #singles = new Map<string, readonly string[]>();

  constructor(options: { readonly keepsPods?: boolean } = {}) {
    this.keepsPods = options.keepsPods ?? false;
  }

  /** A text equal to `text`, the same one for equal texts. */
  text(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) {
      return known;
    }
    if (this.#texts.size >= poolLimit) {
      this.#texts.clear();
    }
    this.#texts.set(text, text);
    return text;
  }

  /** A list equal to `texts`; lists of no or one entry are shared. */
  list(texts: readonly string[]): readonly string[] {
    const [first] = texts;
    if (first === undefined) {
      return noTexts;
    }
    if (texts.length > 1) {
      return texts.map((text) => this.text(text));
    }
    const known = this.#singles.get(first);
    if (known !== undefined) {
      return known;
    }
    if (this.#singles.size >= poolLimit) {
      this.#singles.clear();
    }
    const single = [this.text(first)];
    this.#singles.set(first, single);
    return single;
  }
}

const noTexts: readonly string[] = Object.freeze([]);
