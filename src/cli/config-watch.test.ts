/**
 * @module
 */
import { beforeEach, describe, expect, test } from "vitest";
import { parseKubeProxyFlags } from "../config/kube-proxy-flags.ts";
import { configFromFile, type LoadedConfig } from "../config/load-config.ts";
import { FakeClock } from "../kube/testing.ts";
import { sleep } from "../proxier/clock.ts";
import { followConfig } from "./config-watch.ts";

const flags = parseKubeProxyFlags(["--config=x"]);

function bytes(mode: string, more = ""): Uint8Array {
  const head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
  return new TextEncoder().encode(`${head}mode: ${mode}\n${more}`);
}

function load(file: Uint8Array): LoadedConfig {
  return configFromFile(file, flags);
}

let clock: FakeClock;
let file: Uint8Array | undefined;
let told: string[];
let controller: AbortController;
let hasEnded: boolean;

beforeEach(async () => {
  clock = new FakeClock();
  file = bytes("iptables");
  told = [];
  controller = new AbortController();
  hasEnded = false;
  const following = followConfig({
    current: load(file),
    read: () => (file === undefined ? Promise.reject(new Error("ENOENT")) : Promise.resolve(file)),
    decode: load,
    onChange: ({ mode }) => told.push(`changed to ${mode}`),
    onWarnings: (warnings) => told.push(...warnings.map(({ kind, message }) => `${kind}: ${message}`)),
    onRefused: (reason) => told.push(`refused: ${reason}`),
    onAway: (reason) => told.push(`away: ${reason}`),
    wait: (ms, signal) => sleep(clock, ms, signal),
    clock,
    signal: controller.signal,
  });
  void following.then(() => {
    hasEnded = true;
  });
  await clock.advance(1_000);
});

describe("followConfig()", () => {
  test("tells what is odd about a file, once, whether its settings are others or not", async () => {
    const unknown = (field: string): string =>
      `strictness: Using lenient decoding as strict decoding failed: strict decoding error: unknown field "${field}"`;
    file = bytes("iptables", "zzz: 1\n");
    await clock.advance(10_000);
    expect(told).toEqual([unknown("zzz")]);
    file = bytes("iptables", "zzz: 1\n# the same\n");
    await clock.advance(10_000);
    file = bytes("ipvs", "qqq: 1\n");
    await clock.advance(10_000);
    expect(told).toEqual([unknown("zzz"), unknown("qqq"), "changed to ipvs"]);
  });

  test("tells of other settings once the file has been the same twice", async () => {
    await clock.advance(10_000);
    file = bytes("ipvs");
    await clock.advance(1_200);
    file = bytes("ipvs", "ipvs: {scheduler: lc}\n");
    await clock.advance(2_000);
    expect(told).toEqual(["changed to ipvs"]);
  });

  test("tells of every change, also of the one that takes the last one back", async () => {
    file = bytes("ipvs");
    await clock.advance(4_000);
    file = bytes("iptables");
    await clock.advance(4_000);
    expect(told).toEqual(["changed to ipvs", "changed to iptables"]);
  });

  test("ignores comments", async () => {
    file = bytes("iptables", "# a comment\n");
    await clock.advance(10_000);
    expect(told).toEqual([]);
  });

  test("tells once of a file that is away, or empty", async () => {
    file = undefined;
    await clock.advance(10_000);
    file = new Uint8Array();
    await clock.advance(10_000);
    file = bytes("iptables");
    await clock.advance(10_000);
    expect(told).toEqual(["away: ENOENT"]);
    file = undefined;
    await clock.advance(10_000);
    expect(told).toHaveLength(2);
  });

  test("refuses a wrong file once, names the field, and takes the next good one", async () => {
    file = bytes("iptables", "iptables: {masqueradeBit: 99}\n");
    await clock.advance(20_000);
    expect(told).toEqual([expect.stringMatching(/refused: .*MasqueradeBit/)]);
    file = bytes("ipvs");
    await clock.advance(10_000);
    expect(told.slice(1)).toEqual(["changed to ipvs"]);
  });

  test("ends with the signal", async () => {
    await clock.advance(3_000);
    controller.abort();
    await clock.settle();
    expect(hasEnded).toBe(true);
    expect(clock.timers).toBe(0);
  });
});
