/**
 * Tests of the trigger times that a proxier hands on with the changes that they belong to.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { EndpointSliceObject } from "./objects.ts";
import { service, slice } from "./testing.ts";
import { ProxierStage } from "./testing-proxier.ts";

describe("Proxier and trigger times", () => {
  const changed = (index: number): EndpointSliceObject =>
    slice([`10.244.1.${index % 250}`], { triggerTime: `time ${index}`, resourceVersion: `${index}` });

  test("tells the times of the changes that are in the kernel now, once", async () => {
    const stage = new ProxierStage();
    await stage.start();
    stage.put(changed(1));
    stage.put(changed(2));
    await stage.pass();
    stage.put(service({ annotations: { any: "thing" } }));
    await stage.pass();
    expect(stage.outcomes.map(({ triggerTimes }) => triggerTimes)).toEqual([["time 1", "time 2"], []]);
  });

  test("keeps them over failures, in order", async () => {
    const stage = new ProxierStage();
    await stage.start();
    stage.backend.failing = 2;
    stage.put(changed(1));
    await stage.clock.advance(5);
    stage.put(changed(2));
    await stage.pass();
    stage.put(changed(3));
    await stage.clock.advance(10_000);
    expect(stage.failures).toHaveLength(2);
    expect(stage.outcomes.map(({ triggerTimes }) => triggerTimes)).toEqual([["time 1", "time 2", "time 3"]]);
  });

  test("leaves those that come during a sync to the next one", async () => {
    const stage = new ProxierStage();
    await stage.start();
    stage.put(changed(1));
    await stage.clock.advance(5);
    stage.put(changed(2));
    await stage.pass();
    await stage.pass();
    expect(stage.outcomes.map(({ triggerTimes }) => triggerTimes)).toEqual([["time 1"], ["time 2"]]);
  });

  test("forgets those of a Service that lost a slice", async () => {
    const stage = new ProxierStage();
    await stage.start();
    stage.put(changed(1));
    stage.put(slice([], { name: "api-1", serviceName: "api", triggerTime: "time of api" }));
    stage.proxier.forgetTriggerTimes("ns/web");
    await stage.pass();
    expect(stage.outcomes[0]?.triggerTimes).toEqual(["time of api"]);
  });

  test("keeps the first of many while nothing can be written, not all", async () => {
    const stage = new ProxierStage();
    await stage.start();
    stage.backend.failing = 3;
    for (let round = 0; round < 3; round++) {
      for (let index = 0; index < 1000; index++) {
        stage.put(changed(round * 1000 + index));
      }
      await stage.pass();
    }
    await stage.clock.advance(10_000);
    const [outcome] = stage.outcomes;
    expect(stage.failures).toHaveLength(3);
    expect(outcome?.triggerTimes).toEqual(Array.from({ length: 100 }, (_, index) => `time ${index}`));
  });
});
