/**
 * Totals: nothing that failed, was skipped or did not run may get lost in them.
 *
 * @module
 */
import { expect, test } from "vitest";
import { countTests, type Report } from "./test-counts.ts";

type Status = Report["testResults"][number]["assertionResults"][number]["status"];

/** A report of files; of each, whether it failed and the outcomes of its tests. */
function report(...files: readonly (readonly ["passed" | "failed", ...Status[]])[]): Report {
  const statuses = files.flatMap(([, ...tests]) => tests);
  return {
    numPassedTests: statuses.filter((status) => status === "passed").length,
    numFailedTests: statuses.filter((status) => status === "failed").length,
    testResults: files.map(([status, ...tests]) => ({
      status,
      assertionResults: tests.map((outcome, index) => ({ fullName: `test ${index}`, status: outcome })),
    })),
  };
}

test("countTests() adds up all runs", () => {
  const unit = report(["passed", "passed", "passed"], ["failed", "passed", "failed"]);
  const e2e = report(["passed", "passed"]);
  const runs = new Map([
    ["unit", unit],
    ["e2e", e2e],
  ]);
  expect(countTests(runs)).toEqual({ passed: 4, failed: 1, complaints: [] });
});

test("countTests() counts a file that failed without a failed test as one failure", () => {
  const unit = report(["failed"], ["passed", "passed"]);
  expect(countTests(new Map([["unit", unit]]))).toEqual({ passed: 1, failed: 1, complaints: [] });
});

test.each(["skipped", "todo", "pending"] as const)(
  "countTests() complains of a %s test by its name",
  (status) => {
    const unit = report(["passed", "passed", status]);
    expect(countTests(new Map([["unit", unit]]))).toEqual({
      passed: 1,
      failed: 0,
      complaints: ["unit: skipped: test 1"],
    });
  },
);

test("countTests() complains of a run without a report", () => {
  const runs = new Map([
    ["unit", report(["passed", "passed"])],
    ["e2e", undefined],
  ]);
  expect(countTests(runs)).toEqual({ passed: 1, failed: 0, complaints: ["e2e: left no report"] });
});
