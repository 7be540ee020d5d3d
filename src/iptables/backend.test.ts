/**
 * @module
 */
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import type { SyncReport } from "../proxier/backend.ts";
import type { ServiceObject } from "../proxier/objects.ts";
import { endpoint, PlannedCluster, port, service, slice } from "../proxier/testing.ts";
import { IptablesBackend } from "./backend.ts";
import type { RuleSettings } from "./settings.ts";
import { FakeKernel } from "./testing.ts";

const settings: RuleSettings = { layout: "lean", dropInvalid: true };

/** A node: cluster, planner, backend and kernel together. */
class Node {
  readonly cluster: PlannedCluster = new PlannedCluster();
  readonly kernel: FakeKernel;
  backend: IptablesBackend;

  constructor(kernel: FakeKernel = new FakeKernel()) {
    this.kernel = kernel;
    this.backend = new IptablesBackend(this.cluster.planner.plan.node, settings, kernel);
  }

  async sync(scope: "changes" | "everything" = "changes"): Promise<SyncReport> {
    const change = this.cluster.planner.take();
    return await this.backend.sync(this.cluster.planner.plan, scope === "everything" ? scope : change);
  }
}

function numbered(index: number): ServiceObject {
  return service({ name: `s${index}`, clusterIP: `10.96.${index >> 8}.${index & 255}` });
}

function endpointsOf(index: number, ...last: readonly number[]): ReturnType<typeof slice> {
  return slice(
    last.map((one) => `10.244.1.${one}`),
    { name: `s${index}-1`, serviceName: `s${index}` },
  );
}

let node: Node;

beforeEach(() => {
  node = new Node();
});

describe("IptablesBackend.sync()", () => {
  test("programs a Service with two endpoints", async () => {
    node.cluster.put(service(), slice(["10.244.1.1", "10.244.1.2"]));
    const report = await node.sync();
    expect(report.full).toBe(true);
    await expect(node.kernel.save()).toMatchFileSnapshot("golden/two-endpoints.iptables-save");
  });

  test("writes nothing when nothing changed, also after a restart", async () => {
    node.cluster.put(service(), slice(["10.244.1.1"]));
    await node.sync();
    expect((await node.sync("everything")).bytes).toBe(0);
    const again = new Node(node.kernel);
    again.cluster.put(service(), slice(["10.244.1.1"]));
    const report = await again.sync();
    expect(report).toMatchObject({ full: true, written: 0, removed: 0, bytes: 0 });
    expect(node.kernel.writes).toHaveLength(1);
  });

  test("writes only the chain of the Service whose endpoint changed", async () => {
    for (let index = 0; index < 100; index++) {
      node.cluster.put(numbered(index), endpointsOf(index, 1, 2));
    }
    await node.sync();
    node.cluster.put(endpointsOf(7, 1, 3));
    const report = await node.sync();
    expect(report).toMatchObject({ full: false, written: 1, removed: 0 });
    expect(node.kernel.writes.at(-1)).toMatchSnapshot();
  });

  test("writes the Service's chain, one dispatch leaf and no more when a Service comes", async () => {
    for (let index = 0; index < 100; index++) {
      node.cluster.put(numbered(index), endpointsOf(index, 1));
    }
    await node.sync();
    node.cluster.put(numbered(100), endpointsOf(100, 1));
    expect(await node.sync()).toMatchObject({ written: 2, removed: 0 });
  });

  test("puts the refusal into the filter table before it takes the last endpoint out of nat", async () => {
    node.cluster.put(service(), slice(["10.244.1.1"]));
    await node.sync();
    node.cluster.put(slice([]));
    await node.sync();
    const text = node.kernel.writes.at(-1) ?? "";
    expect(text.indexOf("*filter")).toBeLessThan(text.indexOf("*nat"));
    expect(text).toContain('"ns/web:http has no endpoints" -m tcp --dport 80 -j REJECT');
    node.cluster.put(slice(["10.244.1.1"]));
    await node.sync();
    const back = node.kernel.writes.at(-1) ?? "";
    expect(back.indexOf("*nat")).toBeLessThan(back.indexOf("*filter"));
  });

  test("repairs what somebody flushed or edited, and counts it", async () => {
    node.cluster.put(service(), slice(["10.244.1.1"]));
    await node.sync();
    const good = node.kernel.save();
    node.kernel.edit("nat", "KUBE-SERVICES", () => []);
    node.kernel.edit("filter", "FORWARD", () => []);
    const report = await node.sync("everything");
    expect(report.repaired).toBe(1 + 4);
    node.kernel.flush();
    expect((await node.sync("everything")).repaired).toBeGreaterThan(5);
    expect(node.kernel.save()).toBe(good);
  });

  test("leaves foreign chains and rules alone", async () => {
    node.kernel.edit("nat", "PREROUTING", () => ["-A PREROUTING -j MINE"]);
    node.kernel.edit("nat", "MINE", () => ["-A MINE -j ACCEPT"]);
    node.kernel.edit("filter", "KUBE-FIREWALL", () => ["-A KUBE-FIREWALL -j ACCEPT"]);
    await node.sync();
    expect(node.kernel.save()).toContain("-A MINE -j ACCEPT");
    expect(node.kernel.save()).toContain("-A PREROUTING -j MINE");
  });

  test("leaves a refused Service out, names it, and lets it back in when it changes", async () => {
    node.cluster.put(
      numbered(1),
      endpointsOf(1, 1),
      numbered(2),
      endpointsOf(2, 2),
      numbered(3),
      endpointsOf(3, 3),
    );
    node.kernel.refuse = (line) => (line.includes("10.244.1.2:") ? "refused by test" : undefined);
    const report = await node.sync();
    expect(report.quarantined).toEqual([{ service: "ns/s2", reason: "refused by test" }]);
    expect(node.kernel.save()).toContain("10.244.1.3:8080");
    expect(node.kernel.save()).not.toContain("ns/s2");
    node.cluster.put(endpointsOf(2, 4));
    expect((await node.sync()).quarantined).toEqual([]);
    expect(node.kernel.save()).toContain("10.244.1.4:8080");
  });

  test("finds a refused Service also when the tool does not name the line", async () => {
    for (let index = 0; index < 20; index++) {
      node.cluster.put(numbered(index), endpointsOf(index, index + 1));
    }
    node.kernel.nameLines = false;
    node.kernel.refuse = (line) => (line.includes("10.244.1.5:") ? "refused by test" : undefined);
    expect((await node.sync()).quarantined.map((one) => one.service)).toEqual(["ns/s4"]);
  });

  test("reads the kernel again after a failure", async () => {
    node.cluster.put(service(), slice(["10.244.1.1"]));
    node.kernel.failures = 1;
    await expect(node.sync()).rejects.toThrow("told to fail");
    expect(await node.sync()).toMatchObject({ full: true });
    expect(node.kernel.save()).toContain("10.244.1.1:8080");
  });

  test("empties a chain that a foreign rule keeps from being deleted", async () => {
    node.cluster.put(service(), slice(["10.244.1.1"]));
    await node.sync();
    const name = /:(KUBE-SVC-[A-Z2-7]{16}) /.exec(node.kernel.save())?.[1] ?? "";
    node.kernel.edit("nat", "MINE", () => [`-A MINE -j ${name}`]);
    node.cluster.drop(service());
    await node.sync();
    expect(node.kernel.save()).toContain(`:${name} `);
    expect(node.kernel.save()).not.toContain(`-A ${name}`);
    expect((await node.sync("everything")).bytes).toBe(0);
  });

  test("ends in the same kernel by any road, with faults on the way", async () => {
    const anyStep = fc.record({
      index: fc.nat(40),
      endpoints: fc.uniqueArray(fc.integer({ min: 1, max: 5 }), { maxLength: 4 }),
      nodePort: fc.constantFrom(0, 30001, 30002),
      gone: fc.boolean(),
      sync: fc.constantFrom("no", "changes", "everything", "fails"),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 60, size: "max" }), async (steps) => {
        const winding = new Node();
        const straight = new Node();
        for (const step of steps) {
          const object = service({
            ...numbered(step.index),
            type: "NodePort",
            ports: [port({ nodePort: step.nodePort })],
          });
          const endpoints = slice(
            step.endpoints.map((one) => endpoint(`10.244.1.${one}`)),
            { name: `s${step.index}-1`, serviceName: `s${step.index}` },
          );
          for (const one of [winding, straight]) {
            if (step.gone) {
              one.cluster.drop(object, endpoints);
            } else {
              one.cluster.put(object, endpoints);
            }
          }
          if (step.sync === "fails") {
            winding.kernel.failures = 1;
            await winding.sync().catch(() => {});
            winding.kernel.failures = 0;
          } else if (step.sync !== "no") {
            await winding.sync(step.sync === "everything" ? "everything" : "changes");
          }
        }
        await winding.sync();
        await straight.sync();
        expect(winding.kernel.save()).toBe(straight.kernel.save());
      }),
      { numRuns: 30 },
    );
  });
});

