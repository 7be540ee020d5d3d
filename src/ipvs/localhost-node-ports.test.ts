/**
 * @module
 */
import { beforeEach, describe, expect, test } from "vitest";
import { IptablesBackend } from "../iptables/backend.ts";
import type { IptablesKernel } from "../iptables/kernel.ts";
import { removeLocalhostRules } from "../iptables/remove-part.ts";
import { localhostRules } from "../iptables/rule-part.ts";
import type { SyncReport } from "../proxier/backend.ts";
import type { EndpointSliceObject, ServiceObject } from "../proxier/objects.ts";
import type { PlannerSettings } from "../proxier/planner.ts";
import { port, service, slice } from "../proxier/testing.ts";
import { localhostRuleSettings, WithLocalhost } from "./localhost-node-ports.ts";
import { FakeNode } from "./testing.ts";

const { signal } = new AbortController();

/** A node whose node ports are served on localhost. */
class Node {
  readonly node: FakeNode;
  readonly backend: WithLocalhost;
  /** What became of the rules, one word each. */
  readonly steps: string[] = [];

  constructor(planner: Partial<PlannerSettings> = {}, before?: Node) {
    this.node = new FakeNode({
      planner: { localhostNodePorts: true, ...planner },
      ...(before === undefined ? {} : { host: before.node.host }),
    });
    const tables = this.tables;
    const kernel: IptablesKernel = {
      rulesPerCommit: tables.rulesPerCommit,
      read: () => tables.read(localhostRules),
      write: (chunks) => tables.write(chunks),
      hasChain: (table, chain) => tables.hasChain(table, chain),
      close: () => tables.close(),
    };
    const rules = new IptablesBackend(this.node.cluster.planner.plan.node, localhostRuleSettings, kernel);
    this.backend = new WithLocalhost(this.node.backend, {
      backend: {
        sync: (plan, change) => {
          this.steps.push(change === "everything" ? "everything" : [...change.services].join(" "));
          return rules.sync(plan, change);
        },
        close: () => rules.close(),
      },
      remove: () => {
        this.steps.push("remove");
        return removeLocalhostRules(kernel);
      },
    });
  }

  get tables(): FakeNode["host"]["tables"]["IPv4"] {
    return this.node.host.tables.IPv4;
  }

  put(...objects: readonly (ServiceObject | EndpointSliceObject)[]): void {
    this.node.cluster.put(...objects);
  }

  async sync(scope: "changes" | "everything" = "changes"): Promise<SyncReport> {
    const { planner } = this.node.cluster;
    const change = planner.take();
    return await this.backend.sync(planner.plan, scope === "everything" ? scope : change, signal);
  }

  take(): readonly string[] {
    return this.steps.splice(0);
  }
}

function nodePort(fields: Partial<ServiceObject> = {}): ServiceObject {
  return service({ type: "NodePort", ports: [port({ nodePort: 30_080 })], ...fields });
}

const other = service({ name: "other", clusterIP: "10.96.0.11" });

let node: Node;

beforeEach(() => {
  node = new Node();
});

