/**
 * @module
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle } from "./bundle.ts";

const root = path.dirname(import.meta.dirname);

let folder: string;
let text: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "bundle-"));
  symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"));
  text = await bundle(root);
  writeFileSync(path.join(folder, "program.cjs"), text);
}, 60_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function node(...args: readonly string[]): string {
  return execFileSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
}

test("bundle() gives the same text again", async () => {
  expect((await bundle(root)) === text).toBe(true);
});

test("bundle() has characters of one byte only", () => {
  expect(/[\u0100-\uffff]/.exec(text)).toBeNull();
});

test("bundle() writes the version into the program", () => {
  const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
    readonly version: string;
  };
  expect(node("program.cjs", "version")).toBe(`kube-sluice ${version}\n`);
});

test("bundle() leaves what is imported dynamically asleep", () => {
  // The API client needs https, and what reaches the kernel needs koffi.
  const report = `process.on("exit", () => console.log(JSON.stringify({
    https: process.moduleLoadList.includes("NativeModule https"),
    koffi: Object.keys(require.cache).some((file) => file.includes("koffi")),
  })));`;
  writeFileSync(path.join(folder, "report.cjs"), report);
  const [, loaded = ""] = node("--require", "./report.cjs", "program.cjs", "version").split("\n");
  expect(JSON.parse(loaded)).toEqual({ https: false, koffi: false });

  writeFileSync(path.join(folder, "all.cjs"), 'require("https"); require("koffi");');
  const awake = node("--require", "./report.cjs", "all.cjs");
  expect(JSON.parse(awake)).toEqual({ https: true, koffi: true });
});

test("bundle() takes little of the API client", () => {
  expect(text).toContain("loadFromFile");
  expect(text).not.toContain("V1Deployment");
});
