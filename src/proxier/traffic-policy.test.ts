/**
 * Tests of the traffic policies: the decision table, row by row, and the routes it is made of.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SelectedEndpoints } from "./endpoint-selection.ts";
import type { ServiceObject } from "./objects.ts";
import { type ServicePort, servicePorts } from "./service-port.ts";
import { fate, mergedEndpoint, port, type Sender, service } from "./testing.ts";
import { externalRoutes, internalRoutes, type PolicySettings } from "./traffic-policy.ts";

const senders: readonly Sender[] = ["pod", "node", "outside"];
const detecting: PolicySettings = { hasDetector: true, masqueradeAll: false };
const blind: PolicySettings = { hasDetector: false, masqueradeAll: false };

const remote = mergedEndpoint("10.244.2.1");
const local = mergedEndpoint("10.244.1.1", { isLocal: true });

const nobody: SelectedEndpoints = { cluster: [], local: [], hasAny: false };
const nobodyHere: SelectedEndpoints = { cluster: [remote], local: [], hasAny: true };
const somebodyHere: SelectedEndpoints = { cluster: [local, remote], local: [local], hasAny: true };

function servicePort(fields: Partial<ServiceObject> = {}): ServicePort {
  const [first] = servicePorts(
    service({ type: "NodePort", ports: [port({ nodePort: 30080 })], ...fields }),
    "IPv4",
  ).ports;
  if (first === undefined) {
    throw new TypeError("Expected a service port");
  }
  return first;
}

const cluster = servicePort();
const internalLocal = servicePort({ internalTrafficPolicy: "Local" });
const externalLocal = servicePort({ externalTrafficPolicy: "Local" });
const bothLocal = servicePort({ internalTrafficPolicy: "Local", externalTrafficPolicy: "Local" });

describe("internalRoutes()", () => {
  test.each<[string, ServicePort, SelectedEndpoints, readonly string[]]>([
    ["Cluster with nobody", cluster, nobody, ["reject", "reject", "reject"]],
    [
      "Cluster with nobody here",
      cluster,
      nobodyHere,
      ["cluster", "cluster masquerade", "cluster masquerade"],
    ],
    [
      "external Local with nobody here",
      externalLocal,
      nobodyHere,
      ["cluster", "cluster masquerade", "cluster masquerade"],
    ],
    [
      "Cluster with somebody here",
      cluster,
      somebodyHere,
      ["cluster", "cluster masquerade", "cluster masquerade"],
    ],
    ["internal Local with nobody", internalLocal, nobody, ["reject", "reject", "reject"]],
    ["internal Local with nobody here", internalLocal, nobodyHere, ["drop", "drop", "drop"]],
    ["both Local with nobody here", bothLocal, nobodyHere, ["drop", "drop", "drop"]],
    [
      "internal Local with somebody here",
      internalLocal,
      somebodyHere,
      ["local", "local masquerade", "local masquerade"],
    ],
  ])("under %s follow the table for packets of pod, node and outside", (_, one, selected, expected) => {
    const routes = internalRoutes(one, selected, detecting);
    expect(senders.map((sender) => fate(routes, sender))).toEqual(expected);
  });

  test.each<[PolicySettings, readonly string[]]>([
    [detecting, ["cluster", "cluster masquerade", "cluster masquerade"]],
    [blind, ["cluster", "cluster", "cluster"]],
    [
      { hasDetector: true, masqueradeAll: true },
      ["cluster masquerade", "cluster masquerade", "cluster masquerade"],
    ],
    [
      { hasDetector: false, masqueradeAll: true },
      ["cluster masquerade", "cluster masquerade", "cluster masquerade"],
    ],
  ])("masquerade by settings %j", (settings, expected) => {
    const routes = internalRoutes(cluster, somebodyHere, settings);
    expect(senders.map((sender) => fate(routes, sender))).toEqual(expected);
  });
});

describe("externalRoutes()", () => {
  test.each<[string, ServicePort, SelectedEndpoints, readonly string[]]>([
    ["Cluster with nobody", cluster, nobody, ["reject", "reject", "reject"]],
    [
      "Cluster with nobody here",
      cluster,
      nobodyHere,
      ["cluster masquerade", "cluster masquerade", "cluster masquerade"],
    ],
    [
      "Cluster",
      internalLocal,
      nobodyHere,
      ["cluster masquerade", "cluster masquerade", "cluster masquerade"],
    ],
    [
      "Cluster with somebody here",
      cluster,
      somebodyHere,
      ["cluster masquerade", "cluster masquerade", "cluster masquerade"],
    ],
    ["external Local with nobody", externalLocal, nobody, ["reject", "reject", "reject"]],
    ["external Local with nobody here", externalLocal, nobodyHere, ["cluster", "cluster masquerade", "drop"]],
    ["both Local with nobody here", bothLocal, nobodyHere, ["cluster", "cluster masquerade", "drop"]],
    [
      "external Local with somebody here",
      externalLocal,
      somebodyHere,
      ["cluster", "cluster masquerade", "local"],
    ],
  ])("under %s follow the table for packets of pod, node and outside", (_, one, selected, expected) => {
    const routes = externalRoutes(one, selected, detecting);
    expect(senders.map((sender) => fate(routes, sender))).toEqual(expected);
  });

  test("treat pods as strangers under Local when nobody can tell them apart", () => {
    const routes = externalRoutes(externalLocal, somebodyHere, blind);
    expect(senders.map((sender) => fate(routes, sender))).toEqual(["local", "cluster masquerade", "local"]);
    const dropped = externalRoutes(externalLocal, nobodyHere, blind);
    expect(senders.map((sender) => fate(dropped, sender))).toEqual(["drop", "cluster masquerade", "drop"]);
  });

  test("do not depend on masqueradeAll", () => {
    const everything = { hasDetector: true, masqueradeAll: true };
    for (const one of [cluster, externalLocal]) {
      expect(externalRoutes(one, somebodyHere, everything)).toEqual(
        externalRoutes(one, somebodyHere, detecting),
      );
    }
  });

  test("are none when nothing outside can reach the port", () => {
    const inside = servicePort({ type: "ClusterIP", ports: [port()] });
    const unallocated = servicePort({ ports: [port()], externalTrafficPolicy: "Local" });
    expect(externalRoutes(inside, somebodyHere, detecting)).toEqual([]);
    expect(externalRoutes(unallocated, nobody, detecting)).toEqual([]);
  });

  test("test for pods before the node, because a process of the node can have an address of the pod range", () => {
    const routes = externalRoutes(externalLocal, somebodyHere, detecting);
    expect(routes.map(({ from }) => from)).toEqual(["pod", "node", "any"]);
  });
});

describe("the routes of any policy", () => {
  test("end with one that takes every packet, and forward only to pools that have endpoints", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(cluster, internalLocal, externalLocal, bothLocal),
        fc.constantFrom(nobody, nobodyHere, somebodyHere),
        fc.record({ hasDetector: fc.boolean(), masqueradeAll: fc.boolean() }),
        (one, selected, settings) => {
          for (const routes of [
            internalRoutes(one, selected, settings),
            externalRoutes(one, selected, settings),
          ]) {
            expect(routes.map(({ from }) => from === "any")).toEqual(
              routes.map((_, index) => index === routes.length - 1),
            );
            for (const { verdict } of routes) {
              expect(verdict.kind !== "forward" || selected[verdict.pool].length > 0).toBe(true);
            }
          }
        },
      ),
    );
  });
});
