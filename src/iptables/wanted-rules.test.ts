/**
 * @module
 */
import { beforeEach, describe, expect, test } from "vitest";
import type { NodePlan, ServicePlan } from "../proxier/plan.ts";
import { address, endpoint, PlannedCluster, port, service, slice } from "../proxier/testing.ts";
import { servicePortHash } from "./chain-names.ts";
import type { RuleSettings } from "./settings.ts";
import { linesOfChain } from "./testing.ts";
import type { WantedChain } from "./wanted-chain.ts";
import { type RejectedService, type SharedRules, WantedRules } from "./wanted-rules.ts";

const settings: RuleSettings = { layout: "endpoint-chains", dropInvalid: true };

let cluster: PlannedCluster;
let wanted: WantedRules;

beforeEach(() => {
  cluster = new PlannedCluster();
  wanted = new WantedRules(cluster.planner.plan.node, settings);
});

const svc = `KUBE-SVC-${servicePortHash("ns/web:http", "TCP")}`;
const ext = `KUBE-EXT-${servicePortHash("ns/web:http", "TCP")}`;

interface Folded {
  readonly chains: readonly WantedChain[];
  readonly rejected: readonly RejectedService[];
}

/** Folds what is planned now, of the Services that differ. */
function fold(leftOut: readonly string[] = []): Folded {
  const { services } = cluster.planner.take();
  const rejected: RejectedService[] = [];
  const chains = wanted.fold(
    cluster.planner.plan,
    services,
    (key) => leftOut.includes(key),
    (one) => rejected.push(one),
  );
  return { chains: [...chains], rejected };
}

function names({ changed, removed }: SharedRules): {
  readonly changed: readonly string[];
  readonly removed: readonly string[];
} {
  return {
    changed: changed.map(({ table, name }) => `${table} ${name}`),
    removed: removed.map(({ table, name }) => `${table} ${name}`).sort(),
  };
}

function root(shared: SharedRules): WantedChain | undefined {
  return shared.changed.find(({ table, name }) => table === "nat" && name === "KUBE-SERVICES");
}

