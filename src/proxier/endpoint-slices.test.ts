/**
 * Tests of merging EndpointSlices into the endpoints of a service port.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Family } from "./address.ts";
import type { Endpoint } from "./endpoint.ts";
import { endpointsOfPort, type PortIdentity, sliceProblems } from "./endpoint-slices.ts";
import type { EndpointSliceObject } from "./objects.ts";
import { broken, endpoint, leaving, slice, slicePort } from "./testing.ts";
import { anySlice } from "./testing-arbitraries.ts";

const http: PortIdentity = { name: "http", protocol: "TCP" };

function merged(
  slices: readonly EndpointSliceObject[],
  identity: PortIdentity = http,
  family: Family = "IPv4",
): readonly Endpoint[] {
  return endpointsOfPort(slices, identity, family, "here");
}

function targets(...slices: readonly EndpointSliceObject[]): readonly string[] {
  return merged(slices).map(({ target }) => target);
}

/** `field: message` of everything that is wrong with a slice. */
function problems(given: EndpointSliceObject): readonly string[] {
  return sliceProblems(given).map(({ field, message }) => `${field}: ${message}`);
}

describe("endpointsOfPort()", () => {
  test("keeps everything that is known of an endpoint", () => {
    const entry = endpoint("10.244.001.007", {
      ready: false,
      serving: true,
      terminating: true,
      nodeName: "here",
      zone: "zone-a",
      zoneHints: ["zone-a", "zone-b"],
      nodeHints: ["here"],
    });
    expect(merged([slice([entry])])).toEqual([
      {
        address: "10.244.1.7",
        port: 8080,
        target: "10.244.1.7:8080",
        isLocal: true,
        ready: false,
        serving: true,
        terminating: true,
        nodeName: "here",
        zone: "zone-a",
        zoneHints: ["zone-a", "zone-b"],
        nodeHints: ["here"],
      },
    ]);
  });

  test.each([
    ["here", "here", true],
    ["elsewhere", "here", false],
    ["", "here", false],
    ["", "", false],
  ])("takes an endpoint on node %j, seen by node %j, as local: %j", (nodeName, self, expected) => {
    const [only] = endpointsOfPort([slice([endpoint("10.244.1.1", { nodeName })])], http, "IPv4", self);
    expect(only?.isLocal).toBe(expected);
  });

  test.each<[string, PortIdentity, readonly string[]]>([
    ["name and protocol", http, ["10.244.1.1:8080"]],
    ["not another name", { name: "web", protocol: "TCP" }, []],
    ["not no name", { name: "", protocol: "TCP" }, []],
    ["not another protocol", { name: "http", protocol: "UDP" }, []],
  ])("matches slice ports by %s", (_, identity, expected) => {
    expect(merged([slice(["10.244.1.1"])], identity).map(({ target }) => target)).toEqual(expected);
  });

  test("matches an unnamed port with the empty name, never with an absent one", () => {
    const unnamed: PortIdentity = { name: "", protocol: "TCP" };
    const ports = [slicePort({ name: "", port: 1 }), slicePort({ name: undefined, port: 2 })];
    expect(merged([slice(["10.244.1.1"], { ports })], unnamed).map((one) => one.port)).toEqual([1]);
  });

  test.each([undefined, 0])("gets nothing from a slice port with number %j", (number) => {
    expect(targets(slice(["10.244.1.1"], { ports: [slicePort({ port: number })] }))).toEqual([]);
  });

  test("takes the same address on two target ports as two endpoints", () => {
    const ports = [slicePort({ port: 80 }), slicePort({ port: 8080 })];
    expect(targets(slice(["10.244.1.1"], { ports }))).toEqual(["10.244.1.1:80", "10.244.1.1:8080"]);
  });

  test("skips endpoints without a usable address of the family", () => {
    const texts = [undefined, "", "?", "fd00::1", "127.0.0.1", "0.0.0.0", "169.254.1.1", "224.0.0.1"];
    const given = slice([...texts.map((text) => endpoint(text)), endpoint("10.244.1.1")]);
    expect(targets(given)).toEqual(["10.244.1.1:8080"]);
  });

  test("reads IPv6 slices with brackets around the address", () => {
    const given = slice(["FD00::0001", "10.244.1.1", "::ffff:10.244.1.2"], { addressType: "IPv6" });
    expect(merged([given], http, "IPv6").map(({ target }) => target)).toEqual(["[fd00::1]:8080"]);
  });

  test("sorts by the bytes of the target", () => {
    expect(targets(slice(["10.0.1.2", "10.0.1.1", "10.0.1.10"]), slice(["10.0.0.9"]))).toEqual([
      "10.0.0.9:8080",
      // A digit sorts before the colon.
      "10.0.1.10:8080",
      "10.0.1.1:8080",
      "10.0.1.2:8080",
    ]);
  });

  test("is empty without slices", () => {
    expect(merged([])).toEqual([]);
  });
});

