/**
 * The totals of several test runs, from the reports of vitest's JSON reporter.
 *
 * @module
 */

/** What is read of a report. */
export interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  /** One for each test file. */
  readonly testResults: readonly {
    readonly status: "passed" | "failed" | "skipped";
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: "passed" | "failed" | "skipped" | "pending" | "todo" | "disabled";
    }[];
  }[];
}

/** The totals of all runs. */
export interface TestCounts {
  readonly passed: number;
  /** A file that failed as a whole, as by an import that leads nowhere, counts as one. */
  readonly failed: number;
  /** Reasons not to trust the totals, a line each: skipped tests, missing runs. */
  readonly complaints: readonly string[];
}

/**
 * Adds up reports.
 *
 * @param reports - by name of the run; undefined where a run left no report
 */
export function countTests(reports: ReadonlyMap<string, Report | undefined>): TestCounts {
  const complaints: string[] = [];
  let passed = 0;
  let failed = 0;
  for (const [name, report] of reports) {
    if (report === undefined) {
      complaints.push(`${name}: left no report`);
      continue;
    }
    passed += report.numPassedTests;
    failed += failures(report);
    complaints.push(...skippedTests(report).map((test) => `${name}: skipped: ${test}`));
  }
  return { passed, failed, complaints };
}

function failures({ numFailedTests, testResults }: Report): number {
  const brokenFiles = testResults.filter(
    ({ status, assertionResults }) =>
      status === "failed" && assertionResults.every((test) => test.status !== "failed"),
  );
  return numFailedTests + brokenFiles.length;
}

function skippedTests({ testResults }: Report): readonly string[] {
  return testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status }) => status !== "passed" && status !== "failed")
    .map(({ fullName }) => fullName);
}