describe("WantedRules.fold()", () => {
  test("gives a Service's chains, with it as the owner of every line", () => {
    cluster.put(service(), slice(["10.244.1.1"]));
    const { chains } = fold();
    expect(chains.map(({ table, name, owners }) => [table, name.slice(0, 9), owners])).toEqual([
      ["nat", "KUBE-SEP-", "ns/web"],
      ["nat", "KUBE-SVC-", "ns/web"],
    ]);
    expect(wanted.wantsChain(svc)).toBe(true);
    expect([...wanted.services()]).toEqual(["ns/web"]);
  });

  test("renders a Service when it is asked for, not before", () => {
    cluster.put(service(), service({ name: "b", clusterIP: "10.96.0.11" }), slice(["10.244.1.1"]));
    cluster.planner.take();
    const reached: string[] = [];
    const keys = function* (): Iterable<string> {
      for (const key of ["ns/web", "ns/b"]) {
        reached.push(key);
        yield key;
      }
    };
    const [first] = wanted.fold(
      cluster.planner.plan,
      keys(),
      () => false,
      () => {},
    );
    expect(first).toBeDefined();
    expect(reached).toEqual(["ns/web"]);
  });

  test("forgets a Service that is gone, also one that it never knew", () => {
    cluster.put(service(), slice(["10.244.1.1"]));
    fold();
    cluster.drop(service());
    expect(fold().chains).toEqual([]);
    expect([...wanted.services()]).toEqual([]);
    expect(wanted.wantsChain(svc)).toBe(false);
    const nobody = wanted.fold(
      cluster.planner.plan,
      ["ns/nobody"],
      () => false,
      () => {},
    );
    expect([...nobody]).toEqual([]);
  });

  test("keeps a Service that has entries and no chains", () => {
    cluster.put(service());
    expect(fold().chains).toEqual([]);
    expect([...wanted.services()]).toEqual(["ns/web"]);
  });

  test("treats what is to be left out as absent", () => {
    cluster.put(service(), slice(["10.244.1.1"]));
    expect(fold(["ns/web"])).toEqual({ chains: [], rejected: [] });
    expect(linesOfChain(root(wanted.shared()))).toHaveLength(1);
  });

  test("leaves out a Service that cannot be written, names it, and goes on", () => {
    cluster.put(service(), slice(["10.244.1.1"]));
    fold();
    const good = cluster.planner.plan.services.get("ns/web") as ServicePlan;
    const [only] = good.ports;
    const bad = {
      ...good,
      key: "ns/bad",
      ports: only === undefined ? [] : [{ ...only, displayName: 'ns/b"ad' }],
    };
    const rejected: RejectedService[] = [];
    const plan = {
      node: cluster.planner.plan.node,
      services: new Map([
        ["ns/bad", bad],
        ["ns/web", good],
      ]),
    };
    const chains = [
      ...wanted.fold(
        plan,
        ["ns/bad", "ns/web"],
        () => false,
        (one) => rejected.push(one),
      ),
    ];
    expect(rejected).toEqual([{ service: "ns/bad", reason: expect.stringContaining("comment") }]);
    expect(chains.map(({ owners }) => owners)).toEqual(["ns/web", "ns/web"]);
    expect([...wanted.services()]).toEqual(["ns/web"]);
  });

  test("takes the rules back of a Service that can be written no longer", () => {
    cluster.put(service(), slice(["10.244.1.1"]));
    fold();
    wanted.shared();
    const good = cluster.planner.plan.services.get("ns/web") as ServicePlan;
    const [only] = good.ports;
    const bad = { ...good, ports: only === undefined ? [] : [{ ...only, displayName: 'ns/w"eb' }] };
    const plan = { node: cluster.planner.plan.node, services: new Map([["ns/web", bad]]) };
    expect([
      ...wanted.fold(
        plan,
        ["ns/web"],
        () => false,
        () => {},
      ),
    ]).toEqual([]);
    const shared = wanted.shared();
    expect(linesOfChain(root(shared))).toHaveLength(1);
    expect(names(shared).removed).toContain(`nat ${svc}`);
  });
});

