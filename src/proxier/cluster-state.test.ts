/**
 * Tests of folding events into the cluster's state.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ClusterState } from "./cluster-state.ts";
import type { EndpointSliceObject, NodeObject } from "./objects.ts";
import { objectKey } from "./service-port.ts";
import { endpoint, port, service, slice } from "./testing.ts";
import { anySlice } from "./testing-arbitraries.ts";

function names(state: ClusterState, key: string, family: "IPv4" | "IPv6" = "IPv4"): readonly string[] {
  return state.slicesOf(key, family).map(({ name }) => name);
}

describe("ClusterState and Services", () => {
  test("keeps the last object and names the Service when it differs", () => {
    const state = new ClusterState();
    expect(state.upsertService(service())).toEqual(["ns/web"]);
    expect(state.upsertService(service({ ports: [port({ port: 81 })] }))).toEqual(["ns/web"]);
    expect(state.service("ns/web")?.ports).toEqual([port({ port: 81 })]);
    expect([...state.serviceKeys()]).toEqual(["ns/web"]);
  });

  test("is not touched by a resync or by a new version of the same", () => {
    const state = new ClusterState();
    state.upsertService(service());
    expect(state.upsertService(service())).toEqual([]);
    expect(state.upsertService(service({ resourceVersion: "2" }))).toEqual([]);
    expect(state.service("ns/web")?.resourceVersion).toBe("2");
  });

  test("forgets a Service that is removed, and is not touched by removing it again", () => {
    const state = new ClusterState();
    state.upsertService(service());
    expect(state.removeService("ns/web")).toEqual(["ns/web"]);
    expect(state.removeService("ns/web")).toEqual([]);
    expect(state.service("ns/web")).toBeUndefined();
    expect([...state.serviceKeys()]).toEqual([]);
  });

  test("keeps Services of the same name in different namespaces apart", () => {
    const state = new ClusterState();
    state.upsertService(service());
    expect(state.upsertService(service({ namespace: "other" }))).toEqual(["other/web"]);
    expect(state.removeService("ns/web")).toEqual(["ns/web"]);
    expect(state.service("other/web")).toBeDefined();
  });
});

describe("ClusterState and EndpointSlices", () => {
  test("keeps slices of a Service sorted by name, whether or not the Service exists", () => {
    const state = new ClusterState();
    for (const name of ["b", "c", "a", "ab"]) {
      expect(state.upsertSlice(slice([], { name }))).toEqual(["ns/web"]);
    }
    expect(names(state, "ns/web")).toEqual(["a", "ab", "b", "c"]);
    expect(names(state, "ns/other")).toEqual([]);
  });

  test("answers by family", () => {
    const state = new ClusterState();
    state.upsertSlice(slice([], { name: "four" }));
    state.upsertSlice(slice([], { name: "six", addressType: "IPv6" }));
    state.upsertSlice(slice([], { name: "name", addressType: "FQDN" }));
    expect(names(state, "ns/web", "IPv4")).toEqual(["four"]);
    expect(names(state, "ns/web", "IPv6")).toEqual(["six"]);
  });

  test("is not touched by a resync, a new version or a new trigger time, and keeps the newest", () => {
    const state = new ClusterState();
    state.upsertSlice(slice(["10.244.1.1"]));
    expect(state.upsertSlice(slice(["10.244.1.1"]))).toEqual([]);
    expect(state.upsertSlice(slice(["10.244.1.1"], { resourceVersion: "2", triggerTime: "now" }))).toEqual(
      [],
    );
    expect(state.slicesOf("ns/web", "IPv4")).toMatchObject([{ resourceVersion: "2", triggerTime: "now" }]);
  });

  test("is touched by any change of ports or endpoints", () => {
    const state = new ClusterState();
    state.upsertSlice(slice(["10.244.1.1"]));
    expect(state.upsertSlice(slice([endpoint("10.244.1.1", { zone: "zone-a" })]))).toEqual(["ns/web"]);
    expect(state.upsertSlice(slice(["10.244.1.1"], { ports: [] }))).toEqual(["ns/web"]);
    expect(names(state, "ns/web")).toEqual(["web-1"]);
  });

  test("moves a slice whose label names another Service now", () => {
    const state = new ClusterState();
    state.upsertSlice(slice(["10.244.1.1"]));
    expect(state.upsertSlice(slice(["10.244.1.1"], { serviceName: "api" }))).toEqual(["ns/web", "ns/api"]);
    expect(names(state, "ns/web")).toEqual([]);
    expect(names(state, "ns/api")).toEqual(["web-1"]);
    expect(state.removeSlice("ns/web-1")).toEqual(["ns/api"]);
  });

  test.each<[string, Partial<EndpointSliceObject>]>([
    ["without the label of a Service", { serviceName: "" }],
    ["with the label of headless Services", { headless: true }],
  ])("does not keep a slice %s", (_, fields) => {
    const state = new ClusterState();
    expect(state.upsertSlice(slice(["10.244.1.1"], fields))).toEqual([]);
    expect(names(state, "ns/web")).toEqual([]);
    state.upsertSlice(slice(["10.244.1.1"]));
    expect(state.upsertSlice(slice(["10.244.1.1"], fields))).toEqual(["ns/web"]);
    expect(names(state, "ns/web")).toEqual([]);
  });

  test("forgets a slice that is removed, and is not touched by removing it again", () => {
    const state = new ClusterState();
    state.upsertSlice(slice([], { name: "a" }));
    state.upsertSlice(slice([], { name: "b" }));
    expect(state.removeSlice("ns/a")).toEqual(["ns/web"]);
    expect(state.removeSlice("ns/a")).toEqual([]);
    expect(names(state, "ns/web")).toEqual(["b"]);
    expect(state.removeSlice("ns/b")).toEqual(["ns/web"]);
    expect(names(state, "ns/web")).toEqual([]);
  });

  test("does not confuse slices of the same name in different namespaces", () => {
    const state = new ClusterState();
    state.upsertSlice(slice([]));
    state.upsertSlice(slice([], { namespace: "other" }));
    expect(state.removeSlice("other/web-1")).toEqual(["other/web"]);
    expect(names(state, "ns/web")).toEqual(["web-1"]);
  });

  test("holds under each Service exactly the last word on each slice", () => {
    const step = fc.record({ slice: anySlice, removes: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20, size: "max" }), (steps) => {
        const state = new ClusterState();
        const last = new Map<string, EndpointSliceObject>();
        for (const one of steps) {
          const key = objectKey(one.slice);
          if (one.removes) {
            state.removeSlice(key);
            last.delete(key);
          } else {
            state.upsertSlice(one.slice);
            last.set(key, one.slice);
          }
        }
        for (const name of ["a", "b", "c", ""]) {
          const expected = [...last.values()]
            .filter((one) => one.serviceName === name && name !== "" && !one.headless)
            .filter((one) => one.addressType === "IPv4")
            .sort((a, b) => (a.name < b.name ? -1 : 1));
          expect(state.slicesOf(`ns/${name}`, "IPv4")).toEqual(expected);
        }
      }),
    );
  });

  test("names exactly the Services whose slices are not what they were", () => {
    fc.assert(
      fc.property(fc.array(anySlice, { minLength: 1, maxLength: 10 }), (slices) => {
        const state = new ClusterState();
        const view = (): readonly string[] =>
          ["ns/a", "ns/b", "ns/c"].map((key) =>
            JSON.stringify(
              ["IPv4" as const, "IPv6" as const].map((family) =>
                state.slicesOf(key, family).map((one) => ({ ...one, resourceVersion: "" })),
              ),
            ),
          );
        for (const one of slices.filter(({ addressType }) => addressType !== "FQDN")) {
          const before = view();
          const touched = state.upsertSlice(one);
          const after = view();
          const changed = ["ns/a", "ns/b", "ns/c"].filter((_, index) => before[index] !== after[index]);
          expect([...touched].sort()).toEqual(changed);
        }
      }),
    );
  });
});

describe("ClusterState and the Node", () => {
  test("keeps the last one", () => {
    const state = new ClusterState();
    const node: NodeObject = {
      kind: "Node",
      name: "here",
      resourceVersion: "1",
      zone: "zone-a",
      podCIDRs: [],
      addresses: [],
      taints: [],
      deleting: false,
    };
    expect(state.node).toBeUndefined();
    state.setNode(node);
    expect(state.node).toBe(node);
    state.setNode(undefined);
    expect(state.node).toBeUndefined();
  });
});
