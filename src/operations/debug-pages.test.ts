/**
 * Tests of what is answered to people who look into the running program.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { flagsReply, Profiles, profileIndex, statusReply } from "./debug-pages.ts";
import { type Listener, openListener } from "./http-listener.ts";
import { ownProfiler, type Profiler } from "./profiler.ts";
import { rawRequest, someWallMs } from "./testing.ts";

test("flagsReply() has a line for every flag", () => {
  const { body } = flagsReply([
    ["bind-address", "0.0.0.0"],
    ["config", ""],
  ]);
  expect(body).toMatch(/^kube-proxy flagz\nWarning: .*\n\nbind-address=0\.0\.0\.0\nconfig=\n$/);
});

test("statusReply() tells since when, what and where else", () => {
  const status = {
    startedMs: someWallMs,
    nowMs: someWallMs + 3_661_999,
    version: "v1.2.3",
    nodeVersion: "v24.1.0",
  };
  expect(
    String(statusReply(status, ["/configz", "/metrics"]).body)
      .split("\n")
      .slice(3),
  ).toEqual([
    "Started: 2026-11-21T10:00:00.1Z",
    "Up: 1 hr 01 min 01 sec",
    "Node.js version: v24.1.0",
    "Binary version: v1.2.3",
    "Paths: /configz /metrics",
    "",
  ]);
});

test("profileIndex() names both profiles", () => {
  expect(profileIndex().body).toMatch(/^profile.*\nheap /);
});

describe("Profiles", () => {
  const query = (text: string): URLSearchParams => new URLSearchParams(text);

  test("a CPU profile of this process has V8's form and the length that was asked for", async () => {
    const waited: number[] = [];
    const profiles = new Profiles(ownProfiler, async (ms) => void waited.push(ms));
    const reply = await profiles.cpu(query("seconds=0.5"));
    expect(reply).toMatchObject({ status: 200, headers: { "Content-Type": "application/json" } });
    expect(JSON.parse(String(reply.body))).toMatchObject({
      nodes: expect.any(Array),
      samples: expect.any(Array),
    });
    await profiles.cpu(query(""));
    expect(waited).toEqual([500, 30_000]);
  });

  test.each(["seconds=0", "seconds=-1", "seconds=x", "seconds=301"])("takes none with %s", async (text) => {
    const profiles = new Profiles(ownProfiler, () => Promise.reject(new Error("waits")));
    expect(await profiles.cpu(query(text))).toMatchObject({ status: 400 });
  });

  test("takes one at a time, and the next after one that failed", async () => {
    const ends: PromiseWithResolvers<string>[] = [];
    const profiler: Profiler = {
      cpu: () => {
        const end = Promise.withResolvers<string>();
        ends.push(end);
        return end.promise;
      },
      heap: ownProfiler.heap,
    };
    const profiles = new Profiles(profiler, () => Promise.resolve());
    const first = profiles.cpu(query(""));
    expect(await profiles.cpu(query(""))).toMatchObject({ status: 503 });
    ends[0]?.reject(new Error("no"));
    await expect(first).rejects.toThrow("no");
    const second = profiles.cpu(query(""));
    ends[1]?.resolve("{}");
    expect(await second).toMatchObject({ status: 200, body: "{}" });
  });

  test("what is in memory is sent as it is made, to its end", async () => {
    async function* parts(): AsyncIterable<Uint8Array> {
      for (let part = 0; part < 100; part++) yield Buffer.alloc(10_000, "x");
    }
    const profiles = new Profiles({ ...ownProfiler, heap: parts }, () => Promise.resolve());
    const listener: Listener = await openListener(
      () => profiles.heap(),
      { host: "127.0.0.1", port: 0 },
      { onError: () => {} },
    );
    const answer = await rawRequest(listener.address.port, "/debug/pprof/heap");
    await listener.close();
    expect(answer).toContain("Transfer-Encoding: chunked");
    expect(answer.match(/x/g)?.length).toBeGreaterThanOrEqual(1_000_000);
    expect(answer.endsWith("0\r\n\r\n")).toBe(true);
  });

  test("the memory of this process can be read as V8's snapshot", async () => {
    for await (const part of ownProfiler.heap()) {
      expect(Buffer.from(part).toString()).toMatch(/^\{"snapshot":\{"meta":/);
      break;
    }
  });
});
