/**
 * @module
 */
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { type ObjectKind, objectKey } from "../kube/source.ts";
import { type Family, families } from "../proxier/address.ts";
import { ClusterState } from "../proxier/cluster-state.ts";
import type { NodeObject, Problem } from "../proxier/objects.ts";
import { FamilyPlanner } from "../proxier/planner.ts";
import type { Proxier } from "../proxier/proxier.ts";
import { plannerSettings, service, slice } from "../proxier/testing.ts";
import { anyService, anySlice } from "../proxier/testing-arbitraries.ts";
import { ClusterFeed } from "./cluster-feed.ts";

/** What a proxier is told. */
class FakeProxier {
  readonly family: "IPv4" | "IPv6";
  readonly told: string[] = [];

  constructor(family: "IPv4" | "IPv6") {
    this.family = family;
  }

  touch(key: string, triggerTime = ""): void {
    this.told.push(`touch ${key}${triggerTime === "" ? "" : ` ${triggerTime}`}`);
  }

  forgetTriggerTimes(key: string): void {
    this.told.push(`forget ${key}`);
  }

  setZone(zone: string): void {
    this.told.push(`zone ${zone}`);
  }

  resync(): void {
    this.told.push("resync");
  }

  /** As the feed knows it. */
  get proxier(): Proxier {
    return this as unknown as Proxier;
  }
}

const node: NodeObject = {
  kind: "Node",
  name: "here",
  resourceVersion: "1",
  addresses: ["192.168.0.2"],
  podCIDRs: [],
  zone: "a",
  deleting: false,
  taints: [],
};

function problem(fields: Partial<Problem> = {}): Problem {
  return { kind: "Service", object: "ns/web", field: "spec.clusterIP", message: "is no address", ...fields };
}

let state: ClusterState;
let four: FakeProxier;
let six: FakeProxier;
let told: string[];
let feed: ClusterFeed;

function setUp(): void {
  state = new ClusterState();
  four = new FakeProxier("IPv4");
  six = new FakeProxier("IPv6");
  told = [];
  feed = new ClusterFeed(state, {
    onComplete: () => told.push("complete"),
    onNode: (seen) => told.push(`node ${seen?.name ?? "gone"}`),
    onEvent: (kind, touched) => told.push(`${kind} ${touched ? "touched" : "ignored"}`),
    onProblems: (reporter, problems) =>
      told.push(`${reporter}: ${problems.map(({ field }) => field).join(", ")}`),
    onLog: (level, message, fields) => told.push(`${level} ${message} ${JSON.stringify(fields)}`),
  });
}

beforeEach(setUp);

/** Both proxiers take part. */
function attach(): void {
  feed.attach([four.proxier, six.proxier]);
}

describe("ClusterFeed.synced()", () => {
  test("names, once everything is known, the slices that no Service has", () => {
    feed.upsert(service());
    feed.upsert(slice(["10.244.1.1"]));
    for (let index = 0; index < 22; index++) {
      feed.upsert(slice(["10.244.1.2"], { name: `other-${index}`, serviceName: `other${index}` }));
    }
    told.length = 0;
    for (const kind of ["Service", "EndpointSlice", "Node"] as const) {
      feed.synced(kind);
    }
    expect(told).toHaveLength(22);
    expect(told[0]).toContain('"object":"ns/other-0","field":"metadata.labels');
    expect(told[0]).toContain('"service":"ns/other0"');
    expect(told.at(-2)).toContain('{"count":2}');
    expect(told.at(-1)).toBe("complete");
  });
});

describe("ClusterFeed.attach()", () => {
  test("names what was touched since everything was complete, and the zone, to who comes later", () => {
    feed.upsert(service());
    for (const kind of ["Service", "EndpointSlice", "Node"] as const) {
      feed.synced(kind);
    }
    feed.upsert(slice(["10.244.1.1"]));
    feed.upsert(node);
    attach();
    expect(four.told).toEqual(["touch ns/web", "zone a"]);
    expect(six.told).toEqual(["touch ns/web", "zone a"]);
  });
});

