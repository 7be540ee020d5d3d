/**
 * @module
 */
import { beforeEach, describe, expect, test } from "vitest";
import type { RememberedClient } from "../affinity/remembered-client.ts";
import { parseAddress } from "../proxier/address.ts";
import type { ServicePlan } from "../proxier/plan.ts";
import { endpoint, PlannedCluster, port, service, slice, slicePort } from "../proxier/testing.ts";
import { type AffinityChoice, AffinityKeeper } from "./affinity-keeper.ts";
import type { AffinitySet, AffinityStore, ClientDoor, SetClient } from "./affinity-store.ts";
import { WantedRules } from "./wanted-rules.ts";

/** A kernel that remembers clients, as far as the keeper can see. */
class FakeStore implements AffinityStore, ClientDoor {
  recentLimit = 100;
  setLimit = 1_000;
  hasSets = true;
  closed = false;
  readonly sets = new Map<string, AffinitySet>();
  readonly lists = new Map<string, number>();
  /** Sets that rules still name. */
  readonly used = new Set<string>();
  created = 0;

  ensure(sets: readonly AffinitySet[]): void {
    for (const set of sets) {
      this.created += 1;
      this.sets.set(set.name, set);
    }
  }

  list(): Promise<readonly string[]> {
    return this.hasSets
      ? Promise.resolve([...this.sets.keys()])
      : Promise.reject(new Error("there are no sets"));
  }

  destroy(names: readonly string[]): readonly string[] {
    const stay = names.filter((name) => this.used.has(name));
    for (const name of names.filter((one) => !stay.includes(one))) {
      this.sets.delete(name);
    }
    return stay;
  }

  countRecent(list: string): number {
    return this.lists.get(list) ?? 0;
  }

  readonly noted: string[] = [];

  noteRecent(list: string, clients: readonly string[]): void {
    this.noted.push(`${list}: ${clients.join(" ")}`);
  }

  addToSet(name: string, clients: readonly SetClient[]): void {
    this.noted.push(`${name}: ${clients.map((one) => `${one.address} ${one.timeoutSeconds}`).join(", ")}`);
  }

  close(): void {
    this.closed = true;
  }
}

/** `ns/web` with affinity on its port and endpoints of these last bytes. */
function sticky(...last: readonly number[]): ServicePlan {
  return planned(
    new PlannedCluster().put(
      service({ sessionAffinity: "ClientIP", affinityTimeoutSeconds: 600 }),
      slice(last.map((one) => endpoint(`10.244.1.${one}`))),
    ),
  );
}

function planned(cluster: PlannedCluster): ServicePlan {
  const plan = cluster.service();
  if (plan === undefined) {
    throw new TypeError("Cannot use the cluster: it has no Service ns/web");
  }
  return plan;
}

let store: FakeStore;

function keeperOf(choice: AffinityChoice, family: "IPv4" | "IPv6" = "IPv4"): AffinityKeeper {
  return new AffinityKeeper(family, choice, store);
}

/** What a sync of one Service does. */
function write(keeper: AffinityKeeper, plan: ServicePlan): void {
  keeper.mechanism(plan);
  keeper.prepare(plan);
  keeper.finish(false);
}

/** Fills the list of a Service's first endpoint. */
function fill(plan: ServicePlan, count: number): void {
  const probe = new FakeStore();
  new AffinityKeeper("IPv4", "set", probe).prepare(plan);
  const [first] = probe.sets.values();
  store.lists.set(first?.list ?? "", count);
}

beforeEach(() => {
  store = new FakeStore();
});

