/**
 * @module
 */
import { expect, test } from "vitest";
import type { Route, Verdict } from "../proxier/plan.ts";
import { localPorts, portKey } from "./local-ports.ts";
import { nodePort, servicePlan, target } from "./testing.ts";

const toCluster: Verdict = { kind: "forward", pool: "cluster", masquerade: "always" };
const toLocal: Verdict = { kind: "forward", pool: "local", masquerade: "never" };
const drop: Verdict = { kind: "drop" };

function targetsOf(...ports: Parameters<typeof nodePort>): readonly string[] {
  return localPorts(servicePlan("ns/web", nodePort(...ports))).flatMap(({ backends }) =>
    backends.endpoints.map((one) => one.target),
  );
}

test("a Service without node ports, or that is gone, has none", () => {
  expect(localPorts(undefined)).toEqual([]);
  expect(localPorts(servicePlan("ns/web", nodePort(30_080, ["10.0.0.1:80"], { frontends: [] })))).toEqual([]);
});

test("each node port of TCP and UDP is one", () => {
  const plan = servicePlan(
    "ns/web",
    nodePort(30_080, ["10.0.0.1:80"]),
    nodePort(30_053, ["10.0.0.1:53"], { protocol: "UDP", displayName: "ns/web:dns" }),
    nodePort(30_099, ["10.0.0.1:99"], { protocol: "SCTP" }),
  );
  const ports = localPorts(plan);
  expect(ports.map(portKey)).toEqual(["TCP 30080", "UDP 30053"]);
  expect(ports[1]).toMatchObject({ service: "ns/web", displayName: "ns/web:dns" });
});

test("without an endpoint there is nothing to listen for", () => {
  expect(localPorts(servicePlan("ns/web", nodePort(30_080, [])))).toEqual([]);
});

test.each<[string, readonly Route[], readonly string[]]>([
  ["everybody", [{ from: "any", verdict: toCluster }], ["10.0.0.1:80"]],
  [
    "the node other than others",
    [
      { from: "pod", verdict: drop },
      { from: "node", verdict: toCluster },
      { from: "any", verdict: drop },
    ],
    ["10.0.0.1:80"],
  ],
  [
    "pods other than others",
    [
      { from: "pod", verdict: toCluster },
      { from: "any", verdict: toLocal },
    ],
    ["10.0.0.2:80"],
  ],
  ["nobody", [{ from: "any", verdict: drop }], []],
])("the route for the node decides: one for %s", (_, external, expected) => {
  expect(targetsOf(30_080, ["10.0.0.1:80"], { external, local: [target("10.0.0.2:80")] })).toEqual(expected);
});

test("an endpoint of weight 0 takes no new connections", () => {
  const weights = { "10.0.0.1:80": 0, "10.0.0.2:80": 5 };
  expect(targetsOf(30_080, ["10.0.0.1:80", "10.0.0.2:80"], { weights })).toEqual(["10.0.0.2:80"]);
});
