/**
 * The seam to the host's files: what facts are read from.
 *
 * @module
 */
import { type Fact, known, unknown } from "./finding.ts";

/** Files, read only. The real ones are host-files.ts, those of tests are a table of texts. */
export interface HostFiles {
  read(path: string): Fact<string>;
  readBytes(path: string): Fact<Uint8Array>;
  /** Names in a folder. */
  list(path: string): Fact<readonly string[]>;
  /** Where a symbolic link leads to. */
  link(path: string): Fact<string>;
  /** What the kernel knows a file by: the device as in /proc/locks (`00:1a`), and the inode. */
  identity(path: string): Fact<{ readonly device: string; readonly inode: string }>;
}

/** Whether a fact is missing because there is no such file, and not because it may not be read. */
export function isAbsent(fact: Fact<unknown>): boolean {
  return !fact.known && fact.reason.includes("ENOENT");
}

/** The number in a file. */
export function readNumber(files: HostFiles, path: string): Fact<number> {
  const text = files.read(path);
  if (!text.known) {
    return text;
  }
  const value = Number.parseInt(text.value, 10);
  return Number.isNaN(value) ? unknown(`${path} holds no number`) : known(value);
}
