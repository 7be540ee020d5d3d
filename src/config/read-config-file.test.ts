/**
 * Reading the file: whole, bounded, and with the system's own error.
 *
 * @module
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { maxConfigBytes } from "./decode-config.ts";
import { readConfigFile } from "./read-config-file.ts";

let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "kube-sluice-config-"));
});

afterAll(() => rm(directory, { recursive: true }));

test("readConfigFile() returns the bytes of a file", async () => {
  const path = join(directory, "small");
  await writeFile(path, "kind: x\n");
  expect(new TextDecoder().decode(await readConfigFile(path))).toBe("kind: x\n");
});

test("readConfigFile() stops one byte above the limit", async () => {
  const path = join(directory, "large");
  await writeFile(path, new Uint8Array(maxConfigBytes + 100));
  expect(await readConfigFile(path)).toHaveLength(maxConfigBytes + 1);
  expect(await readConfigFile("/dev/zero")).toHaveLength(maxConfigBytes + 1);
});

test("readConfigFile() rejects what it cannot read", async () => {
  await expect(readConfigFile(join(directory, "missing"))).rejects.toThrow("ENOENT");
  await expect(readConfigFile(directory)).rejects.toThrow("EISDIR");
});
