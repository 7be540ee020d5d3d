/**
 * @module
 */
import { beforeEach, describe, expect, test } from "vitest";
import { parseKubeProxyFlags } from "../config/kube-proxy-flags.ts";
import { configFromFile, type LoadedConfig } from "../config/load-config.ts";
import { FakeClock } from "../kube/testing.ts";
import { configChanged } from "./config-watch.ts";

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
let refused: string[];
let controller: AbortController;
let outcome: boolean | undefined;

beforeEach(() => {
  clock = new FakeClock();
  file = bytes("iptables");
  refused = [];
  controller = new AbortController();
  outcome = undefined;
  void configChanged({
    current: load(file).config,
    read: () => (file === undefined ? Promise.reject(new Error("ENOENT")) : Promise.resolve(file)),
    decode: (text) => load(text).config,
    onRefused: (reason) => refused.push(reason),
    clock,
    signal: controller.signal,
  }).then((changed) => {
    outcome = changed;
  });
});

describe("configChanged()", () => {
  test("ends when the settings differ, once the file has been the same twice", async () => {
    await clock.advance(10_000);
    file = bytes("ipvs");
    await clock.advance(2_000);
    expect(outcome).toBeUndefined();
    await clock.advance(2_000);
    expect(outcome).toBe(true);
  });

  test("ignores comments, and a file that is away for a while", async () => {
    file = bytes("iptables", "# a comment\n");
    await clock.advance(10_000);
    file = undefined;
    await clock.advance(10_000);
    file = bytes("iptables");
    await clock.advance(10_000);
    expect(outcome).toBeUndefined();
    expect(refused).toEqual([]);
  });

  test("refuses a wrong file once, names the field, and takes the next good one", async () => {
    file = bytes("iptables", "iptables: {masqueradeBit: 99}\n");
    await clock.advance(20_000);
    expect(refused).toEqual([expect.stringContaining("MasqueradeBit")]);
    expect(outcome).toBeUndefined();
    file = bytes("ipvs");
    await clock.advance(10_000);
    expect(outcome).toBe(true);
  });

  test("ends with the signal", async () => {
    await clock.advance(3_000);
    controller.abort();
    await clock.settle();
    expect(outcome).toBe(false);
    expect(clock.timers).toBe(0);
  });
});
