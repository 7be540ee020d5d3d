/**
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { holderIn, lockHolder } from "./lock-holder.ts";

const locks = `1: POSIX  ADVISORY  WRITE 11 fe:00:77 0 EOF
2: FLOCK  ADVISORY  WRITE 17861 fe:00:2146353 0 EOF
2: -> FLOCK  ADVISORY  WRITE 300 fe:00:2146353 0 EOF
3: FLOCK  ADVISORY  READ  5 fe:00:78 0 EOF
4: FLOCK  ADVISORY  WRITE 0 fe:00:79 0 EOF
5: FLOCK  ADVISORY  WRITE 42 00:1a:2146353 0 EOF
`;

test.each<[string, bigint, bigint, number | undefined]>([
  ["who holds it, not who waits", 0xfe00n, 2_146_353n, 17_861],
  ["the holder of the same inode elsewhere", 0x1an, 2_146_353n, 42],
  ["nobody of a lock of another kind", 0xfe00n, 77n, undefined],
  ["nobody of a shared lock", 0xfe00n, 78n, undefined],
  ["nobody who cannot be seen", 0xfe00n, 79n, undefined],
  ["nobody of a file that is not locked", 0xfe00n, 80n, undefined],
])("holderIn() gives %s", (_, dev, inode, expected) => {
  expect(holderIn(locks, dev, inode)).toBe(expected);
});

test("holderIn() knows devices with large numbers", () => {
  // Major 0x103, minor 0x12345, as the kernel packs them.
  const dev = 0x45n | (0x103n << 8n) | (0x123n << 20n);
  expect(holderIn("1: FLOCK  ADVISORY  WRITE 7 103:12345:9 0 EOF\n", dev, 9n)).toBe(7);
});

test("lockHolder() has no answer for a file that is not there", () => {
  const folder = mkdtempSync(join(tmpdir(), "kube-sluice-lock-"));
  expect(lockHolder({ XTABLES_LOCKFILE: join(folder, "absent") })).toBeUndefined();
  rmSync(folder, { recursive: true });
});
