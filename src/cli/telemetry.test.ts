/**
 * @module
 */
import { expect, test } from "vitest";
import { RestoreError, type RestoreErrorCode } from "../iptables/restore-error.ts";
import { Logging } from "../operations/logger.ts";
import { Telemetry } from "./telemetry.ts";

function silentTelemetry(): Telemetry {
  const logging = new Logging({
    format: "text",
    verbosity: { verbosity: 0, vmodule: [] },
    sink: { write: () => {}, flush: () => Promise.resolve(), lostLines: 0 },
  });
  return new Telemetry(logging.component("test"), "iptables", 30_000, {
    onComplete: () => {},
    onNode: () => {},
    onProblem: () => {},
  });
}

/** How many failures of loading rules are counted after a sync failed. */
async function failuresAfter(error: unknown): Promise<number> {
  const telemetry = silentTelemetry();
  const { observer } = telemetry.reporter("IPv4", {
    mode: "iptables",
    healthPorts: { applyChange: () => Promise.resolve() },
    onSynced: () => {},
    onFailed: () => {},
  });
  observer.onFailure({ family: "IPv4", scope: "changes", error, totalMs: 1, retryInMs: 1 });
  const { values } = await telemetry.modeMetrics.restoreFailures.get();
  return values.reduce((sum, { value }) => sum + value, 0);
}

test.each<RestoreErrorCode>(["rejected", "busy", "unavailable", "died"])(
  "a sync whose rules could not be loaded (%s) counts as failed restore",
  async (code) => {
    expect(await failuresAfter(new RestoreError(code, "no"))).toBe(1);
  },
);

test("a sync that failed before counts as none", async () => {
  expect(await failuresAfter(new Error("the kernel cannot be read"))).toBe(0);
});
