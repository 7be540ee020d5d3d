/**
 * Holds the house rules of conventions.ts against the checkout, and shows of each rule that it can fail.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import {
  countLines,
  developerPaths,
  edgeImports,
  hasHeader,
  importsOf,
  impurities,
  isCore,
  isForTests,
  type Lock,
  lockGaps,
  type SourceFile,
  unreadData,
} from "./conventions.ts";

/**
 * Where the program reaches out of its process, and through what. Everything else in src computes. A new edge gets its
 * line here, and a line whose import is gone goes.
 */
const edges: Readonly<Record<string, readonly string[]>> = {
  "src/cli/demo-command.ts": ["node:fs"],
  "src/cli/doctor.ts": ["node:os"],
  "src/cli/heap.ts": ["node:v8"],
  "src/cli/host-sysctls.ts": ["node:fs", "node:os"],
  "src/cli/local-addresses.ts": ["node:os"],
  "src/cli/commands.ts": ["node:fs/promises", "node:os", "node:timers/promises"],
  "src/cli/own-process.ts": ["node:fs"],
  "src/cli/table-readers.ts": ["node:timers/promises"],
  "src/cli/top.ts": ["node:os"],
  "src/cli/version.ts": ["node:fs"],
  "src/config/read-config-file.ts": ["node:fs/promises"],
  "src/inspect/doctor/host-files.ts": ["node:fs"],
  "src/forwarder/tcp-port.ts": ["node:net"],
  "src/forwarder/udp-port.ts": ["node:dgram"],
  "src/inspect/host-kernel.ts": ["node:fs"],
  "src/inspect/host-listeners.ts": ["node:fs"],
  "src/inspect/read-node.ts": ["node:fs"],
  "src/iptables/host-affinity-store.ts": ["node:fs", "node:net"],
  "src/iptables/lock-holder.ts": ["node:fs"],
  "src/iptables/present.ts": ["node:fs/promises"],
  "src/iptables/restore-process.ts": ["node:child_process"],
  "src/iptables/text-feed.ts": ["node:timers/promises"],
  "src/iptables/tools.ts": ["node:child_process"],
  "src/ipvs/affinity-memory.ts": ["node:fs", "node:readline"],
  "src/ipvs/netlink/example.ts": ["node:timers/promises"],
  "src/ipvs/host-switches.ts": ["node:fs"],
  "src/ipvs/open.ts": ["node:os"],
  "src/ipvs/table-file.ts": ["node:fs"],
  "src/kube/folder-bell.ts": ["node:fs"],
  "src/kube/kubeconfig.ts": ["@kubernetes/client-node", "node:fs/promises"],
  "src/kube/manifest-source.ts": ["node:fs/promises"],
  "src/kube/token-file.ts": ["node:fs/promises"],
  "src/kube/transport.ts": ["node:http", "node:https"],
  "src/netlink/libc.ts": ["koffi"],
  "src/netlink/notifications.ts": ["node:net"],
  "src/operations/background-writer.ts": ["node:fs", "node:timers/promises"],
  "src/operations/http-listener.ts": ["node:http", "node:net", "node:stream/promises"],
  "src/operations/profiler.ts": ["node:inspector/promises", "node:v8"],
};

const root = path.dirname(import.meta.dirname);

/** Not of the repository: installed, built, or made by tools. */
function isForeign(name: string): boolean {
  return ["node_modules", "dist", "coverage"].includes(name) || (name.startsWith(".") && name !== ".ci");
}

function read(folder: string): SourceFile[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const place = path.posix.join(folder, entry.name);
    if (isForeign(entry.name)) {
      return [];
    }
    return entry.isDirectory()
      ? read(place)
      : { path: place, text: readFileSync(path.join(root, place), "utf8") };
  });
}

const files = read("");
const sources = files.filter((file) => /^(src|e2e|bench|scripts)\/.*\.ts$/.test(file.path));

function source(text: string, at = "src/proxier/planner.ts"): SourceFile {
  return { path: at, text };
}

function paths(some: readonly SourceFile[]): readonly string[] {
  return some.map((file) => file.path);
}

test("the checkout is found", () => {
  expect(paths(sources)).toContain("src/main.ts");
  expect(paths(sources)).toContain("scripts/conventions.test.ts");
});

describe("module headers", () => {
  test("every source starts with one", () => {
    expect(paths(sources.filter((file) => !hasHeader(file)))).toEqual([]);
  });

  test.each([
    ["/**\n * What it is.\n *\n * @module\n */\nimport x;", true],
    ["/**\n * What it is.\n */\n/**\n * More.\n * @module\n */\n", false],
    ["/**\n * @module\n */\n", false],
    ["/**\n *\n * @module\n */\n", false],
    ["// What it is\n", false],
    ["#!/usr/bin/node\n/**\n * What it is.\n * @module\n */\n", false],
  ])("hasHeader() of %j is %j", (text, expected) => {
    expect(hasHeader(source(text))).toBe(expected);
  });

  test("hasHeader() wants no words of a test", () => {
    const text = "/**\n * @module\n */\n";
    expect(hasHeader(source(text, "src/proxier/planner.test.ts"))).toBe(true);
    expect(hasHeader(source(text, "src/proxier/testing.ts"))).toBe(false);
  });
});

