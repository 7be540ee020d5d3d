/**
 * `acceptsSets()` asks the kernel; e2e/iptables-kernel.test.ts does, in a namespace.
 *
 * @module
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { chooseLayout, usableFamilies } from "./setup.ts";

/** A folder that stands for the whole of PATH. */
let folder: string;
let path: string | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-setup-"));
  path = process.env["PATH"];
  process.env["PATH"] = folder;
});

afterEach(() => {
  process.env["PATH"] = path;
  rmSync(folder, { recursive: true });
});

/** Installs a stand-in for the nft variant that keeps its input. */
function install(script: string): void {
  const file = join(folder, "xtables-nft-multi");
  writeFileSync(file, `#!/bin/sh\n/bin/cat >${folder}/input\n${script}\n`);
  chmodSync(file, 0o755);
}

describe("chooseLayout()", () => {
  test.each(["lean", "endpoint-chains"] as const)("asks nobody when %s is wanted", async (layout) => {
    expect(await chooseLayout(layout, "nft", "IPv4")).toBe(layout);
  });

  test.each([
    ["IPv4", "32 0 0 12"],
    ["IPv6", "32 0 0 8"],
  ] as const)("is lean where the kernel compares source and destination of %s", async (family, source) => {
    install("exit 0");
    expect(await chooseLayout("auto", "nft", family)).toBe("lean");
    const tried = readFileSync(join(folder, "input"), "utf8");
    expect(tried).toMatch(/^-A KUBE-PROXY-PROBE -m bpf --bytecode "[^"]+"$/m);
    expect(tried).toContain(source);
  });

  test("is kube-proxy's where it does not, or where nothing can be tried", async () => {
    install("exit 1");
    expect(await chooseLayout("auto", "nft", "IPv4")).toBe("endpoint-chains");
    expect(await chooseLayout("auto", "legacy", "IPv4")).toBe("endpoint-chains");
  });
});

describe("usableFamilies()", () => {
  test("keeps those whose nat table works, in their order", async () => {
    install("exit 0");
    expect(await usableFamilies("nft", ["IPv4", "IPv6"])).toEqual(["IPv4", "IPv6"]);
    install(`case "$1" in iptables) exit 3;; esac`);
    expect(await usableFamilies("nft", ["IPv4", "IPv6"])).toEqual(["IPv6"]);
    expect(await usableFamilies("nft", ["IPv4"])).toEqual([]);
    expect(await usableFamilies("legacy", ["IPv4", "IPv6"])).toEqual([]);
  });
});
