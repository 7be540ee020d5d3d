/**
 * Suites that hold for every mode, in ipvs mode: the stories, clients that are served while pods come and go, objects that
 * are wrong, node ports on localhost by the forwarder, the health-check port. They run in one guest, as they stand;
 * `e2e/harness/tested-mode.ts` tells them the mode. By hand:
 *
 * ```
 * e2e/uml/run.sh env SLUICE_TESTED_MODE=ipvs node_modules/.bin/node node_modules/vitest/vitest.mjs \
 *   run --project e2e --pool=threads e2e/scenarios
 * ```
 *
 * The others, and why they are not among these:
 *
 * - There is a suite of this folder for it, with what is particular to the mode: `daemon/affinity` (node, schedulers; its
 *   lists and sets are iptables mode's), `daemon/lifecycle` (lifecycle, restarts), `daemon/live-config` (mode-switch),
 *   `daemon/least-privilege` (daemon), `takeover` (takeover, mode-change), `flows` (flows), `doctor`, `networks` and
 *   `inspect` (doctor/ipvs, networks/ipvs, daemon).
 * - It ends before a backend is asked: `daemon/api-faults`, `daemon/bad-api`, `daemon/init-only`, `cli`, `apiserver`,
 *   `kube-source`.
 * - It is about iptables or another part alone: `daemon/refusal` (refused lines), `iptables-*`, `nft-table`, `netlink`.
 * - `daemon/invalid-packets`: IPVS translates packets that connection tracking cannot place, so that most of it has no
 *   counterpart; that they are dropped where a connection is masqueraded stands in the golden text of the fixed rules.
 * - `live` (the terminal and the page) shows counters, whose readers are tested in daemon.
 *
 * @module
 */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { describeOnKernel } from "../harness/requirements.ts";
import { modeVariable } from "../harness/tested-mode.ts";
import { runFilesInGuest } from "./guest.ts";

const seconds = 1200;

const files = [
  "daemon/health-check.test.ts",
  "daemon/hostile.test.ts",
  "daemon/localhost.test.ts",
  "daemon/real-programs.test.ts",
  "daemon/rolling-update.test.ts",
  "daemon/udp-flows.test.ts",
  "scenarios/scenarios.test.ts",
];

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