describe("endpointsOfPort() on duplicates", () => {
  const ready = endpoint("10.244.1.1", { nodeName: "ready" });
  const idle = endpoint("10.244.1.1", { ...broken, nodeName: "idle" });
  const first = endpoint("10.244.1.1", { ...leaving, nodeName: "first" });
  const second = endpoint("10.244.001.1", { ...leaving, nodeName: "second" });

  test.each([
    ["one that stays beats those that leave, whatever the order", [first, ready, second], "ready"],
    ["one that stays replaces one that leaves", [first, ready], "ready"],
    ["one that leaves does not replace one that stays", [ready, first], "ready"],
    ["also one that is not ready beats one that leaves", [first, idle], "idle"],
    ["of two that leave the first is kept", [first, second], "first"],
    ["of two that stay the last is kept", [ready, idle], "idle"],
    ["of two that stay the last is kept, ready or not", [idle, ready], "ready"],
  ])("%s", (_, entries, expected) => {
    const inOne = merged([slice(entries)]);
    const inMany = merged(entries.map((entry, index) => slice([entry], { name: `web-${index}` })));
    expect(inOne.map(({ nodeName }) => nodeName)).toEqual([expected]);
    expect(inMany).toEqual(inOne);
  });

  test("has distinct targets in ascending order, of the family only, whatever the slices", () => {
    fc.assert(
      fc.property(fc.array(anySlice, { maxLength: 4 }), (slices) => {
        const found = merged(slices);
        const sorted = [...new Set(found.map(({ target }) => target))].sort();
        expect(found.map(({ target }) => target)).toEqual(sorted);
        expect(found.every(({ address }) => address.startsWith("10.244.1."))).toBe(true);
      }),
    );
  });

  test("keeps a target that stays if any slice has it", () => {
    fc.assert(
      fc.property(fc.array(anySlice, { maxLength: 4 }), (slices) => {
        const alone = slices.flatMap((one) => merged([one]));
        for (const { target, terminating } of merged(slices)) {
          const stays = alone.some((one) => one.target === target && !one.terminating);
          expect(terminating).toBe(!stays);
        }
      }),
    );
  });
});

describe("sliceProblems()", () => {
  test("finds nothing wrong with an ordinary slice", () => {
    expect(sliceProblems(slice(["10.244.1.1"], { ports: [slicePort({ name: "" })] }))).toEqual([]);
  });

  test("names slice, field and what happens", () => {
    expect(sliceProblems(slice([endpoint(undefined)]))).toEqual([
      {
        kind: "EndpointSlice",
        object: "ns/web-1",
        field: "endpoints[0].addresses[0]",
        message: "missing: the endpoint is skipped",
      },
    ]);
  });

  test("finds ports without name or number", () => {
    const ports = [
      slicePort(),
      slicePort({ name: undefined }),
      slicePort({ port: undefined }),
      slicePort({ port: 0 }),
      slicePort({ name: undefined, port: undefined }),
    ];
    expect(problems(slice([], { ports }))).toEqual([
      "ports[1].name: missing: the port is skipped",
      "ports[2].port: missing: the port is skipped",
      "ports[3].port: missing: the port is skipped",
      "ports[4].name: missing: the port is skipped",
    ]);
  });

  test("finds addresses that cannot be endpoints", () => {
    expect(problems(slice(["10.244.1.1", "host", "fd00::1", "127.0.0.1", "169.254.0.1"]))).toEqual([
      'endpoints[1].addresses[0]: "host" is not an IPv4 address: the endpoint is skipped',
      'endpoints[2].addresses[0]: "fd00::1" is not an IPv4 address: the endpoint is skipped',
      'endpoints[3].addresses[0]: "127.0.0.1" is loopback: the endpoint is skipped',
      'endpoints[4].addresses[0]: "169.254.0.1" is link-local: the endpoint is skipped',
    ]);
    expect(problems(slice(["10.244.1.1"], { addressType: "IPv6" }))).toEqual([
      'endpoints[0].addresses[0]: "10.244.1.1" is not an IPv6 address: the endpoint is skipped',
    ]);
  });

  test.each(["FQDN", "", "ipv4"])("leaves a slice of address type %j to others", (addressType) => {
    expect(sliceProblems(slice(["host.example"], { addressType }))).toEqual([]);
  });

  test("complains of exactly those entries that endpointsOfPort() skips", () => {
    fc.assert(
      fc.property(anySlice, (given) => {
        const family: Family = given.addressType === "IPv6" ? "IPv6" : "IPv4";
        const one = { ...given, addressType: family, ports: [slicePort()] };
        const skipped = one.endpoints.filter(
          (entry) => merged([{ ...one, endpoints: [entry] }], http, family).length === 0,
        );
        expect(sliceProblems(one)).toHaveLength(skipped.length);
      }),
    );
  });
});
