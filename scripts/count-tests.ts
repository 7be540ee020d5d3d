/**
 * Adds up what test runs left behind: prints `N passed, N failed`.
 *
 * ```
 * node scripts/count-tests.ts REPORT.json...
 * ```
 *
 * Exit status 1 when a test failed, was skipped, or when a report is missing: a run that did not happen must not look
 * like one without failures.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { countTests, type Report } from "./test-counts.ts";

const reports = new Map<string, Report | undefined>();
for (const file of process.argv.slice(2)) {
  const report = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Report) : undefined;
  reports.set(basename(file, ".json"), report);
}
const { passed, failed, complaints } = countTests(reports);
for (const complaint of complaints) {
  process.stderr.write(`${complaint}\n`);
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed > 0 || complaints.length > 0 ? 1 : 0;
