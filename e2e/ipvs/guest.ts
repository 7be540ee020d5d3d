/**
 * Tests that need a kernel with IPVS, which hosts of tests rarely have: they run in User Mode Linux.
 *
 * A file of such tests is run twice. On the host it boots a guest and runs itself there; in the guest it does the work.
 * Both sides have a test of each name: the host's is that the guest's has passed.
 *
 * @module
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { runCommand } from "../harness/command.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { inGuest } from "../harness/tested-mode.ts";
import { guestPreparation } from "../uml/preparation.ts";

const run = fileURLToPath(new URL("../uml/run.sh", import.meta.url));
const vitest = fileURLToPath(new URL("../../node_modules/vitest/vitest.mjs", import.meta.url));

/** Tests of the host's own kernel run at the same time, and other work may. */
const patience = 3;

/** A group of tests for the guest. */
export interface GuestTests {
  readonly name: string;
  /** URL of the file that calls. */
  readonly file: string;
  /** How long the guest may take on an idle machine, in seconds. It is given up after {@link patience} times as long. */
  readonly seconds: number;
  /** Programs that the tests call, besides those of every guest. */
  readonly programs?: readonly string[];
  readonly tests: Readonly<Record<string, () => Promise<void>>>;
  /** Called in the guest only, before the tests are defined: for hooks. */
  readonly prepare?: () => void;
}

/** Defines the tests, on this side of the guest's border. */
export function describeInGuest({
  name,
  file,
  seconds: idleSeconds,
  programs = [],
  tests,
  prepare,
}: GuestTests): void {
  const seconds = idleSeconds * patience;
  if (inGuest) {
    describe(name, () => {
      prepare?.();
      for (const [title, work] of Object.entries(tests)) test(title, work, seconds * 1000);
    });
    return;
  }
  describeOnKernel(name, { programs: ["linux.uml", "busybox", ...programs] }, () => {
    let results: ReadonlyMap<string, string>;

    beforeAll(
      async () => {
        const byFile = await runFilesInGuest([fileURLToPath(file)], seconds, { project: "uml" });
        results = [...byFile.values()][0] ?? new Map();
      },
      (seconds + 30) * 1000,
    );

    for (const title of Object.keys(tests)) {
      test(title, () => expect(results.get(`${name} ${title}`)).toBe("passed"));
    }
  });
}

/** What became of each test of some files in one guest: "passed", or why not; by file and full name. */
export async function runFilesInGuest(
  files: readonly string[],
  seconds: number,
  { project, env = {} }: { readonly project: string; readonly env?: Readonly<Record<string, string>> },
): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
  // Below /tmp, which the guest shares.
  const scratch = mkdtempSync("/tmp/ipvs-guest-");
  try {
    const report = join(scratch, "report.json");
    const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const limits = ["--hookTimeout", "--testTimeout"].map((option) => `${option}=${seconds * 1000}`);
    const runner = [process.execPath, vitest, "run", "--project", project, "--pool=threads"];
    const { stdout, stderr } = await runCommand(
      [
        ...[
          run,
          "-t",
          String(seconds),
          "env",
          ...settings,
          "sh",
          "-c",
          `${guestPreparation}; exec "$@"`,
          "sh",
        ],
        ...[...runner, ...limits, ...files, "--reporter=json", `--outputFile=${report}`],
      ],
      { anyStatus: true, timeoutSeconds: seconds + 20 },
    );
    if (!existsSync(report)) throw new Error(`Cannot run the tests in the guest: ${stdout}${stderr}`);
    const { testResults }: Report = JSON.parse(readFileSync(report, "utf8"));
    const results = testResults.map((file) => [file.name, outcomes(file)] as const);
    if (results.every(([, { size }]) => size === 0))
      throw new Error(`No test ran in the guest: ${JSON.stringify(testResults)}${stderr}`);
    return new Map(results);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

function outcomes({ assertionResults, message = "" }: FileResult): ReadonlyMap<string, string> {
  const tests = assertionResults.map(({ fullName, status, failureMessages }): [string, string] => [
    fullName,
    [status, ...failureMessages].join("\n"),
  ]);
  // A hook that fails is told of the file.
  return new Map(message === "" ? tests : [...tests, ["the file", message]]);
}

interface TestResult {
  readonly fullName: string;
  readonly status: string;
  readonly failureMessages: readonly string[];
}

interface FileResult {
  readonly name: string;
  readonly message?: string;
  readonly assertionResults: readonly TestResult[];
}

/** The part of vitest's JSON report that is read. */
interface Report {
  readonly testResults: readonly FileResult[];
}
