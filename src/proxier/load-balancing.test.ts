/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { endpointWeights, type LoadBalancing, loadBalancing, schedulers } from "./load-balancing.ts";
import { mergedEndpoint, PlannedCluster, service, slice } from "./testing.ts";

function read(annotations: Readonly<Record<string, string>>): {
  readonly balancing: LoadBalancing;
  readonly problems: readonly string[];
} {
  const problems: string[] = [];
  const balancing = loadBalancing({ annotations }, (field, message) => problems.push(`${field}: ${message}`));
  return { balancing, problems };
}

describe("loadBalancing()", () => {
  test("says nothing for a Service without annotations", () => {
    expect(read({})).toEqual({ balancing: {}, problems: [] });
  });

  test.each(schedulers)("takes %s from our annotation and from kube-router's", (name) => {
    const wanted = { balancing: { scheduler: { name } }, problems: [] };
    expect(read({ "sluice.io/ipvs-scheduler": name })).toEqual(wanted);
    expect(read({ "kube-router.io/service.scheduler": name })).toEqual(wanted);
  });

  test.each([
    ["random", "rr"],
    ["maglev", "mh"],
  ])("takes Cilium's %s for %s", (algorithm, name) => {
    expect(read({ "service.cilium.io/lb-algorithm": algorithm }).balancing).toEqual({ scheduler: { name } });
  });

  test("prefers our annotations to others'", () => {
    const annotations = {
      "sluice.io/ipvs-scheduler": "lc",
      "kube-router.io/service.scheduler": "sh",
      "service.cilium.io/lb-algorithm": "maglev",
      "sluice.io/ipvs-scheduler-flags": "none",
      "kube-router.io/service.schedflags": "flag-2",
    };
    expect(read(annotations).balancing).toEqual({ scheduler: { name: "lc", hashPort: false } });
  });

  test.each([
    ["port", true],
    ["fallback", false],
    ["none", false],
    ["mh-fallback,mh-port", true],
    ["sh-fallback", false],
    ["flag-1, flag-2, flag-3", true],
  ])("reads the flags %s", (flags, hashPort) => {
    expect(read({ "kube-router.io/service.schedflags": flags })).toEqual({
      balancing: { scheduler: { hashPort } },
      problems: [],
    });
  });

  test.each([
    ["sluice.io/ipvs-scheduler", "fastest", '"fastest" is not a scheduler of IPVS: the default is used'],
    ["kube-router.io/service.scheduler", "", '"" is not a scheduler of IPVS: the default is used'],
    [
      "service.cilium.io/lb-algorithm",
      "constructor",
      '"constructor" is not random or maglev: the default is used',
    ],
    [
      "sluice.io/ipvs-scheduler-flags",
      "port,quick",
      '"quick" is not a flag (port, fallback, none): the default is used',
    ],
  ])("names what is wrong with %s %j", (key, value, message) => {
    expect(read({ [key]: value })).toEqual({
      balancing: {},
      problems: [`metadata.annotations[${key}]: ${message}`],
    });
  });

  test("reads weights by zone and node, and skips entries that are none", () => {
    const { balancing, problems } = read({
      "sluice.io/weights": "zone=eu-1a:2, node=n1.example:0,,zone=:1,rack=a:1,zone=b:65536,zone=c",
    });
    expect(balancing.weights).toEqual([
      { scope: "zone", name: "eu-1a", weight: 2 },
      { scope: "node", name: "n1.example", weight: 0 },
    ]);
    expect(problems.map((problem) => problem.split('"')[1])).toEqual([
      "zone=:1",
      "rack=a:1",
      "zone=b:65536",
      "zone=c",
    ]);
  });
});

describe("endpointWeights()", () => {
  const endpoints = [
    mergedEndpoint("10.244.1.1", { zone: "a", nodeName: "n1" }),
    mergedEndpoint("10.244.1.2", { zone: "a", nodeName: "n2" }),
    mergedEndpoint("10.244.1.3", { zone: "b", nodeName: "n3" }),
  ];

  test("gives a node's weight before its zone's, and leaves out weights of 1", () => {
    const rules = [
      { scope: "zone", name: "a", weight: 3 },
      { scope: "node", name: "n2", weight: 0 },
      { scope: "zone", name: "b", weight: 1 },
    ] as const;
    expect(endpointWeights(rules, endpoints)).toEqual({ "10.244.1.1:8080": 3, "10.244.1.2:8080": 0 });
  });

  test("is undefined when every weight is 1", () => {
    expect(endpointWeights([], endpoints)).toBeUndefined();
    expect(endpointWeights([{ scope: "zone", name: "z", weight: 5 }], endpoints)).toBeUndefined();
  });
});

describe("FamilyPlanner.take()", () => {
  test("puts scheduler and weights into the plan, and problems among the Service's", () => {
    const annotations = {
      "sluice.io/ipvs-scheduler": "wlc",
      "sluice.io/weights": "node=elsewhere:4,moon",
    };
    const cluster = new PlannedCluster().put(service({ annotations }), slice(["10.244.1.1"]));
    const { problems } = cluster.planner.take();
    expect(problems.get("ns/web")?.map(({ field }) => field)).toEqual([
      "metadata.annotations[sluice.io/weights]",
    ]);
    expect(cluster.port()).toMatchObject({
      scheduler: { name: "wlc" },
      weights: { "10.244.1.1:8080": 4 },
    });
    cluster.put(service());
    expect(cluster.port()).not.toHaveProperty("scheduler");
    expect(cluster.port()).not.toHaveProperty("weights");
  });
});
