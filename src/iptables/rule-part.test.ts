/**
 * Rules for node ports on localhost, beside those of another mode.
 *
 * @module
 */
import { beforeEach, describe, expect, test } from "vitest";
import type { SyncReport } from "../proxier/backend.ts";
import type { Plan, ServicePlan } from "../proxier/plan.ts";
import { PlannedCluster, port, service, slice } from "../proxier/testing.ts";
import { IptablesBackend } from "./backend.ts";
import { maxChainNameLength } from "./chain-names.ts";
import { localhostService } from "./localhost-plan.ts";
import { removeLocalhostRules } from "./remove-part.ts";
import { isLocalhostChain, localhostRules } from "./rule-part.ts";
import { FakeKernel } from "./testing.ts";
import { everyKindOfRule } from "./testing-cluster.ts";

/** Another mode's rules, and somebody's own. */
const others = [
  "*nat",
  ":KUBE-MARK-MASQ - [0:0]",
  ":KUBE-SERVICES - [0:0]",
  ":KUBE-SVC-AAAAAAAAAAAAAAAA - [0:0]",
  ":OTHER - [0:0]",
  "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x8000/0x8000",
  "-A KUBE-SERVICES -j KUBE-SVC-AAAAAAAAAAAAAAAA",
  "-A OTHER -j KUBE-SERVICES",
  "COMMIT",
  "*filter",
  ":KUBE-FORWARD - [0:0]",
  "COMMIT",
  "",
].join("\n");

let kernel: FakeKernel;
let cluster: PlannedCluster;
let backend: IptablesBackend;

function restart(): void {
  const settings = { layout: "lean", dropInvalid: false, part: localhostRules, dispatchLimit: 4 } as const;
  backend = new IptablesBackend(cluster.planner.plan.node, settings, kernel);
}

beforeEach(async () => {
  kernel = new FakeKernel();
  kernel.part = localhostRules;
  await kernel.write([others]);
  cluster = new PlannedCluster();
  restart();
});

function plan(): Plan {
  const services = new Map<string, ServicePlan>();
  for (const [key, service] of cluster.planner.plan.services) {
    const wanted = localhostService(service);
    if (wanted !== undefined) {
      services.set(key, wanted);
    }
  }
  return { node: cluster.planner.plan.node, services };
}

function sync(): Promise<SyncReport> {
  cluster.planner.take();
  return backend.sync(plan(), "everything");
}

/** What is there besides the chains and jumps of the part. */
function besides(): string {
  return kernel
    .save()
    .split("\n")
    .filter((line) => !/KUBE-(LH.-|LOCALHOST|FIREWALL)/.test(line))
    .join("\n");
}

describe("the part of the rules for localhost", () => {
  test("leaves everything else as it is, and has no name of the whole", async () => {
    const before = besides();
    cluster.put(...everyKindOfRule("IPv4"));
    await sync();
    expect(besides()).toBe(before);
    const own = kernel
      .save()
      .split("\n")
      .filter((line) => /KUBE-(LH.-|LOCALHOST)/.test(line));
    expect(own.filter((line) => /KUBE-(SVC|SVL|SEP|EXT|FW|NODEPORTS)/.test(line))).toEqual([]);
    const names = own.flatMap((line) => /^:(\S+)/.exec(line)?.[1] ?? []);
    expect(names).toContain("KUBE-LOCALHOST");
    expect(names.filter((name) => name.length > maxChainNameLength || !isLocalhostChain(name))).toEqual([]);
  });

  test("has these rules for a Service", async () => {
    cluster.put(
      service({ type: "NodePort", ports: [port({ nodePort: 30_080 })], sessionAffinity: "ClientIP" }),
      slice(["10.244.1.1", "10.244.1.2"]),
    );
    await sync();
    await expect(kernel.save()).toMatchFileSnapshot("golden/localhost.iptables-save");
  });

  test("is adopted by the next start, and mends what somebody changed", async () => {
    cluster.put(...everyKindOfRule("IPv4"));
    await sync();
    restart();
    expect(await sync()).toMatchObject({ written: 0, removed: 0, bytes: 0 });
    kernel.edit("nat", "KUBE-LOCALHOST", () => []);
    expect(await sync()).toMatchObject({ written: 1, repaired: 1 });
  });

  test("makes the mark's chain where nobody has it", async () => {
    kernel.flush();
    cluster.put(...everyKindOfRule("IPv4"));
    await sync();
    expect(kernel.save()).toContain("-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000");
  });

  test("goes as a whole, and nothing else does", async () => {
    const before = besides();
    cluster.put(...everyKindOfRule("IPv4"));
    await sync();
    await removeLocalhostRules(kernel);
    expect(besides()).toBe(before);
    expect(kernel.save()).not.toMatch(/KUBE-(LH.-|LOCALHOST)/);
    const writes = kernel.writes.length;
    await removeLocalhostRules(kernel);
    expect(kernel.writes).toHaveLength(writes);
  });
});