describe("WantedRules.shared()", () => {
  test("tells everything at first, and then what differs", () => {
    const first = names(wanted.shared());
    expect(first.changed.slice(0, 6)).toEqual([
      "filter KUBE-NODEPORTS",
      "filter KUBE-PROXY-FIREWALL",
      "filter KUBE-EXTERNAL-SERVICES",
      "filter KUBE-SERVICES",
      "nat KUBE-NODEPORTS",
      "nat KUBE-SERVICES",
    ]);
    expect([...first.changed.slice(6)].sort()).toEqual([
      "filter KUBE-FIREWALL",
      "filter KUBE-FORWARD",
      "filter KUBE-PROXY-CANARY",
      "nat KUBE-MARK-MASQ",
      "nat KUBE-POSTROUTING",
      "nat KUBE-PROXY-CANARY",
    ]);
    expect(names(wanted.shared())).toEqual({ changed: [], removed: [] });
    cluster.put(service());
    fold();
    expect(names(wanted.shared())).toEqual({ changed: ["filter KUBE-SERVICES"], removed: [] });
  });

  test("names the chains that a Service gave up", () => {
    cluster.put(service(), slice(["10.244.1.1", "10.244.1.2"]));
    const before = fold().chains.map(({ name }) => name);
    wanted.shared();
    cluster.put(slice(["10.244.1.2"]));
    const after = fold().chains.map(({ name }) => name);
    const gone = before.filter((name) => !after.includes(name));
    expect(gone).toHaveLength(1);
    expect(names(wanted.shared())).toEqual({ changed: [], removed: gone.map((name) => `nat ${name}`) });
    expect(names(wanted.shared()).removed).toEqual([]);
  });

  test("does not name a chain that was given up and is wanted again meanwhile", () => {
    cluster.put(service(), slice(["10.244.1.1"]));
    fold();
    wanted.shared();
    cluster.drop(service());
    fold();
    cluster.put(service());
    fold();
    expect(names(wanted.shared()).removed).toEqual([]);
  });

  test("moves a rule from one tree to another when endpoints come and go", () => {
    const external = service({
      type: "NodePort",
      ports: [port({ nodePort: 30_001 })],
      externalIPs: ["1.2.3.4"],
    });
    cluster.put(external);
    fold();
    wanted.shared();
    cluster.put(slice(["10.244.1.1"]));
    fold();
    const come = wanted.shared();
    expect(names(come).changed).toEqual([
      "filter KUBE-EXTERNAL-SERVICES",
      "filter KUBE-SERVICES",
      "nat KUBE-NODEPORTS",
      "nat KUBE-SERVICES",
    ]);
    expect(come.changed.map(({ rules }) => rules)).toEqual([0, 0, 1, 3]);
    cluster.put(slice([]));
    fold();
    const gone = wanted.shared();
    expect(gone.changed.map(({ rules }) => rules)).toEqual([2, 1, 0, 1]);
    expect(names(gone).removed).toEqual(expect.arrayContaining([`nat ${ext}`, `nat ${svc}`]));
  });

  test("writes the root and the fixed chains anew when the node differs, and only then", () => {
    cluster.put(service(), slice(["10.244.1.1"]));
    fold();
    wanted.shared();
    const node: NodePlan = {
      ...cluster.planner.plan.node,
      nodePorts: { kind: "listed", addresses: [address("192.168.0.2")] },
    };
    wanted.setNode(node);
    const shared = wanted.shared();
    expect(names(shared).changed).toContain("nat KUBE-POSTROUTING");
    expect(linesOfChain(root(shared)).at(-1)).toContain("-d 192.168.0.2/32");
    wanted.setNode(node);
    expect(names(wanted.shared())).toEqual({ changed: [], removed: [] });
  });

  test("tells a root that differs for both reasons once", () => {
    wanted.shared();
    cluster.put(service(), slice(["10.244.1.1"]));
    fold();
    wanted.setNode({ ...cluster.planner.plan.node, nodePorts: { kind: "listed", addresses: [] } });
    const roots = wanted
      .shared()
      .changed.filter(({ table, name }) => table === "nat" && name === "KUBE-SERVICES");
    expect(roots.map(({ rules }) => rules)).toEqual([1]);
  });
});

test("WantedRules.allDispatch() has every tree, and counts as told", () => {
  cluster.put(service(), slice(["10.244.1.1"]));
  fold();
  expect(wanted.allDispatch().map(({ table, name }) => `${table} ${name}`)).toHaveLength(6);
  expect(names(wanted.shared())).toEqual({ changed: [], removed: [] });
});

describe("WantedRules.staticChains()", () => {
  const firewall = (exists: boolean, localhostNodePorts: boolean): WantedChain | undefined =>
    new WantedRules({ ...cluster.planner.plan.node, localhostNodePorts }, settings)
      .staticChains(exists)
      .find(({ name }) => name === "KUBE-FIREWALL");

  test("write the chain that is shared with kubelet where it has a rule of ours", () => {
    expect(firewall(true, true)?.rules).toBe(1);
    expect(firewall(false, true)?.rules).toBe(1);
  });

  test("otherwise only make it exist, because jumps lead to it", () => {
    expect(firewall(false, false)).toMatchObject({ text: "", rules: 0 });
    expect(firewall(true, false)).toBeUndefined();
  });
});

test("WantedRules writes every endpoint of a Service with both policies once", () => {
  cluster.put(
    service({ type: "NodePort", ports: [port({ nodePort: 30_001 })], externalTrafficPolicy: "Local" }),
    slice([endpoint("10.244.1.1", { nodeName: "here" }), endpoint("10.244.1.2")]),
  );
  const chainNames = fold().chains.map(({ name }) => name);
  expect(new Set(chainNames).size).toBe(chainNames.length);
  expect(chainNames.filter((name) => name.startsWith("KUBE-SEP-"))).toHaveLength(2);
});