describe("ClusterFeed.record()", () => {
  test("keeps what is touched for those that come next, while those before go on", () => {
    for (const kind of ["Service", "EndpointSlice", "Node"] as const) {
      feed.synced(kind);
    }
    feed.attach([four.proxier]);
    feed.upsert(service({ name: "before" }));
    feed.record();
    feed.upsert(service());
    feed.attach([six.proxier]);
    feed.upsert(service({ name: "after" }));
    expect(four.told).toEqual(["touch ns/before", "touch ns/web", "touch ns/after"]);
    expect(six.told).toEqual(["touch ns/web", "touch ns/after"]);
    feed.detach([four.proxier]);
    feed.remove("Service", "ns/web");
    expect(four.told).toHaveLength(3);
    expect(six.told).toHaveLength(3);
  });
});

describe("ClusterFeed.upsert()", () => {
  test("fills the state while there are no proxiers", () => {
    feed.upsert(service());
    feed.upsert(slice(["10.244.1.1"]));
    attach();
    expect(state.service("ns/web")).toBeDefined();
    expect(four.told).toEqual([]);
    expect(told).toEqual(["Service touched", "EndpointSlice touched"]);
  });

  test("names a Service to the proxiers of both families", () => {
    attach();
    feed.upsert(service());
    expect(four.told).toEqual(["touch ns/web"]);
    expect(six.told).toEqual(["touch ns/web"]);
  });

  test("names a slice's Service, with the time of the change, to the proxier of its family", () => {
    attach();
    feed.upsert(service());
    feed.upsert(slice(["fd00::1"], { addressType: "IPv6", triggerTime: "2026-01-01T00:00:00Z" }));
    expect(four.told).toEqual(["touch ns/web"]);
    expect(six.told).toEqual(["touch ns/web", "touch ns/web 2026-01-01T00:00:00Z"]);
  });

  test("names a slice's Service to both families when it came back with addresses of the other one", () => {
    feed.upsert(slice(["10.244.1.1"]));
    attach();
    feed.upsert(slice(["fd00::1"], { addressType: "IPv6" }));
    expect(four.told).toEqual(["touch ns/web"]);
    expect(six.told).toEqual(["touch ns/web"]);
  });

  test("names the Services that a slice left and joined", () => {
    attach();
    feed.upsert(slice(["10.244.1.1"]));
    feed.upsert(slice(["10.244.1.1"], { serviceName: "other" }));
    expect(four.told.sort()).toEqual(["touch ns/other", "touch ns/web", "touch ns/web"]);
  });

  test("tells of a Node and gives its zone to the proxiers", () => {
    attach();
    feed.upsert(node);
    expect(told).toEqual(["node here"]);
    expect(state.node).toBe(node);
    expect(four.told).toEqual(["zone a"]);
    expect(six.told).toEqual(["zone a"]);
  });
});

test("ClusterFeed tells both families all that they have to look at", () => {
  const step = fc.record({ object: fc.oneof(anyService, anySlice), isGone: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30, size: "max" }), (steps) => {
      setUp();
      const planners = families.map((family) => new FamilyPlanner(plannerSettings({ family }), state));
      feed.attach(planners.map((planner, index) => followedBy(planner, families[index] ?? "IPv4")));
      for (const { object, isGone } of steps) {
        if (isGone) {
          feed.remove(object.kind, objectKey(object));
        } else {
          feed.upsert(object);
        }
        const fresh = families.map((family) => new FamilyPlanner(plannerSettings({ family }), state));
        for (const planner of [...planners, ...fresh]) {
          planner.take();
        }
        for (const planner of fresh) {
          planner.touchAll();
          planner.take();
        }
        expect(planners.map(({ plan }) => plan.services)).toEqual(fresh.map(({ plan }) => plan.services));
      }
    }),
    { numRuns: 30 },
  );
});

