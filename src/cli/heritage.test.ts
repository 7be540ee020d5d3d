/**
 * @module
 */
import { expect, test } from "vitest";
import type { SyncOutcome } from "../proxier/proxier.ts";
import { PlannedCluster, service, slice } from "../proxier/testing.ts";
import { withHeritage } from "./heritage.ts";

test("withHeritage() names what the former plan had and this one has not", () => {
  const former = new PlannedCluster().put(
    service(),
    slice(["10.244.1.1"]),
    service({ name: "other", clusterIP: "10.96.0.11" }),
  );
  former.planner.take();
  const present = new PlannedCluster().put(service(), slice(["10.244.1.1"]));
  const change = present.planner.take();
  const outcome = { plan: present.planner.plan, change } as unknown as SyncOutcome;
  const told = withHeritage(outcome, former.planner.plan);
  expect([...told.change.services].sort()).toEqual(["ns/other", "ns/web"]);
  expect(told.change.before.get("ns/other")).toBe(former.planner.plan.services.get("ns/other"));
  expect(withHeritage(outcome, present.planner.plan)).toBe(outcome);
});