describe("AffinityKeeper.mechanism()", () => {
  test.each(["recent", "set"] as const)(
    "is %s where that is asked for, however full the lists are",
    (choice) => {
      const keeper = keeperOf(choice);
      const plan = sticky(1, 2);
      write(keeper, plan);
      fill(plan, 100);
      expect(keeper.findCrowded()).toEqual([]);
      expect(keeper.mechanism(plan)).toBe(choice);
    },
  );

  test("of auto is recent until a list is about to overflow", () => {
    const keeper = keeperOf("auto");
    const plan = sticky(1, 2);
    write(keeper, plan);
    fill(plan, 79);
    expect(keeper.findCrowded()).toEqual([]);
    expect(keeper.mechanism(plan)).toBe("recent");
    fill(plan, 80);
    expect(keeper.findCrowded()).toEqual(["ns/web"]);
    expect(keeper.mechanism(plan)).toBe("set");
    write(keeper, plan);
    expect(keeper.findCrowded()).toEqual([]);
  });

  test("of auto stays recent where there are no sets", () => {
    store.hasSets = false;
    const keeper = keeperOf("auto");
    const plan = sticky(1);
    write(keeper, plan);
    fill(plan, 100);
    expect(keeper.findCrowded()).toEqual([]);
    expect(keeper.mechanism(plan)).toBe("recent");
  });

  test("of auto goes on with sets that another process has left", async () => {
    const plan = sticky(1, 2);
    write(keeperOf("set"), plan);
    const keeper = keeperOf("auto");
    await keeper.readBack();
    expect(keeper.mechanism(plan)).toBe("set");
    expect(keeper.mechanism(sticky(7))).toBe("set");
  });

  test("of auto begins anew when the Service has been gone", () => {
    const keeper = keeperOf("auto");
    const plan = sticky(1);
    write(keeper, plan);
    fill(plan, 100);
    keeper.findCrowded();
    write(keeper, plan);
    keeper.forget(plan.key);
    keeper.finish(false);
    expect(keeper.mechanism(plan)).toBe("recent");
    expect(store.sets.size).toBe(0);
  });
});

test("a Service whose address another one has keeps no sets, which nobody would take away", () => {
  const cluster = new PlannedCluster().put(
    service({ sessionAffinity: "ClientIP" }),
    slice(["10.244.1.1"]),
    service({ name: "a-first" }),
  );
  const { plan } = cluster.planner;
  const keeper = keeperOf("set");
  const rules = new WantedRules(plan.node, { layout: "lean", dropInvalid: true }, keeper);
  const fold = () => [
    ...rules.fold(
      plan,
      cluster.planner.take().services,
      () => false,
      () => {},
    ),
  ];
  expect(fold()).toEqual([]);
  expect(plan.services.has("ns/web")).toBe(true);
  expect([...rules.services()]).not.toContain("ns/web");
  expect(store.sets.size).toBe(0);
});

describe("AffinityKeeper.readBack()", () => {
  test("does not ask a kernel without sets", async () => {
    store.hasSets = false;
    await expect(keeperOf("recent").readBack()).resolves.toBeUndefined();
  });
});

describe("AffinityKeeper.prepare()", () => {
  test("makes a set for each endpoint, which takes over the list of the same endpoint", () => {
    write(keeperOf("set"), sticky(1, 2));
    expect(store.sets.size).toBe(2);
    for (const { name, list, timeoutSeconds } of store.sets.values()) {
      expect(name).toMatch(/^KUBE-SEP-[A-Z2-7]{16}$/);
      expect(list).toBe(name);
      expect(timeoutSeconds).toBe(600);
    }
  });

  test("gives the sets of IPv6 names of their own", () => {
    write(keeperOf("set", "IPv6"), sticky(1));
    const [set] = store.sets.values();
    expect(set?.name).toMatch(/^KUBE-6-SEP-[A-Z2-7]{16}$/);
    expect(set?.list).toMatch(/^KUBE-SEP-[A-Z2-7]{16}$/);
  });

  test("makes none for ports without affinity, and one per port with it", () => {
    const cluster = new PlannedCluster().put(
      service({ ports: [port(), port({ name: "admin", port: 81 })] }),
      slice(["10.244.1.1"], { ports: [slicePort(), slicePort({ name: "admin", port: 9090 })] }),
    );
    const keeper = keeperOf("set");
    write(keeper, planned(cluster));
    expect(store.sets.size).toBe(0);
    cluster.put(service({ sessionAffinity: "ClientIP", ports: [port(), port({ name: "admin", port: 81 })] }));
    write(keeper, planned(cluster));
    expect(store.sets.size).toBe(2);
  });

  test("makes none that are there already", () => {
    const keeper = keeperOf("set");
    write(keeper, sticky(1, 2));
    write(keeper, sticky(1, 2, 3));
    expect(store.created).toBe(3);
  });
});

