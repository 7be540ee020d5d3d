/**
 * Tests of the count of Service ports without local endpoints.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Route, ServicePlan } from "../proxier/plan.ts";
import { NoLocalEndpoints } from "./no-local-endpoints.ts";
import { changeOf, planOf, portPlan, servicePlan } from "./testing.ts";

const forward: readonly Route[] = [
  { from: "any", verdict: { kind: "forward", pool: "cluster", masquerade: "never" } },
];
const reject: readonly Route[] = [{ from: "any", verdict: { kind: "reject" } }];
const drop: readonly Route[] = [{ from: "any", verdict: { kind: "drop" } }];
/** `externalTrafficPolicy: Local` without a local endpoint: the node itself still gets through. */
const dropButNode: readonly Route[] = [
  { from: "node", verdict: { kind: "forward", pool: "cluster", masquerade: "always" } },
  ...drop,
];

test("apply() counts ports whose default verdict is to drop, by policy", () => {
  const plan = planOf([
    servicePlan("ns/a", {
      ports: [portPlan({ internal: drop, external: dropButNode }), portPlan({ internal: drop })],
    }),
    servicePlan("ns/b", { ports: [portPlan({ internal: reject, external: reject })] }),
    servicePlan("ns/c", { ports: [portPlan({ internal: forward, external: dropButNode })] }),
  ]);
  expect(new NoLocalEndpoints().apply(plan, changeOf("ns/a", "ns/b", "ns/c"))).toEqual({
    internal: 2,
    external: 2,
  });
});

test("apply() equals a count of everything after any changes", () => {
  const routes = fc.constantFrom(forward, reject, drop, dropButNode);
  const service = fc.array(fc.record({ internal: routes, external: routes }), { maxLength: 3 });
  const change = fc.tuple(fc.constantFrom("ns/a", "ns/b", "ns/c"), fc.option(service, { nil: undefined }));
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const count = new NoLocalEndpoints();
      const current = new Map<string, ServicePlan>();
      for (const [key, ports] of changes) {
        current.delete(key);
        if (ports !== undefined) {
          current.set(key, servicePlan(key, { ports: ports.map(portPlan) }));
        }
        const plan = planOf([...current.values()]);
        const afresh = new NoLocalEndpoints().apply(plan, changeOf(...current.keys()));
        expect(count.apply(plan, changeOf(key))).toEqual(afresh);
      }
    }),
  );
});
