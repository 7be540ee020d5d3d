/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { type SchedulerChoice, schedulers } from "../proxier/load-balancing.ts";
import { schedulerNames } from "./netlink/virtual-server.ts";
import { ignoresWeights, schedulerSettings } from "./scheduler-settings.ts";

test("the plan's schedulers are those of IPVS", () => {
  expect(schedulers).toEqual(schedulerNames);
});

describe("schedulerSettings()", () => {
  const read = (scheduler: SchedulerChoice | undefined, defaultScheduler = "rr"): unknown =>
    schedulerSettings(
      { affinity: undefined, ...(scheduler === undefined ? {} : { scheduler }) },
      { defaultScheduler, isLacking: (name) => name === "twos" },
    );

  test("is the cluster's scheduler without flags when the Service says nothing", () => {
    expect(read(undefined)).toEqual({ scheduler: "rr" });
    expect(read(undefined, "wlc")).toEqual({ scheduler: "wlc" });
  });

  test("falls back where the client is hashed, and hashes the port for mh unless told otherwise", () => {
    expect(read({ name: "sh" })).toEqual({ scheduler: "sh", schedulerFlags: ["flag-1"] });
    expect(read({ name: "sh", hashPort: true })).toEqual({
      scheduler: "sh",
      schedulerFlags: ["flag-1", "flag-2"],
    });
    expect(read({ name: "mh" })).toEqual({ scheduler: "mh", schedulerFlags: ["flag-1", "flag-2"] });
    expect(read({ name: "mh", hashPort: false })).toEqual({ scheduler: "mh", schedulerFlags: ["flag-1"] });
    expect(read({ hashPort: false }, "mh")).toEqual({ scheduler: "mh", schedulerFlags: ["flag-1"] });
    expect(read({ name: "lc", hashPort: true })).toEqual({ scheduler: "lc" });
  });

  test("is the default where the kernel lacks what is asked for", () => {
    expect(read({ name: "twos" })).toEqual({ scheduler: "rr" });
  });

  test("turns ClientIP affinity into persistence", () => {
    const affinity = { kind: "ClientIP", timeoutSeconds: 60 } as const;
    expect(schedulerSettings({ affinity }, { defaultScheduler: "rr", isLacking: () => false })).toEqual({
      scheduler: "rr",
      persistence: { timeoutSeconds: 60 },
    });
  });
});

test("ignoresWeights() is true of dh only", () => {
  expect(schedulers.filter(ignoresWeights)).toEqual(["dh"]);
});
