/**
 * A folder for the files of one test, gone with the test or with its process.
 *
 * @module
 */
import { mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanUpAtExit, uniqueName } from "./owner.ts";

/** A folder below the system's temporary one. What a killed process leaves, `sweep` of namespace.ts removes. */
export class ScratchFolder implements Disposable {
  readonly path: string;
  readonly #forget: () => void;

  constructor(label: string) {
    this.path = join(tmpdir(), uniqueName(label));
    mkdirSync(this.path);
    this.#forget = cleanUpAtExit(() => this.#delete());
  }

  /** The path of `name` in the folder. */
  file(name: string): string {
    return join(this.path, name);
  }

  /** Removes the folder with all that is in it. */
  remove(): void {
    this.#delete();
    this.#forget();
  }

  [Symbol.dispose](): void {
    this.remove();
  }

  #delete(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
