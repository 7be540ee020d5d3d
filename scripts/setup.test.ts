/**
 * setup.sh, on made-up machines: one script stands in for the tools that look at a machine and change it.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

/**
 * What the machine is like, in files beside the script: `installed`, `offered` before and `fresh` after an update, one
 * name a line; `uid`; `broken` lets installations fail, `damaged` unpacking. What was done to it goes to `calls`.
 */
const machine = `#!/bin/bash
from=$PWD
cd "$(dirname "$0")"
call() { echo "$*" >>calls; }
case \${0##*/} in
  dpkg-query) sed 's/^/installed /' installed; exit 1 ;;
  apt-cache) if grep -qx "$2" offered; then echo "  Candidate: 1.0-1"; else echo "  Candidate: (none)"; fi ;;
  id) cat uid ;;
  apt-get)
    while [[ $1 == -* ]]; do [ "$1" != -o ] || shift; shift; done
    call "apt-get $*"
    [ "$1" != download ] || touch "$from/$2_1.0-1_all.deb"
    if [ "$1" = update ]; then cp fresh offered; rm -f broken; else [ ! -e broken ]; fi ;;
  dpkg-deb) call "dpkg-deb $*"; [ ! -e damaged ] ;;
  npm)
    call "npm $*"
    if [ -e broken-npm ]; then echo "npm error: no network" >&2; exit 1; fi
    mkdir -p ../node_modules/.bin
    for file in .bin/node .bin/vitest .package-lock.json; do touch ../node_modules/$file; chmod +x ../node_modules/$file; done ;;
esac
`;

const scripts = import.meta.dirname;
const install = "apt-get install --yes --no-install-recommends";

let root: string;

function put(file: string, text: string): void {
  writeFileSync(path.join(root, file), text, { mode: 0o755 });
}

function setup(): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const env = { PATH: `${root}/machine:/usr/bin:/bin` };
  return spawnSync(path.join(root, "scripts/setup.sh"), { cwd: "/", encoding: "utf8", env });
}

/** What was done to the machine since the last look. */
function calls(): readonly string[] {
  const file = path.join(root, "machine/calls");
  if (!existsSync(file)) {
    return [];
  }
  const lines = readFileSync(file, "utf8").trim().split("\n");
  rmSync(file);
  return lines;
}

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "set up-"));
  mkdirSync(path.join(root, "scripts"));
  mkdirSync(path.join(root, "machine"));
  copyFileSync(path.join(scripts, "setup.sh"), path.join(root, "scripts/setup.sh"));
  put("scripts/debian-packages.txt", "# needed\n\nlib-one  # why\nlib-two | lib-three  # either\n");
  put("package-lock.json", "{}");
  utimesSync(path.join(root, "package-lock.json"), 100, 100);
  put("machine/stand-in", machine);
  for (const tool of ["dpkg-query", "dpkg-deb", "apt-cache", "apt-get", "id", "npm"]) {
    symlinkSync("stand-in", path.join(root, "machine", tool));
  }
  put("machine/installed", "");
  put("machine/offered", "lib-one\nlib-two\nlib-three\n");
  put("machine/fresh", "lib-one\nlib-two\nlib-three\n");
  put("machine/uid", "0\n");
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

test("setup.sh does and says nothing the second time", () => {
  expect(setup().status).toBe(0);
  expect(calls()).toEqual([
    `${install} lib-one lib-two`,
    "npm ci --ignore-scripts --no-audit --no-fund --loglevel=error",
  ]);
  put("machine/installed", "lib-one\nlib-two\n");
  expect(setup()).toMatchObject({ status: 0, stdout: "", stderr: "" });
  expect(calls()).toEqual([]);
});

