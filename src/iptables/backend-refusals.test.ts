/**
 * What the backend makes of a refusal: whose fault it is, and whether it is anybody's.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { SyncReport } from "../proxier/backend.ts";
import { endpoint, PlannedCluster, service, slice } from "../proxier/testing.ts";
import { IptablesBackend } from "./backend.ts";
import { FakeKernel } from "./testing.ts";

/** Cluster, planner, backend and kernel together. */
class Node {
  readonly cluster = new PlannedCluster();
  readonly kernel = new FakeKernel();
  readonly #backend = new IptablesBackend(
    this.cluster.planner.plan.node,
    { layout: "lean", dropInvalid: true },
    this.kernel,
  );

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

describe("IptablesBackend.sync()", () => {
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
    // The change, everything, the two suspects, each of them, and everything but the one.
    expect(node.kernel.writes.length - before).toBe(6);
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
});
