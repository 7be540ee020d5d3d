/**
 * Tests that need a kernel with IPVS, which hosts of tests rarely have: they run in User Mode Linux.
 *
 * A file of such tests is run twice. On the host it boots a guest and runs itself there; in the guest it does the work.
 * Both sides have a test of each name: the host's is that the guest's has passed.
 *
 * @module
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { runCommand } from "../harness/command.ts";
import { describeOnKernel } from "../harness/requirements.ts";

const run = fileURLToPath(new URL("../uml/run.sh", import.meta.url));
const vitest = fileURLToPath(new URL("../../node_modules/vitest/vitest.mjs", import.meta.url));

/** What `uml/init.sh` finds its job by. */
const inGuest: boolean = readFileSync("/proc/cmdline", "utf8").includes("umljob=");

/** A group of tests for the guest. */
export interface GuestTests {
  readonly name: string;
  /** URL of the file that calls. */
  readonly file: string;
  /** How long the guest may take, in seconds. */
  readonly seconds: number;
  /** Programs that the tests call, besides those of every guest. */
  readonly programs?: readonly string[];
  readonly tests: Readonly<Record<string, () => Promise<void>>>;
  /** Called in the guest only, before the tests are defined: for hooks. */
  readonly prepare?: () => void;
}

/** Defines the tests, on this side of the guest's border. */
export function describeInGuest({ name, file, seconds, programs = [], tests, prepare }: GuestTests): void {
  if (inGuest) {
    describe(name, () => {
      beforeAll(prepareKernel);
      prepare?.();
      for (const [title, work] of Object.entries(tests)) test(title, work, seconds * 1000);
    });
    return;
  }
  describeOnKernel(name, { programs: ["linux.uml", "busybox", ...programs] }, () => {
    let results: ReadonlyMap<string, string>;

    beforeAll(
      async () => {
        results = await runInGuest(fileURLToPath(file), seconds);
      },
      (seconds + 30) * 1000,
    );

    for (const title of Object.keys(tests)) {
      test(title, () => expect(results.get(title)).toBe("passed"));
    }
  });
}

/**
 * Two programs that want a table at once, while its module is being loaded, would get in each other's way. And the guest
 * has little memory, so its kernel means to track few connections.
 */
async function prepareKernel(): Promise<void> {
  for (const tool of ["iptables-legacy", "ip6tables-legacy"]) {
    for (const table of ["filter", "mangle", "nat"]) await runCommand([tool, "-t", table, "-S"]);
  }
  writeFileSync("/proc/sys/net/netfilter/nf_conntrack_max", "262144");
}

/** What became of each test in the guest: "passed", or why not. */
async function runInGuest(file: string, seconds: number): Promise<ReadonlyMap<string, string>> {
  // Below /tmp, which the guest shares.
  const scratch = mkdtempSync("/tmp/ipvs-guest-");
  try {
    const report = join(scratch, "report.json");
    const runner = [process.execPath, vitest, "run", "--project", "uml", "--pool=threads", file];
    const { stdout, stderr } = await runCommand(
      [run, "-t", String(seconds), ...runner, "--reporter=json", `--outputFile=${report}`],
      { anyStatus: true, timeoutSeconds: seconds + 20 },
    );
    if (!existsSync(report)) throw new Error(`Cannot run the tests in the guest: ${stdout}${stderr}`);
    const { testResults }: Report = JSON.parse(readFileSync(report, "utf8"));
    const results = testResults.flatMap(({ assertionResults }) => assertionResults);
    if (results.length === 0)
      throw new Error(`No test ran in the guest: ${JSON.stringify(testResults)}${stderr}`);
    return new Map(
      results.map(({ title, status, failureMessages }) => [title, [status, ...failureMessages].join("\n")]),
    );
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** The part of vitest's JSON report that is read. */
interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly title: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}
