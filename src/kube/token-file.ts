/**
 * A bearer token that lives in a file and changes there.
 *
 * kubelet replaces a projected service account token well before it expires (after about 48 minutes of an hour).
 * The file is read at each request: requests are rare, and a token that was replaced is then used at once.
 *
 * This file is an edge: it reads files.
 *
 * @module
 */
import { readFile } from "node:fs/promises";

/** Reads the token; keeps the last good one while the file cannot be read. */
export class TokenFile {
  readonly #path: string;
  readonly #warn: (message: string) => void;
  #token: string | undefined;
  #failing = false;

  /** `warn` is called when the file becomes unreadable, once until it can be read again. */
  constructor(path: string, warn: (message: string) => void) {
    this.#path = path;
    this.#warn = warn;
  }

  /** The present token. Rejects when the file cannot be read and never could. */
  async read(): Promise<string> {
    try {
      const token = (await readFile(this.#path, "utf8")).trim();
      if (!/^[\x21-\x7e]+$/.test(token)) {
        throw new SyntaxError(token === "" ? "it is empty" : "it does not hold a token");
      }
      this.#token = token;
      this.#failing = false;
      return token;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const message = `Cannot read the token file ${JSON.stringify(this.#path)}: ${reason}`;
      if (this.#token === undefined) {
        throw new Error(message, { cause: error });
      }
      if (!this.#failing) {
        this.#failing = true;
        this.#warn(`${message}; the last token stays in use`);
      }
      return this.#token;
    }
  }
}
