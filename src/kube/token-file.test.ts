/**
 * Tests of tokens in files.
 *
 * @module
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { TokenFile } from "./token-file.ts";

async function tokenPath(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "token-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return path.join(folder, "token");
}

test("read() gives the present token without the line break behind it", async () => {
  const file = await tokenPath();
  const token = new TokenFile(file, () => undefined);
  await writeFile(file, "first\n");
  expect(await token.read()).toBe("first");
  await writeFile(file, "second");
  expect(await token.read()).toBe("second");
});

test("read() keeps the last good token while the file is unusable, and warns once", async () => {
  const file = await tokenPath();
  const warnings: string[] = [];
  const token = new TokenFile(file, (message) => warnings.push(message));
  await writeFile(file, "good");
  await token.read();
  for (const text of ["", "two words", "line\nbreak"]) {
    await writeFile(file, text);
    expect(await token.read()).toBe("good");
  }
  await rm(file);
  expect(await token.read()).toBe("good");
  expect(warnings).toEqual([
    `Cannot read the token file ${JSON.stringify(file)}: it is empty; the last token stays in use`,
  ]);
  await writeFile(file, "better");
  expect(await token.read()).toBe("better");
  await rm(file);
  await token.read();
  expect(warnings).toHaveLength(2);
});

test("read() rejects when there never was a token, without showing what is in the file", async () => {
  const file = await tokenPath();
  const token = new TokenFile(file, () => undefined);
  await expect(token.read()).rejects.toThrow(/ENOENT/);
  await writeFile(file, "secret but broken");
  await expect(token.read()).rejects.toThrow(/^(?!.*secret).*it does not hold a token$/);
});