describe("IptablesBackend.prepare()", () => {
  test("writes the chains of Services and nothing that leads to them, nor a chain that another mode has", async () => {
    const { kernel } = node;
    await kernel.write([
      "*nat\n:KUBE-MARK-MASQ - [0:0]\n-A KUBE-MARK-MASQ -j MARK --or-mark 0x8000\nCOMMIT\n",
    ]);
    node.cluster.put(service(), slice(["10.244.1.1"]));
    node.cluster.planner.take();
    expect(await node.backend.prepare(node.cluster.planner.plan)).toEqual([]);
    const chains = kernel.save().match(/^:KUBE-\S+/gm) ?? [];
    expect(chains.filter((name) => !name.startsWith(":KUBE-SVC-"))).toEqual([":KUBE-MARK-MASQ"]);
    expect(chains.length).toBeGreaterThan(1);
    expect(kernel.save()).toContain("0x8000");
    const report = await node.sync("everything");
    expect(report.quarantined).toEqual([]);
    const fresh = new Node();
    fresh.cluster.put(service(), slice(["10.244.1.1"]));
    await fresh.sync();
    expect(kernel.save()).toBe(fresh.kernel.save());
    expect(await node.sync("everything")).toMatchObject({ written: 0, removed: 0 });
  });

  test("names a Service that the kernel refuses", async () => {
    node.cluster.put(service(), slice(["10.244.1.1"]), numbered(1), endpointsOf(1, 7));
    node.kernel.refuse = (line) => (line.includes("10.244.1.7") ? "no" : undefined);
    node.cluster.planner.take();
    expect(await node.backend.prepare(node.cluster.planner.plan)).toEqual([
      { service: "ns/s1", reason: "the kernel refuses its rules" },
    ]);
  });
});
