/**
 * Suites that hold for every mode, in ipvs mode: UDP clients, the health-check port. They run in one guest, as they stand; `e2e/harness/tested-mode.ts` tells them the mode.
 *
 * Not among them: what ends before a backend is asked (API faults, hostile objects, least privilege), what is about
 * iptables mode alone (refused lines, `recent` and its sets, the life of rules), and real programs, which would take longer
 * than they add to these: the way of their packets is the same. Stories and rolling updates are not
 * either: on a busy machine a guest takes a step in parts, and ends a pod that has not got to what it was sent. They can be
 * run by hand:
 *
 * ```
 * e2e/uml/run.sh env SLUICE_TESTED_MODE=ipvs node_modules/.bin/node node_modules/vitest/vitest.mjs \
 *   run --project e2e --pool=threads e2e/scenarios
 * ```
 *
 * @module
 */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { describeOnKernel } from "../harness/requirements.ts";
import { modeVariable } from "../harness/tested-mode.ts";
import { runFilesInGuest } from "./guest.ts";

const seconds = 600;

const files = ["daemon/rolling-update.test.ts", "daemon/udp-flows.test.ts", "daemon/health-check.test.ts"];

const folder = fileURLToPath(new URL("..", import.meta.url));

describeOnKernel("suites in ipvs mode", { programs: ["linux.uml", "busybox"] }, () => {
  let results: ReadonlyMap<string, ReadonlyMap<string, string>>;

  beforeAll(
    async () => {
      const all = await runFilesInGuest(
        files.map((file) => `${folder}${file}`),
        seconds,
        { project: "e2e", env: { [modeVariable]: "ipvs" } },
      );
      results = new Map([...all].map(([file, tests]) => [relative(folder, file), tests]));
    },
    (seconds + 30) * 1000,
  );

  test.each(files)("%s holds", (file) => {
    const tests = [...(results.get(file) ?? [])];
    expect(tests.filter(([, outcome]) => outcome !== "passed")).toEqual([]);
    expect(tests.length).toBeGreaterThan(1);
  });
});
