/**
 * @module
 */
import { expect, test } from "vitest";
import { readOptions, topics, usage } from "./options.ts";

test("readOptions() gives everything at two sizes by default", () => {
  expect(readOptions([])).toEqual({
    modes: ["iptables"],
    services: [1_000, 10_000],
    endpoints: 10,
    variants: ["nft", "legacy"],
    topics: new Set(topics),
    repeat: 2,
    changes: 100,
    manyChanges: 1_000,
  });
});

test("readOptions() reads lists, sorts sizes and drops duplicates", () => {
  const args = ["--services=500,10,500", "--variant", "legacy", "--only", "cold,planning", "--repeat", "5"];
  expect(readOptions(args)).toMatchObject({
    services: [10, 500],
    variants: ["legacy"],
    topics: new Set(["cold", "planning"]),
    repeat: 5,
  });
});

test.each([
  [["--services", "1e3"], 'Cannot read --services: must be numbers from 1 to 9999999, got "1e3"'],
  [["--mode", "fast"], 'Cannot read --mode: must be some of iptables,ipvs, got "fast"'],
  [["--changes", "0"], 'Cannot read --changes: must be numbers from 1 to 9999999, got "0"'],
  [["--variant", "nft,ebpf"], 'Cannot read --variant: must be some of nft,legacy, got "ebpf"'],
  [["--only", ""], `Cannot read --only: must be some of ${topics.join(",")}, got ""`],
])("readOptions() refuses %j", (args, message) => {
  expect(() => readOptions(args)).toThrow(new RangeError(message));
});

test("readOptions() refuses an option that it does not know", () => {
  expect(() => readOptions(["--speed", "ludicrous"])).toThrow(TypeError);
});

test("readOptions() gives nothing when help is asked for; the help names every option and topic", () => {
  expect(readOptions(["--help"])).toBeUndefined();
  for (const topic of topics) {
    expect(usage).toContain(topic);
  }
});