describe("AffinityKeeper.finish()", () => {
  test("removes the set of an endpoint that is gone, and no other", () => {
    const keeper = keeperOf("set");
    write(keeper, sticky(1, 2));
    const before = [...store.sets.keys()];
    write(keeper, sticky(2));
    expect(store.sets.size).toBe(1);
    expect(before).toContain([...store.sets.keys()][0]);
  });

  test("removes again what the kernel still used the last time", () => {
    const keeper = keeperOf("set");
    write(keeper, sticky(1));
    const [first = ""] = store.sets.keys();
    store.used.add(first);
    write(keeper, sticky(2));
    expect(store.sets.has(first)).toBe(true);
    store.used.clear();
    write(keeper, sticky(2));
    expect(store.sets.has(first)).toBe(false);
  });

  test("keeps a set that is wanted again before it could be removed", () => {
    const keeper = keeperOf("set");
    write(keeper, sticky(1));
    const [first = ""] = store.sets.keys();
    store.used.add(first);
    write(keeper, sticky(2));
    store.used.clear();
    write(keeper, sticky(1));
    expect([...store.sets.keys()]).toEqual([first]);
  });

  test("of everything removes sets that nobody here has made", async () => {
    write(keeperOf("set"), sticky(9));
    const keeper = keeperOf("set");
    await keeper.readBack();
    keeper.prepare(sticky(1));
    keeper.finish(false);
    expect(store.sets.size).toBe(2);
    keeper.finish(true);
    expect(store.sets.size).toBe(1);
  });

  test("moves a Service back to lists without leaving sets", async () => {
    write(keeperOf("set"), sticky(1));
    const keeper = keeperOf("recent");
    await keeper.readBack();
    keeper.prepare(sticky(1));
    keeper.finish(true);
    expect(store.sets.size).toBe(0);
  });
});

describe("AffinityKeeper.limits", () => {
  test.each<[AffinityChoice, boolean, Record<string, number>]>([
    ["recent", true, { recent: 100 }],
    ["set", true, { set: 1_000 }],
    ["auto", true, { recent: 100, set: 1_000 }],
    ["auto", false, { recent: 100 }],
  ])("of %s names the mechanisms that a Service may get (sets: %s)", (choice, hasSets, limits) => {
    store.hasSets = hasSets;
    expect(Object.fromEntries(keeperOf(choice).limits)).toEqual(limits);
  });
});

describe("AffinityKeeper.close()", () => {
  test("closes the store", () => {
    keeperOf("auto").close();
    expect(store.closed).toBe(true);
  });
});

describe("what another mode remembered", () => {
  const client = (last: number, target: string, secondsLeft = 60): RememberedClient => {
    const address = parseAddress(`10.244.9.${last}`);
    if (address === undefined) {
      throw new TypeError("no address");
    }
    const web = { service: "ns/web", port: "ns/web:http", protocol: "TCP" } as const;
    return { ...web, target, client: address, secondsLeft };
  };

  test("goes into the lists, the newest last, and of endpoints that are gone nowhere", () => {
    const store = new FakeStore();
    const keeper = new AffinityKeeper("IPv4", "auto", store);
    const clients = [
      client(1, "10.244.1.1:8080", 90),
      client(2, "10.244.1.1:8080", 30),
      client(3, "10.244.1.9:8080"),
    ];
    keeper.expect(clients);
    keeper.prepare(sticky(1, 2));
    keeper.write(clients, store);
    expect(store.noted).toEqual([expect.stringMatching(/^KUBE-SEP-\w+: 10\.244\.9\.2 10\.244\.9\.1$/)]);
  });

  test("goes into sets, with the time that is left, where it would overflow a list", () => {
    const store = new FakeStore();
    store.recentLimit = 2;
    const keeper = new AffinityKeeper("IPv4", "auto", store);
    const clients = [client(1, "10.244.1.1:8080", 90), client(2, "10.244.1.1:8080", 30)];
    keeper.expect(clients);
    keeper.prepare(sticky(1, 2));
    keeper.write(clients, store);
    expect(store.sets.size).toBe(2);
    expect(store.noted).toEqual([
      expect.stringMatching(/^KUBE-SEP-\w+: 10\.244\.9\.1 90, 10\.244\.9\.2 30$/),
    ]);
  });
});
