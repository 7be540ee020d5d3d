/**
 * What the backend makes of a refusal: whose fault it is, and whether it is anybody's.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { KernelError } from "../netlink/kernel-error.ts";
import type { SyncReport } from "../proxier/backend.ts";
import { endpoint, PlannedCluster, service, slice } from "../proxier/testing.ts";
import { AffinityKeeper } from "./affinity-keeper.ts";
import type { AffinitySet, AffinityStore } from "./affinity-store.ts";
import { IptablesBackend } from "./backend.ts";
import { FakeKernel } from "./testing.ts";

/** Cluster, planner, backend and kernel together. */
class Node {
  readonly cluster = new PlannedCluster();
  readonly kernel = new FakeKernel();
  readonly #backend: IptablesBackend;

  constructor(affinity?: AffinityKeeper) {
    const { node } = this.cluster.planner.plan;
    this.#backend = new IptablesBackend(node, { layout: "lean", dropInvalid: true }, this.kernel, affinity);
  }

  findCrowded(): readonly string[] {
    return this.#backend.findCrowded();
  }

  async sync(scope: "changes" | "everything" = "changes"): Promise<SyncReport> {
    const change = this.cluster.planner.take();
    return await this.#backend.sync(this.cluster.planner.plan, scope === "everything" ? scope : change);
  }
}

function web(...last: readonly number[]): ReturnType<typeof slice> {
  return slice(last.map((one) => endpoint(`10.244.1.${one}`)));
}

function numbered(index: number): ReturnType<typeof service> {
  return service({ name: `s${index}`, clusterIP: `10.96.0.${index + 1}` });
}

function pods(index: number, ...last: readonly number[]): ReturnType<typeof slice> {
  const endpoints = last.map((one) => endpoint(`10.244.${index}.${one}`));
  return slice(endpoints, { name: `s${index}-1`, serviceName: `s${index}` });
}

/** A kernel with room for the sets of some endpoints only. */
class FullStore implements AffinityStore {
  /** Clients in every `recent` list. */
  clients = 0;
  readonly recentLimit = 100;
  readonly setLimit = 1_000;
  readonly hasSets = true;
  readonly sets = new Set<string>();
  /** How many more sets it takes. */
  room = 0;

  ensure(sets: readonly AffinitySet[]): void {
    for (const { name } of sets) {
      if (this.room === 0) {
        throw new KernelError("busy", `create set ${name}`, { detail: "out of memory" });
      }
      this.room -= 1;
      this.sets.add(name);
    }
  }

  list(): Promise<readonly string[]> {
    return Promise.resolve([...this.sets]);
  }

  destroy(names: readonly string[]): readonly string[] {
    for (const name of names) {
      this.sets.delete(name);
    }
    return [];
  }

  countRecent(): number {
    return this.clients;
  }

  close(): void {}
}