describe("WithLocalhost.sync()", () => {
  test("has the fixed rules lead to those for localhost, which are there before", async () => {
    node.put(nodePort(), slice(["10.244.1.1"]));
    await node.sync();
    const saved = node.tables.save();
    expect(saved).toMatch(/^-A KUBE-SERVICES -d 127\.0\.0\.0\/8 .* -j KUBE-LOCALHOST$/m);
    expect(saved).toMatch(/^-A KUBE-LOCALHOST .*--dport 30080 -j KUBE-LHX-/m);
    expect(saved).toContain("-j DNAT --to-destination 10.244.1.1:8080");
    const written = node.tables.writes.join("");
    expect(written.indexOf(":KUBE-LOCALHOST")).toBeLessThan(written.indexOf("-j KUBE-LOCALHOST"));
  });

  test("looks at the Services that have node ports, and at no others", async () => {
    node.put(nodePort(), other, slice(["10.244.1.1"]));
    await node.sync();
    expect(node.take()).toEqual(["everything"]);
    node.put(slice(["10.244.2.1"], { name: "other-1", serviceName: "other" }));
    await node.sync();
    expect(node.take()).toEqual([]);
    node.put(slice(["10.244.1.2"]));
    const report = await node.sync();
    expect(node.take()).toEqual(["ns/web"]);
    expect(report).toMatchObject({ full: false, quarantined: [] });
    expect(node.tables.save()).toContain("--to-destination 10.244.1.2:8080");
    node.put(nodePort({ type: "ClusterIP", ports: [port()] }));
    await node.sync();
    expect(node.take()).toEqual(["ns/web"]);
    expect(node.tables.save()).not.toMatch(/KUBE-LH.-/);
  });

  test("writes nothing when nothing changed, also after a restart", async () => {
    node.put(nodePort(), slice(["10.244.1.1"]));
    await node.sync();
    expect(await node.sync("everything")).toMatchObject({ written: 0, bytes: 0 });
    const again = new Node({}, node);
    again.put(nodePort(), slice(["10.244.1.1"]));
    expect(await again.sync()).toMatchObject({ full: true, written: 0, removed: 0, bytes: 0 });
  });

  test("takes the rules of an earlier configuration away, once nothing leads there", async () => {
    node.put(nodePort(), slice(["10.244.1.1"]));
    await node.sync();
    const without = new Node({ localhostNodePorts: false }, node);
    without.put(nodePort(), slice(["10.244.1.1"]));
    await without.sync();
    expect(without.take()).toEqual(["remove"]);
    expect(node.tables.save()).not.toMatch(/KUBE-(LH.-|LOCALHOST)/);
    await without.sync("everything");
    expect(without.take()).toEqual([]);
  });

  test("names a Service whose rules are refused, and serves the others", async () => {
    const second = nodePort({ name: "other", clusterIP: "10.96.0.11", ports: [port({ nodePort: 30_081 })] });
    node.put(nodePort(), second, slice(["10.244.1.1"]));
    node.put(slice(["10.244.2.1"], { name: "other-1", serviceName: "other" }));
    node.tables.refuse = (line) => (line.includes("10.244.2.1:") ? "no such thing" : undefined);
    const { quarantined } = await node.sync();
    expect(quarantined).toEqual([{ service: "ns/other", reason: expect.stringContaining("no such thing") }]);
    expect(node.tables.save()).toContain("--to-destination 10.244.1.1:8080");
    expect((await node.sync()).quarantined).toEqual(quarantined);
  });

  test("reads everything again after a failure, and when it is told that somebody flushed", async () => {
    node.put(nodePort(), slice(["10.244.1.1"]));
    await node.sync();
    node.put(slice(["10.244.1.2"]));
    node.tables.failures = 1;
    await expect(node.sync()).rejects.toThrow("the fake was told to fail");
    node.take();
    await node.sync();
    expect(node.take()).toEqual(["everything"]);
    node.tables.flush();
    node.backend.doubt();
    node.node.backend.noteFlush();
    await node.sync();
    expect(node.tables.save()).toContain("--to-destination 10.244.1.2:8080");
  });
});

describe("WithLocalhost.audit()", () => {
  test("mends what somebody changed, and reads nothing where there is nothing to keep", async () => {
    expect(await node.backend.audit()).toBeUndefined();
    node.put(nodePort(), slice(["10.244.1.1"]));
    await node.sync();
    expect(await node.backend.audit()).toBe(0);
    node.tables.edit("nat", "KUBE-LOCALHOST", () => []);
    expect(await node.backend.audit()).toBe(1);
    expect(node.tables.save()).toMatch(/^-A KUBE-LOCALHOST .* -j KUBE-LHX-/m);
    const without = new Node({ localhostNodePorts: false });
    await without.sync();
    without.take();
    expect(await without.backend.audit()).toBeUndefined();
    expect(without.take()).toEqual([]);
  });
});
