/**
 * @module
 */
import { beforeEach, describe, expect, test } from "vitest";
import type { NodeObject } from "../proxier/objects.ts";
import { FakeClock } from "../proxier/testing.ts";
import { type NodeWait, waitForNode } from "./wait-for-node.ts";

const bare: NodeObject = {
  kind: "Node",
  name: "here",
  resourceVersion: "1",
  zone: "",
  podCIDRs: [],
  addresses: [],
  taints: [],
  deleting: false,
};

let clock: FakeClock;
let node: NodeObject | undefined;
let listeners: Set<() => void>;

function change(now: NodeObject | undefined): void {
  node = now;
  for (const listener of [...listeners]) {
    listener();
  }
}

function start(fields: Partial<NodeWait> = {}): { readonly promise: Promise<void>; done: boolean } {
  const wait = waitForNode({
    nodeName: "here",
    needsPodCIDRs: false,
    mayChange: true,
    current: () => node,
    onChange: (callback) => {
      listeners.add(callback);
      return () => listeners.delete(callback);
    },
    clock,
    signal: new AbortController().signal,
    ...fields,
  });
  const state = { promise: wait, done: false };
  wait.then(
    () => {
      state.done = true;
    },
    () => {},
  );
  return state;
}

beforeEach(() => {
  clock = new FakeClock();
  node = undefined;
  listeners = new Set();
});

describe("waitForNode()", () => {
  test("waits for addresses", async () => {
    const wait = start();
    await clock.advance(1_000);
    change(bare);
    await clock.advance(1_000);
    expect(wait.done).toBe(false);
    change({ ...bare, addresses: ["192.168.0.2"] });
    await clock.advance(0);
    expect(wait.done).toBe(true);
    expect(listeners.size).toBe(0);
  });

  test("goes on without addresses after 30 seconds", async () => {
    const wait = start();
    await clock.advance(29_999);
    expect(wait.done).toBe(false);
    await clock.advance(1);
    expect(wait.done).toBe(true);
  });

  test("does not wait for a source that has ended", async () => {
    const wait = start({ mayChange: false });
    await clock.advance(0);
    expect(wait.done).toBe(true);
  });

  test("fails without pod CIDRs where they are needed, naming what is missing", async () => {
    const absent = start({ needsPodCIDRs: true, mayChange: false });
    await expect(absent.promise).rejects.toThrow('timeout waiting for node "here" to exist');
    node = { ...bare, addresses: ["192.168.0.2"] };
    const unallocated = start({ needsPodCIDRs: true });
    const failed = expect(unallocated.promise).rejects.toThrow('PodCIDR allocation on node "here"');
    await clock.advance(0);
    await clock.advance(300_000);
    await failed;
  });

  test("ends when told to", async () => {
    const abort = new AbortController();
    const wait = start({ signal: abort.signal, needsPodCIDRs: true });
    abort.abort();
    await clock.advance(0);
    expect(wait.done).toBe(true);
  });
});
