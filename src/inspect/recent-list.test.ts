/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { parseRecentList, tickClock } from "./recent-list.ts";

/** As a kernel with 250 ticks a second shows it. */
const timerList = [
  "Timer List Version: v0.10",
  "now at 14196959648891 nsecs",
  "",
  "  .idle_jiffies   : 4298441530",
  "jiffies: 4298441536",
  "",
].join("\n");

describe("tickClock()", () => {
  test("finds the rate at which the clock has gone since the start", () => {
    expect(tickClock(timerList)).toEqual({ now: 4_298_441_536, perSecond: 250 });
  });

  test.each([
    ["nothing", ""],
    ["no ticks", "now at 14196959648891 nsecs\n"],
    ["no rate that kernels have", timerList.replace("4298441536", "4299999999")],
  ])("cannot tell from %s", (_, text) => {
    expect(tickClock(text)).toBeUndefined();
  });
});

describe("parseRecentList()", () => {
  const list = [
    "src=10.244.1.2 ttl: 64 last_seen: 4298439036 oldest_pkt: 2 4298438000, 4298439036",
    "src=fd00:0244:0001:0000:0000:0000:0000:0002 ttl: 64 last_seen: 4298441536 oldest_pkt: 1 4298441536",
    "",
  ].join("\n");

  test("tells how long ago each client was seen", () => {
    expect([...parseRecentList(list, tickClock(timerList))]).toEqual([
      ["10.244.1.2", { secondsAgo: 10 }],
      ["fd00:244:1::2", { secondsAgo: 0 }],
    ]);
  });

  test("knows clients without a clock, but no times", () => {
    expect(parseRecentList(list, undefined).get("10.244.1.2")).toEqual({ secondsAgo: undefined });
  });
});