describe("IptablesBackend.sync()", () => {
  test("leaves out the Service whose affinity the kernel has no sets for, and tries it again", async () => {
    const store = new FullStore();
    const node = new Node(new AffinityKeeper("IPv4", "set", store));
    const sticky = { sessionAffinity: "ClientIP", affinityTimeoutSeconds: 600 } as const;
    node.cluster.put(numbered(1), pods(1, 1), service({ ...numbered(2), ...sticky }), pods(2, 1, 2));
    store.room = 1;
    expect((await node.sync()).quarantined).toEqual([
      { service: "ns/s2", reason: expect.stringContaining("create set") },
    ]);
    expect(node.kernel.save()).toContain("10.244.1.1:8080");
    expect(node.kernel.save()).not.toContain("10.96.0.3");
    node.cluster.put(pods(1, 2));
    expect((await node.sync()).quarantined).toHaveLength(1);
    expect(node.kernel.save()).toContain("10.244.1.2:8080");
    store.room = 2;
    expect((await node.sync("everything")).quarantined).toEqual([]);
    expect(node.kernel.save()).toContain("10.244.2.2:8080");
    expect(store.sets.size).toBe(2);
  });

  test("blames no Service for what somebody else flushed meanwhile", async () => {
    const node = new Node();
    node.cluster.put(service(), web(1));
    await node.sync();
    node.kernel.flush();
    node.cluster.put(web(1, 2));
    expect(await node.sync()).toMatchObject({ full: true, quarantined: [] });
    const repaired = node.kernel.save();
    node.kernel.flush();
    await node.sync("everything");
    expect(repaired).toBe(node.kernel.save());
    expect(repaired).toContain("10.244.1.2:8080");
  });

  test("looks for the one to blame among those that changed when the tool names no line", async () => {
    const node = new Node();
    for (let index = 0; index < 60; index++) {
      node.cluster.put(numbered(index), pods(index, 1));
    }
    await node.sync();
    const before = node.kernel.writes.length;
    node.kernel.nameLines = false;
    node.kernel.refuse = (line) => (line.includes("10.244.7.66:") ? "refused by test" : undefined);
    node.cluster.put(pods(7, 66), pods(8, 2));
    expect((await node.sync()).quarantined).toEqual([{ service: "ns/s7", reason: "refused by test" }]);
    // The change, everything, the two suspects, neither, each of them, and everything but the one.
    expect(node.kernel.writes.length - before).toBe(7);
    expect(node.kernel.save()).toContain("10.244.8.2:8080");
  });

  test("tries a refused Service again at each full sync, one at a time", async () => {
    const node = new Node();
    node.cluster.put(numbered(1), pods(1, 1), numbered(2), pods(2, 1));
    node.kernel.refuse = () => "refused by test";
    await expect(node.sync()).rejects.toThrow("refused by test");
    node.kernel.refuse = (line) => (/10\.244\.[12]\.1:/.test(line) ? "refused by test" : undefined);
    expect((await node.sync("everything")).quarantined).toHaveLength(2);
    node.kernel.refuse = () => undefined;
    expect((await node.sync()).quarantined).toHaveLength(2);
    expect((await node.sync("everything")).quarantined).toHaveLength(1);
    expect((await node.sync("everything")).quarantined).toEqual([]);
    expect(node.kernel.save()).toContain("10.244.1.1:8080");
    expect(node.kernel.save()).toContain("10.244.2.1:8080");
  });

  test.each([
    ["rules that belong to nobody", "-A KUBE-POSTROUTING "],
    ["everything", ""],
  ])("blames no Service when the kernel refuses %s for a while", async (_, beginning) => {
    const node = new Node();
    for (let index = 0; index < 60; index++) {
      node.cluster.put(numbered(index), pods(index, 1));
    }
    await node.sync();
    const before = node.kernel.save();
    node.kernel.edit("nat", "KUBE-POSTROUTING", () => []);
    const writes = node.kernel.writes.length;
    node.kernel.refuse = (line) => (line.startsWith(beginning) ? "refused by test" : undefined);
    await expect(node.sync("everything")).rejects.toThrow("refused by test");
    expect(node.kernel.writes.length - writes).toBeLessThan(4);
    node.kernel.refuse = () => undefined;
    expect((await node.sync("everything")).quarantined).toEqual([]);
    expect(node.kernel.save()).toBe(before);
  });

  test("looks for the one to blame among all when it is none of those that changed", async () => {
    const node = new Node();
    node.cluster.put(numbered(1), pods(1, 1), numbered(2), pods(2, 1));
    await node.sync();
    node.kernel.nameLines = false;
    node.kernel.flush();
    node.kernel.refuse = (line) => (line.includes("10.244.1.1:") ? "refused by test" : undefined);
    node.cluster.put(pods(2, 2));
    await expect(node.sync()).rejects.toThrow("refused by test");
    expect((await node.sync()).quarantined.map(({ service: key }) => key)).toEqual(["ns/s1"]);
    expect(node.kernel.save()).toContain("10.244.2.2:8080");
  });

  test("deletes a chain after all that only a rule of ours, put there by somebody else, kept", async () => {
    const node = new Node();
    node.cluster.put(service(), web(1));
    await node.sync();
    const [, name = ""] = /:(KUBE-SVC-[A-Z2-7]{16}) /.exec(node.kernel.save()) ?? [];
    node.kernel.edit("nat", "KUBE-POSTROUTING", (lines) => [...lines, `-A KUBE-POSTROUTING -j ${name}`]);
    node.cluster.drop(service());
    await node.sync();
    expect(node.kernel.save()).not.toContain(name);
  });

  test("deletes a chain that only somebody else's rule kept, once that rule is gone", async () => {
    const node = new Node();
    node.cluster.put(service(), web(1));
    await node.sync();
    const empty = node.kernel.save();
    const [, name = ""] = /:(KUBE-SVC-[A-Z2-7]{16}) /.exec(empty) ?? [];
    node.kernel.edit("nat", "MINE", () => [`-A MINE -j ${name}`]);
    node.cluster.drop(service());
    await node.sync();
    expect(node.kernel.save()).toContain(`:${name} `);
    expect(node.kernel.save()).not.toContain(`-A ${name} `);
    // As long as the rule is there nothing is tried.
    expect(await node.sync("everything")).toMatchObject({ bytes: 0, removed: 0 });
    node.kernel.edit("nat", "MINE", () => []);
    expect(await node.sync("everything")).toMatchObject({ removed: 1, quarantined: [] });
    expect(node.kernel.save()).not.toContain(name);
  });
});

describe("IptablesBackend.findCrowded()", () => {
  test("has a Service moved to sets by the next sync, also when it is found during one", async () => {
    const store = new FullStore();
    store.room = 10;
    const node = new Node(new AffinityKeeper("IPv4", "auto", store));
    const sticky = { sessionAffinity: "ClientIP", affinityTimeoutSeconds: 600 } as const;
    node.cluster.put(service({ ...numbered(1), ...sticky }), pods(1, 1), numbered(2), pods(2, 1));
    await node.sync();
    store.clients = store.recentLimit;
    node.cluster.put(pods(2, 2));
    const written = node.sync();
    expect(node.findCrowded()).toEqual(["ns/s1"]);
    await written;
    expect(store.sets.size).toBe(0);
    await node.sync();
    expect(store.sets.size).toBe(1);
    expect(node.kernel.save()).toContain("--add-set KUBE-SEP-");
    expect(node.findCrowded()).toEqual([]);
  });
});