describe("Debian packages", () => {
  beforeEach(() => {
    setup();
    calls();
  });

  test("installs only what is missing, and of alternatives the first on offer", () => {
    put("machine/installed", "lib-one\n");
    put("machine/offered", "lib-three\n");
    expect(setup()).toMatchObject({
      status: 0,
      stdout: "setup: installing Debian packages: lib-two|lib-three\n",
    });
    expect(calls()).toEqual([`${install} lib-three`]);
  });

  test("takes any of the alternatives, and a program of the same name, for present", () => {
    put("machine/installed", "lib-three\n");
    put("machine/lib-one", "");
    expect(setup()).toMatchObject({ status: 0, stdout: "" });
    expect(calls()).toEqual([]);
  });

  test("does not take a package for another whose name begins alike", () => {
    put("machine/installed", "lib-one-dev\nlib-two\n");
    setup();
    expect(calls()).toEqual([`${install} lib-one`]);
  });

  test("unpacks what must not be installed, once", () => {
    put("machine/installed", "lib-one\nlib-two\n");
    put("scripts/debian-unpacked.txt", "# of a service\nserver-one  # why\n");
    expect(setup()).toMatchObject({ status: 0, stdout: "setup: unpacking Debian packages: server-one\n" });
    expect(calls()).toEqual(["apt-get download server-one", "dpkg-deb -x server-one_1.0-1_all.deb ."]);
    expect(setup()).toMatchObject({ status: 0, stdout: "" });
    expect(calls()).toEqual([]);
  });

  test("goes on without what cannot be unpacked, and says so", () => {
    put("machine/installed", "lib-one\nlib-two\n");
    put("scripts/debian-unpacked.txt", "server-one\n");
    put("machine/damaged", "");
    const { status, stdout } = setup();
    expect(status).toBe(0);
    expect(stdout).toContain("setup: cannot unpack server-one; see .cache/setup.log\n");
  });

  test("updates the lists where they do not know a package", () => {
    put("machine/offered", "");
    expect(setup().status).toBe(0);
    expect(calls()).toEqual(["apt-get update", `${install} lib-one lib-two`]);
  });

  test("updates the lists where what they name is gone", () => {
    put("machine/broken", "");
    expect(setup().status).toBe(0);
    expect(calls()).toEqual([`${install} lib-one lib-two`, "apt-get update", `${install} lib-one lib-two`]);
  });

  test("names a package that is nowhere on offer", () => {
    put("machine/fresh", "lib-one\n");
    put("machine/offered", "lib-one\n");
    const { status, stderr } = setup();
    expect(status).toBe(1);
    expect(stderr).toMatch(/^No package source offers lib-two\|lib-three$/m);
    expect(stderr).toMatch(/^setup: cannot install the Debian packages lib-one lib-two\|lib-three /m);
  });

  test("says what only root can do, and tries nothing", () => {
    put("machine/uid", "1000\n");
    expect(setup()).toMatchObject({
      status: 1,
      stderr:
        "setup: only root can install the Debian packages that are missing: lib-one lib-two|lib-three\n",
    });
    expect(calls()).toEqual([]);
  });

  test("asks nobody to be root when nothing is missing", () => {
    put("machine/uid", "1000\n");
    put("machine/installed", "lib-one\nlib-two\n");
    expect(setup().status).toBe(0);
  });
});

describe("npm packages", () => {
  beforeEach(() => {
    put("machine/installed", "lib-one\nlib-two\n");
    setup();
    calls();
  });

  test("are installed anew once the lock is newer", () => {
    const later = Date.now() / 1000 + 10;
    utimesSync(path.join(root, "package-lock.json"), later, later);
    setup();
    expect(calls()).toHaveLength(1);
  });

  test.each([".package-lock.json", ".bin/node", ".bin/vitest"])("are installed anew without %s", (file) => {
    rmSync(path.join(root, "node_modules", file));
    setup();
    expect(calls()).toHaveLength(1);
  });

  test("fail with what npm said", () => {
    rmSync(path.join(root, "node_modules"), { recursive: true });
    put("machine/broken-npm", "");
    expect(setup()).toMatchObject({
      status: 1,
      stderr: "npm error: no network\nsetup: npm ci failed\n",
    });
  });
});
