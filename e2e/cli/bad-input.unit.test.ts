/**
 * Configuration files that nobody meant to write: each is refused in one line with status 2, or read as kube-proxy reads it.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type CommandOutcome, kubeSluice } from "./command.ts";

const head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

let scratch: string;
let file: string;
let output: string;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "kube-sluice-bad-"));
  file = join(scratch, "config.yaml");
  output = join(scratch, "written.yaml");
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function read(content: string | Uint8Array): CommandOutcome {
  writeFileSync(file, content);
  rmSync(output, { force: true });
  return kubeSluice("run", "--config", file, "--write-config-to", output);
}

function written(): Readonly<Record<string, unknown>> {
  return parse(readFileSync(output, "utf8"));
}

/** Refused: one line that says why, and nothing was written. */
function expectRefusal({ status, stdout, stderr }: CommandOutcome, reason: RegExp): void {
  expect(stderr).toMatch(/^kube-sluice: failed complete: [^\n]+\n$/);
  expect(stderr).toMatch(reason);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(() => readFileSync(output)).toThrow("ENOENT");
}

describe("is refused in one line, with status 2", () => {
  test.each<[string, string | Uint8Array, RegExp]>([
    ["a tab for a blank", `${head}iptables:\n\tmasqueradeAll: true\n`, /Tabs are not allowed .*\(line 4\)/],
    ["10 MB", `${head}#${" ".repeat(10 * 1024 * 1024)}`, /more than 1048576 bytes/],
    ["an empty file", "", /Object 'Kind' is missing/],
    ["no kind", "mode: ipvs\n", /Object 'Kind' is missing/],
    [
      "another kind",
      "apiVersion: v1\nkind: ConfigMap\n",
      /no kind "ConfigMap" is registered for version "v1"/,
    ],
    ["UTF-16", Buffer.from(`\ufeff${head}`, "utf16le"), /not valid UTF-8/],
    ["a NUL", `${head}mode: "\0"\n`, /control characters are not allowed \(line 3\)/],
    ["a wrong type", `${head}configSyncPeriod: 30\n`, /configSyncPeriod: expected a duration .*\(line 3\)/],
  ])("%s", (_, content, reason) => {
    expectRefusal(read(content), reason);
  });

  test("links that lead to each other", () => {
    const [one, two] = [join(scratch, "one"), join(scratch, "two")];
    symlinkSync(two, one);
    symlinkSync(one, two);
    expectRefusal(kubeSluice("run", "--config", one), /cannot read --config ".*one": ELOOP/);
  });

  test("a folder", () => {
    expectRefusal(kubeSluice("run", "--config", scratch), /EISDIR/);
  });
});

describe("is read", () => {
  test("behind a byte order mark", () => {
    expect(read(`\ufeff${head}mode: ipvs\n`)).toMatchObject({ status: 0, stderr: "" });
    expect(written()).toMatchObject({ mode: "ipvs" });
  });

  test("up to the end of the first document, with a word about the second", () => {
    const { status, stderr } = read(`${head}mode: ipvs\n---\n${head}mode: iptables\n`);
    expect(status).toBe(0);
    expect(stderr.trimEnd().split("\n")).toEqual([expect.stringContaining("more than one document")]);
    expect(written()).toMatchObject({ mode: "ipvs" });
    expect(read(`---\n${head}# end\n---\n# nothing\n`).stderr).toBe("");
  });

  test("with a field that nobody knows, and its nearest name", () => {
    const { status, stderr } = read(`${head}iptables: {masqueradAll: true}\n`);
    expect(status).toBe(0);
    expect(stderr).toContain(
      String.raw`unknown field \"iptables.masqueradAll\" (did you mean \"masqueradeAll\"?)`,
    );
  });
});

test("a configuration that cannot be written is one line with status 1", () => {
  const folder = join(scratch, "folder");
  mkdirSync(folder);
  const { status, stdout, stderr } = kubeSluice("run", "--write-config-to", folder);
  expect(stderr).toMatch(/^kube-sluice: cannot write --write-config-to ".*folder": EISDIR[^\n]*\n$/);
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
});
