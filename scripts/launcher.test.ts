/**
 * bin/kube-sluice, in made-up checkouts: a `node` that prints what it was asked to run stands in for the real one.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const original = path.join(path.dirname(import.meta.dirname), "bin/kube-sluice");

/** Prints its version, or else the cache it was given and its arguments, one a line. Ends with status 7. */
function fakeNode(version: string): string {
  return `#!/bin/sh
if [ "$1" = --version ]; then echo ${version}; exit 0; fi
printf '%s\\n' "$NODE_COMPILE_CACHE" "$@"
exit 7
`;
}

let root: string;

/** Writes a file of the checkout, last changed at a given second. */
function put(file: string, second: number, text = ""): void {
  const place = path.join(root, file);
  mkdirSync(path.dirname(place), { recursive: true });
  writeFileSync(place, text, { mode: 0o755 });
  touch(file, second);
}

function touch(file: string, second: number): void {
  utimesSync(path.join(root, file), second, second);
}

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(command: string, { cwd = root, env = {} } = {}): Outcome {
  const { NODE_COMPILE_CACHE: _, ...inherited } = process.env;
  return spawnSync(command, ["run", "two words"], { cwd, encoding: "utf8", env: { ...inherited, ...env } });
}

function launch(env: Readonly<Record<string, string>> = {}): Outcome {
  return run(path.join(root, "bin/kube-sluice"), { env });
}

/** What the stand-in prints when it is to run a program of the checkout. */
function ran(program: string): Outcome {
  const lines = [
    path.join(root, ".cache/compile"),
    "--max-semi-space-size=2",
    "--initial-old-space-size=160",
    "--v8-pool-size=1",
    "--expose-gc",
    "--disable-sigusr1",
    path.join(root, program),
    "run",
    "two words",
  ];
  return expect.objectContaining({ status: 7, stdout: `${lines.join("\n")}\n`, stderr: "" }) as Outcome;
}

function failed(message: string): Outcome {
  return expect.objectContaining({ status: 1, stdout: "", stderr: `kube-sluice: ${message}\n` }) as Outcome;
}

beforeEach(() => {
  // A blank in its name must not matter.
  root = mkdtempSync(path.join(tmpdir(), "kube sluice-"));
  put("node_modules/.bin/node", 100, fakeNode("v24.0.0"));
  put("package.json", 100);
  put("src/main.ts", 100);
  put("src/deep/part.ts", 100);
  put("src/deep/part.test.ts", 100);
  put("dist/kube-sluice.cjs", 200);
  touch("src/deep", 100);
  touch("src", 100);
  mkdirSync(path.join(root, "bin"));
  copyFileSync(original, path.join(root, "bin/kube-sluice"));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

describe("the program", () => {
  test("is the bundle, and its exit status the command's", () => {
    expect(launch()).toEqual(ran("dist/kube-sluice.cjs"));
  });

  test("is found through symbolic links, from another folder", () => {
    symlinkSync("bin/kube-sluice", path.join(root, "first"));
    symlinkSync(path.join(root, "first"), path.join(root, "second"));
    expect(run(path.join(root, "second"), { cwd: "/" })).toEqual(ran("dist/kube-sluice.cjs"));
    expect(run("../second", { cwd: path.join(root, "src") })).toEqual(ran("dist/kube-sluice.cjs"));
  });

  test.each(["src/deep/part.ts", "package.json"])(
    "is the sources once %s is newer than the bundle",
    (file) => {
      touch(file, 300);
      expect(launch()).toEqual(ran("src/main.ts"));
    },
  );

  test("is the sources once one of them was removed", () => {
    rmSync(path.join(root, "src/deep/part.ts"));
    expect(launch()).toEqual(ran("src/main.ts"));
  });

  test("is the sources where there is no bundle", () => {
    rmSync(path.join(root, "dist"), { recursive: true });
    expect(launch()).toEqual(ran("src/main.ts"));
  });

  test("is the bundle still when only a test is newer", () => {
    touch("src/deep/part.test.ts", 300);
    expect(launch()).toEqual(ran("dist/kube-sluice.cjs"));
  });

  test("is the bundle in an image without sources", () => {
    rmSync(path.join(root, "src"), { recursive: true });
    expect(launch()).toEqual(ran("dist/kube-sluice.cjs"));
  });

  test("is not there before the checkout is set up", () => {
    rmSync(path.join(root, "dist"), { recursive: true });
    rmSync(path.join(root, "node_modules"), { recursive: true });
    put("tools/node", 100, fakeNode("v25.1.0"));
    expect(launch({ PATH: `${root}/tools:/usr/bin:/bin` })).toEqual(
      failed(`not set up yet: run "make setup" in ${root}`),
    );
  });
});

describe("Node", () => {
  beforeEach(() => {
    rmSync(path.join(root, "node_modules"), { recursive: true });
  });

  test("is the machine's where the checkout has none", () => {
    put("tools/node", 100, fakeNode("v24.3.0"));
    expect(launch({ PATH: `${root}/tools:/usr/bin:/bin` })).toEqual(ran("dist/kube-sluice.cjs"));
  });

  test.each(["v20.20.2", "v9.0.0", "unknown"])("may not be %s", (version) => {
    put("tools/node", 100, fakeNode(version));
    expect(launch({ PATH: `${root}/tools:/usr/bin:/bin` })).toEqual(
      failed(`needs Node.js 24 or newer, found ${version}; in a checkout, "make setup" installs it`),
    );
  });

  test("may not be missing", () => {
    mkdirSync(path.join(root, "tools"));
    for (const tool of ["sh", "readlink"]) {
      symlinkSync(`/bin/${tool}`, path.join(root, "tools", tool));
    }
    expect(launch({ PATH: `${root}/tools` })).toEqual(
      failed('no Node.js found; in a checkout, "make setup" installs it'),
    );
  });

  test("keeps compiled code where its user says", () => {
    put("tools/node", 100, fakeNode("v24.3.0"));
    const { stdout } = launch({ PATH: `${root}/tools:/usr/bin:/bin`, NODE_COMPILE_CACHE: "/elsewhere" });
    expect(stdout).toMatch(/^\/elsewhere\n/);
  });
});
