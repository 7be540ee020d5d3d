/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { type SchedulerChoice, schedulers } from "../proxier/load-balancing.ts";
import { schedulerNames } from "./netlink/virtual-server.ts";
import { ignoresWeights, markedSettings, schedulerSettings } from "./scheduler-settings.ts";

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

  const affinity = { kind: "ClientIP", timeoutSeconds: 60 } as const;
  const persistence = { timeoutSeconds: 60 };
  const schedulerFlags = ["flag-1"];

  const readSticky = (
    settings: typeof schedulerSettings,
    scheduler: SchedulerChoice | undefined,
    defaultScheduler = "rr",
    lacking: readonly string[] = [],
  ): unknown =>
    settings(
      { affinity, ...(scheduler === undefined ? {} : { scheduler }) },
      { defaultScheduler, isLacking: (name) => lacking.includes(name) },
    );

  test("turns ClientIP affinity into persistence that begins with a hash of the client's address", () => {
    const read = readSticky.bind(undefined, schedulerSettings);
    expect(read(undefined)).toEqual({ scheduler: "mh", schedulerFlags, persistence });
    expect(read(undefined, "rr", ["mh"])).toEqual({ scheduler: "rr", persistence });
    expect(read(undefined, "lc")).toEqual({ scheduler: "lc", persistence });
    expect(read({ name: "rr" })).toEqual({ scheduler: "rr", persistence });
    expect(read({ name: "mh" })).toEqual({ scheduler: "mh", schedulerFlags, persistence });
  });

  test("never makes a virtual server by firewall mark persistent", () => {
    const read = readSticky.bind(undefined, markedSettings);
    expect(read(undefined)).toEqual({ scheduler: "mh", schedulerFlags });
    expect(read(undefined, "rr", ["mh"])).toEqual({ scheduler: "sh", schedulerFlags });
    expect(read(undefined, "rr", ["mh", "sh"])).toEqual({ scheduler: "rr" });
    expect(read({ name: "lc" })).toEqual({ scheduler: "mh", schedulerFlags });
    expect(read({ name: "sh", hashPort: true })).toEqual({ scheduler: "sh", schedulerFlags });
    expect(read({ name: "mh" }, "rr", ["mh"])).toEqual({ scheduler: "sh", schedulerFlags });
    expect(
      markedSettings(
        { affinity: undefined, scheduler: { name: "mh" } },
        { defaultScheduler: "rr", isLacking: () => false },
      ),
    ).toEqual({ scheduler: "mh", schedulerFlags: ["flag-1", "flag-2"] });
  });
});

test("ignoresWeights() is true of dh only", () => {
  expect(schedulers.filter(ignoresWeights)).toEqual(["dh"]);
});
