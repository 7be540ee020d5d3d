/**
 * A file in a folder that is mounted from a ConfigMap, and replaced as kubelet does it: `config.json` leads through the
 * link `..data` to a folder with a time in its name; a new folder is made, the link is swapped, the old folder goes.
 *
 * @module
 */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A mounted file. */
export class ConfigFile {
  readonly path: string;
  readonly #folder: string;
  #version = 0;

  /** @param folder an empty one */
  constructor(folder: string, text: string) {
    this.#folder = folder;
    this.path = join(folder, "config.json");
    this.replace(text);
    symlinkSync(join("..data", "config.json"), this.path);
  }

  /** The ConfigMap has changed. */
  replace(text: string): void {
    const before = this.#version;
    this.#version += 1;
    const name = (version: number): string => `..2026_${version}`;
    mkdirSync(join(this.#folder, name(this.#version)));
    writeFileSync(join(this.#folder, name(this.#version), "config.json"), text);
    symlinkSync(name(this.#version), join(this.#folder, "..data_tmp"));
    renameSync(join(this.#folder, "..data_tmp"), join(this.#folder, "..data"));
    rmSync(join(this.#folder, name(before)), { recursive: true, force: true });
  }

  /** The file is gone, as while a pod is taken apart. */
  remove(): void {
    rmSync(join(this.#folder, "..data"));
  }
}
