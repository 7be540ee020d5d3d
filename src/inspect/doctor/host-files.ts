/**
 * Files of this host, read only.
 *
 * Edge.
 *
 * @module
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import type { HostFiles } from "./files.ts";
import { type Fact, known, unknown } from "./finding.ts";

/** The files that this process sees. */
export const hostFiles: HostFiles = {
  read: (path) => attempt(() => readFileSync(path, "utf8")),
  readBytes: (path) => attempt(() => readFileSync(path)),
  list: (path) => attempt(() => readdirSync(path)),
  link: (path) => attempt(() => readlinkSync(path)),
  identity: (path) =>
    attempt(() => {
      const { dev, ino } = statSync(path);
      return { device: deviceText(dev), inode: String(ino) };
    }),
};

/** The device as /proc/locks prints it: major and minor number in hexadecimal. */
function deviceText(device: number): string {
  const high = Math.floor(device / 0x1_0000_0000);
  const major = ((device >>> 8) & 0xfff) | (high & ~0xfff);
  const minor = (device & 0xff) | ((device >>> 12) & 0xf_ff00);
  const hex = (number: number): string => number.toString(16).padStart(2, "0");
  return `${hex(major)}:${hex(minor)}`;
}

function attempt<T>(work: () => T): Fact<T> {
  try {
    return known(work());
  } catch (error) {
    return unknown(error instanceof Error ? error.message : String(error));
  }
}