/** A proxier that is nothing but its planner. */
function followedBy(planner: FamilyPlanner, family: Family): Proxier {
  const proxier: Partial<Proxier> = {
    touch: (key) => planner.touch(key),
    setZone: (zone) => planner.setZone(zone),
    forgetTriggerTimes: () => undefined,
  };
  return { ...proxier, family } as unknown as Proxier;
}

describe("ClusterFeed.remove()", () => {
  test("names a Service that is gone", () => {
    feed.upsert(service());
    attach();
    feed.remove("Service", "ns/web");
    expect(four.told).toEqual(["touch ns/web"]);
    expect(state.service("ns/web")).toBeUndefined();
  });

  test("forgets the trigger times of a slice's Service before it names it", () => {
    feed.upsert(slice(["10.244.1.1"]));
    attach();
    feed.remove("EndpointSlice", "ns/web-1");
    expect(four.told).toEqual(["forget ns/web", "touch ns/web"]);
  });

  test("tells that the Node is gone, whose last values stay, also for those that are attached later", () => {
    feed.upsert(node);
    attach();
    feed.remove("Node", "here");
    expect(told).toEqual(["node here", "node gone"]);
    expect(state.node).toBe(node);
    expect(four.told).toEqual(["zone a"]);
  });
});

describe("ClusterFeed.synced()", () => {
  test("tells once that everything is complete, when the last kind is", () => {
    const kinds: readonly ObjectKind[] = ["Node", "Service"];
    for (const kind of kinds) {
      feed.synced(kind);
      feed.synced(kind);
    }
    expect(feed.complete).toBe(false);
    expect(told).toEqual([]);
    feed.synced("EndpointSlice");
    feed.synced("EndpointSlice");
    expect(feed.complete).toBe(true);
    expect(told).toEqual(["complete"]);
  });
});

describe("ClusterFeed.problem()", () => {
  test("tells all problems of an object together", async () => {
    feed.upsert(service());
    feed.problem(problem());
    feed.problem(problem({ field: "spec.ports[0]" }));
    await Promise.resolve();
    expect(told).toEqual(["Service touched", "Service ns/web: spec.clusterIP, spec.ports[0]"]);
  });

  test("does not tell in between that the problems are gone when an object comes again with them", async () => {
    feed.upsert(service());
    feed.problem(problem());
    await Promise.resolve();
    feed.upsert(service({ clusterIP: "10.96.0.11" }));
    feed.problem(problem());
    await Promise.resolve();
    expect(told.filter((line) => line.startsWith("Service ns/web:"))).toEqual([
      "Service ns/web: spec.clusterIP",
      "Service ns/web: spec.clusterIP",
    ]);
  });

  test("tells that they are gone when the object comes without, goes, or is cleared", async () => {
    for (const end of [
      () => feed.upsert(service()),
      () => feed.remove("Service", "ns/web"),
      () => feed.cleared("Service", "ns/web"),
    ]) {
      feed.problem(problem());
      await Promise.resolve();
      told.length = 0;
      end();
      await Promise.resolve();
      expect(told).toContain("Service ns/web: ");
    }
  });

  test("says nothing of objects that never had any", async () => {
    feed.upsert(service());
    feed.remove("Service", "ns/web");
    await Promise.resolve();
    expect(told.filter((line) => line.startsWith("Service ns/web:"))).toEqual([]);
  });
});

describe("ClusterFeed.mishandled()", () => {
  test("logs it and has everything looked at again", () => {
    attach();
    feed.mishandled("Service", "ns/web", new Error("a bug"));
    expect(told).toEqual([
      'error Cannot take in an object: everything is looked at again {"kind":"Service","key":"ns/web","reason":"a bug"}',
    ]);
    expect(four.told).toEqual(["resync"]);
    expect(six.told).toEqual(["resync"]);
  });
});

describe("ClusterFeed.log()", () => {
  test("passes lines on", () => {
    feed.log("warn", "odd", { a: 1 });
    expect(told).toEqual(['warn odd {"a":1}']);
  });
});
