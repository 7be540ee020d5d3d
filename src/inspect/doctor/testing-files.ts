/**
 * Files for tests: a table of texts by path.
 *
 * @module
 */
import type { HostFiles } from "./files.ts";
import { type Fact, known, unknown } from "./finding.ts";

/** What there is. Folders come of the paths below them. */
export interface FakeFiles {
  readonly texts?: Readonly<Record<string, string>>;
  readonly bytes?: Readonly<Record<string, Uint8Array>>;
  readonly links?: Readonly<Record<string, string>>;
  readonly identities?: Readonly<Record<string, { readonly device: string; readonly inode: string }>>;
  /** Paths that may not be read. */
  readonly denied?: readonly string[];
}

/** Files that answer as the kernel does: no such file, or not permitted. */
export function fakeFiles({
  texts = {},
  bytes = {},
  links = {},
  identities = {},
  denied = [],
}: FakeFiles): HostFiles {
  const get = <T>(table: Readonly<Record<string, T>>, path: string): Fact<T> => {
    if (denied.includes(path)) return unknown(`EACCES: permission denied, open '${path}'`);
    const value = table[path];
    return value === undefined ? unknown(`ENOENT: no such file or directory, open '${path}'`) : known(value);
  };
  return {
    read: (path) => get(texts, path),
    readBytes: (path) => get(bytes, path),
    link: (path) => get(links, path),
    identity: (path) => get(identities, path),
    list: (path) => {
      if (denied.includes(path)) return unknown(`EACCES: permission denied, scandir '${path}'`);
      const below = [...Object.keys(texts), ...Object.keys(links)].filter((one) =>
        one.startsWith(`${path}/`),
      );
      const names = new Set(below.map((one) => one.slice(path.length + 1).replace(/\/.*/, "")));
      return names.size === 0
        ? unknown(`ENOENT: no such file or directory, scandir '${path}'`)
        : known([...names]);
    },
  };
}
