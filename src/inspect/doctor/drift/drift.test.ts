/**
 * Drift of both modes, over kernels in memory that the modes themselves have filled.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { IptablesBackend } from "../../../iptables/backend.ts";
import { FakeKernel } from "../../../iptables/testing.ts";
import { backendOptions, FakeHost, FakeNode, ruleSettings } from "../../../ipvs/testing.ts";
import type { NetlinkConnection } from "../../../netlink/connection.ts";
import { fakeConnection } from "../../../netlink/testing.ts";
import { endpoint, PlannedCluster, service, slice } from "../../../proxier/testing.ts";
import { RuleSummary } from "../rule-summary.ts";
import { DryConnection, readsRoute } from "./dry-netlink.ts";
import { iptablesDrift } from "./iptables-drift.ts";
import { ipvsDrift } from "./ipvs-drift.ts";

const web = service();
const webSlice = slice([endpoint("10.244.1.2"), endpoint("10.244.1.3")]);

describe("iptablesDrift()", () => {
  async function filled(): Promise<{ readonly cluster: PlannedCluster; readonly kernel: FakeKernel }> {
    const cluster = new PlannedCluster().put(web, webSlice);
    cluster.planner.take();
    const kernel = new FakeKernel();
    const { plan } = cluster.planner;
    const settings = { layout: "lean", dropInvalid: true } as const;
    await new IptablesBackend(plan.node, settings, kernel).sync(plan, "everything");
    return { cluster, kernel };
  }

  async function drift({ cluster, kernel }: Awaited<ReturnType<typeof filled>>): Promise<readonly string[]> {
    const written = kernel.writes.length;
    const { differences } = await iptablesDrift(cluster.planner.plan, {
      layout: "auto",
      dropInvalid: true,
      affinity: "auto",
      sets: [],
      rules: RuleSummary.of(kernel.save()),
      read: () => kernel.read(),
    });
    expect(kernel.writes).toHaveLength(written);
    return differences;
  }

  function serviceChain(kernel: FakeKernel): string {
    return /^:(KUBE-SVC-[A-Z0-9]{16}) /m.exec(kernel.save())?.[1] ?? "";
  }

  test("is nothing after a sync", async () => {
    expect(await drift(await filled())).toEqual([]);
  });

  test("names a chain that somebody edited, and nothing else", async () => {
    const node = await filled();
    const chain = serviceChain(node.kernel);
    node.kernel.edit("nat", chain, (lines) => lines.slice(1));
    expect(await drift(node)).toEqual([`nat chain ${chain}`]);
  });

  test("names a jump that is missing", async () => {
    const node = await filled();
    node.kernel.edit("nat", "PREROUTING", () => []);
    expect(await drift(node)).toEqual(["nat jump PREROUTING to KUBE-SERVICES"]);
  });

  test("names a chain that nobody wants", async () => {
    const node = await filled();
    node.kernel.edit("nat", "KUBE-SVC-AAAAAAAAAAAAAAAA", () => []);
    expect(await drift(node)).toEqual(["nat chain KUBE-SVC-AAAAAAAAAAAAAAAA"]);
  });

  test("names a change of the cluster that the kernel has not got yet", async () => {
    const node = await filled();
    node.cluster.put(slice([endpoint("10.244.1.2")]));
    node.cluster.planner.take();
    expect(await drift(node)).toEqual([`nat chain ${serviceChain(node.kernel)}`]);
  });

  test("is everything on a node that nobody has served", async () => {
    const { cluster } = await filled();
    const all = await drift({ cluster, kernel: new FakeKernel() });
    expect(all).toContain("nat chain KUBE-SERVICES");
    expect(all).toContain("nat jump PREROUTING to KUBE-SERVICES");
  });
});

describe("ipvsDrift()", () => {
  async function filled(): Promise<FakeNode> {
    const node = new FakeNode();
    node.cluster.put(web, webSlice);
    await node.sync("everything");
    return node;
  }

  async function drift({ host, cluster }: Pick<FakeNode, "host" | "cluster">): Promise<readonly string[]> {
    const state = async (): Promise<string> => `${await host.dump()}${host.tables.IPv4.save()}`;
    const before = await state();
    const { plan } = cluster.planner;
    const { hairpinSet: _, onProblems: __, ...backend } = backendOptions();
    const { hairpin: ___, ...rules } = ruleSettings;
    const doors: Readonly<Record<string, () => NetlinkConnection>> = {
      generic: () => host.ipvs.open(),
      netfilter: () => fakeConnection(host.ipset.kernel),
      route: () => fakeConnection(host.route.kernel),
    };
    const { differences } = await ipvsDrift(plan, {
      backend,
      ruleSettings: rules,
      rules: RuleSummary.of(host.tables.IPv4.save()),
      save: async (push) => push(host.tables.IPv4.save()),
      open: (protocol) => doors[protocol]?.() ?? fakeConnection(() => []),
    });
    expect(await state()).toBe(before);
    return differences;
  }

  test("is nothing after a sync", async () => {
    expect(await drift(await filled())).toEqual([]);
  });

  test("names an address that somebody took off, and a rule that is gone", async () => {
    const node = await filled();
    const [address = ""] = node.host.bound();
    node.host.removeAddress(address);
    node.host.tables.IPv4.edit("nat", "KUBE-MARK-MASQ", () => []);
    const all = await drift(node);
    expect(all).toEqual([
      "nat chain KUBE-MARK-MASQ",
      expect.stringMatching(new RegExp(`^add address ${address}/32 to interface \\d+$`)),
    ]);
  });

  test("names a real server that is wanted and not there", async () => {
    const node = await filled();
    node.cluster.put(slice([endpoint("10.244.1.2"), endpoint("10.244.1.3"), endpoint("10.244.1.4")]));
    node.cluster.planner.take();
    expect((await drift(node)).join()).toMatch(/add real server 10\.244\.1\.4/);
  });

  test("is the device on a node that nobody has served", async () => {
    const { cluster } = await filled();
    expect(await drift({ host: new FakeHost(), cluster })).toEqual([
      "interface kube-ipvs0, and all that is bound to it",
    ]);
  });
});

test("DryConnection passes on what reads, and keeps what would change something", async () => {
  const asked: number[] = [];
  using connection = new DryConnection(
    fakeConnection(({ type }) => {
      asked.push(type);
      return [];
    }),
    readsRoute,
  );
  const request = (type: number) => ({ operation: `do ${type}`, type, payload: new Uint8Array(16) });
  expect(connection.transact([request(18), request(16), request(22)]).map(({ error }) => error)).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  await connection.transactEach([request(20), request(21)], () => {});
  expect(asked).toEqual([18, 22]);
  expect(connection.operations).toEqual(["do 16", "do 20", "do 21"]);
});