describe("length", () => {
  test("no source has more than 400 lines", () => {
    expect(paths(sources.filter((file) => countLines(file) > 400))).toEqual([]);
  });

  test("countLines() counts a last line with and without its end", () => {
    expect(["", "a", "a\n", "a\nb\n\n"].map((text) => countLines(source(text)))).toEqual([1, 1, 1, 3]);
  });
});

describe("edges", () => {
  test("only named files reach out of the process", () => {
    const found = sources
      .filter((file) => file.path.startsWith("src/") && !isForTests(file))
      .map((file) => [file.path, edgeImports(file)] as const)
      .filter(([, modules]) => modules.length > 0);
    expect(Object.fromEntries(found)).toEqual(edges);
  });

  test("importsOf() finds every form", () => {
    const text = [
      'import { a } from "./a.ts";',
      "import {",
      "  type B,",
      "  b,",
      '} from "b";',
      'import type { C } from "./c.ts";',
      'import "./d.ts";',
      'export { e } from "./e.ts";',
      'export const f = "no import";',
      '  const { g } = await import("./g.ts");',
      ' * import { h } from "./h.ts";',
    ].join("\n");
    expect(importsOf(source(text))).toEqual([
      { specifier: "./a.ts", isTypeOnly: false },
      { specifier: "b", isTypeOnly: false },
      { specifier: "./c.ts", isTypeOnly: true },
      { specifier: "./d.ts", isTypeOnly: false },
      { specifier: "./e.ts", isTypeOnly: false },
      { specifier: "./g.ts", isTypeOnly: false },
    ]);
  });

  test("edgeImports() lets computing modules and types pass", () => {
    const text = [
      'import { createHash } from "node:crypto";',
      'import type { Socket } from "node:net";',
      'import { spawn } from "node:child_process";',
      'import koffi from "koffi";',
      'await import("node:fs/promises");',
    ].join("\n");
    expect(edgeImports(source(text))).toEqual(["koffi", "node:child_process", "node:fs/promises"]);
  });
});

describe("the core", () => {
  test("imports nothing but itself, and looks at neither clock nor chance", () => {
    const core = sources.filter(isCore);
    expect(core.length).toBeGreaterThan(10);
    expect(core.flatMap((file) => impurities(file).map((what) => `${file.path}: ${what}`))).toEqual([]);
  });

  test("isCore() leaves out tests and what they use", () => {
    const places = [
      "src/proxier/plan.ts",
      "src/proxier/plan.test.ts",
      "src/proxier/testing.ts",
      "src/kube/decode.ts",
    ];
    expect(places.map((place) => isCore(source("", place)))).toEqual([true, false, false, false]);
  });

  test.each([
    ['import type { Rule } from "../iptables/builder/rule.ts";', ["../iptables/builder/rule.ts"]],
    ['import { isIP } from "node:net";', ["node:net"]],
    ['import Queue from "p-queue";', ["p-queue"]],
    ['import { a } from "./plan.ts";\nimport { b } from "../affinity/affinity.ts";', []],
    ["const now = Date.now(); // Math.random", ["Date.now"]],
    ["/** Not Math.random() */\nsetTimeout(run, 10);", ["setTimeout"]],
  ])("impurities() of %j are %j", (text, expected) => {
    expect(impurities(source(text))).toEqual(expected);
  });

  test("impurities() lets the sync loop queue", () => {
    expect(impurities(source('import Queue from "p-queue";', "src/proxier/sync-loop.ts"))).toEqual([]);
  });
});

describe("paths", () => {
  test("no file names one of a developer's machine", () => {
    const found = files.flatMap((file) => developerPaths(file).map((what) => `${file.path}: ${what}`));
    expect(found).toEqual([]);
  });

  test("developerPaths() finds absolute paths only", () => {
    const folder = ["", "ho" + "me", "ann"].join("/");
    expect(developerPaths(source(`cd ${folder}/x; ls "${folder}" src${folder} $ROOT${folder}`))).toEqual([
      folder,
      folder,
    ]);
  });
});

describe("package-lock.json", () => {
  test("has every optional package it names", () => {
    const lock = JSON.parse(readFileSync(path.join(root, "package-lock.json"), "utf8")) as Lock;
    expect(Object.keys(lock.packages).length).toBeGreaterThan(50);
    expect(lockGaps(lock)).toEqual([]);
  });

  test("lockGaps() names what has no entry, wherever it may be installed", () => {
    const packages = {
      "node_modules/a": { optionalDependencies: { "@a/linux": "1.0.0", "@a/darwin": "1.0.0" } },
      "node_modules/a/node_modules/@a/linux": {},
    };
    expect(lockGaps({ packages })).toEqual(["@a/darwin"]);
  });
});

describe("recorded data", () => {
  test("is read by some test", () => {
    expect(unreadData(files)).toEqual([]);
  });

  test("unreadData() names files that no test mentions, reads with its folder, or belongs to", () => {
    const some = [
      source("", "src/x/golden/read.save"),
      source("", "src/x/golden/unread.save"),
      source("", "src/y/fixtures/deep/one.bin"),
      source("", "src/y/__snapshots__/a.test.ts.snap"),
      source("", "src/y/__snapshots__/gone.test.ts.snap"),
      source('toMatchFileSnapshot("golden/read.save")', "src/x/x.test.ts"),
      source('readdirSync(new URL("fixtures/", import.meta.url))', "src/y/a.test.ts"),
    ];
    expect(unreadData(some)).toEqual(["src/x/golden/unread.save", "src/y/__snapshots__/gone.test.ts.snap"]);
  });
});
