/**
 * Runs the flow cases of a file with real packets against any command that makes the rules.
 *
 * ```
 * node e2e/flows/main.ts e2e/cases/flows.json \
 *   --apply 'bin/kube-sluice run --once --manifests "$MANIFESTS" --config "$CONFIG" --hostname-override "$NODE_NAME"'
 * ```
 *
 * Needs root. Prints a line for each flow that fails, then the totals. Exit status: 0 all hold, 1 some do not,
 * 2 wrong usage.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { FlowCase } from "../cases/cases.ts";
import type { Variant } from "../harness/iptables-variant.ts";
import { type Mode, readCaseFile } from "./case-files.ts";
import { type FlowContext, runFlowCase } from "./run-flow-case.ts";

const USAGE = `usage: main.ts CASES.json --apply COMMAND [options]

COMMAND is run by a shell on the node of each case. Its environment tells it what to do: MANIFESTS (a folder of
objects), CONFIG (a KubeProxyConfiguration file), NODE_NAME and MODE.

  --mode MODE        iptables (default), ipvs or nftables
  --variant VARIANT  which iptables the node announces: nft (default) or legacy
  --only TEXT        only the cases with TEXT in their name
  --jobs N           so many cases at once (2)
  --verbose          a line for each case, also when it holds
`;

interface Arguments {
  readonly file: string;
  readonly apply: string;
  readonly mode: Mode;
  readonly variant: Variant;
  readonly only: string;
  readonly jobs: number;
  readonly verbose: boolean;
}

/** Wrong usage. */
class UsageError extends Error {}

function oneOf<const Value extends string>(option: string, value: string, allowed: readonly Value[]): Value {
  const found = allowed.find((one) => one === value);
  if (found === undefined)
    throw new UsageError(`--${option} must be one of ${allowed.join(", ")}, not "${value}"`);
  return found;
}

function readArguments(argv: readonly string[]): Arguments {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      apply: { type: "string" },
      mode: { type: "string", default: "iptables" },
      variant: { type: "string", default: "nft" },
      only: { type: "string", default: "" },
      jobs: { type: "string", default: "2" },
      verbose: { type: "boolean", default: false },
    },
  });
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new UsageError("exactly one file of cases is needed");
  if (values.apply === undefined) throw new UsageError("--apply is needed");
  const jobs = Number(values.jobs);
  if (!Number.isInteger(jobs) || jobs < 1)
    throw new UsageError(`--jobs must be 1 or more, not "${values.jobs}"`);
  return {
    file,
    apply: values.apply,
    mode: oneOf("mode", values.mode, ["iptables", "ipvs", "nftables"]),
    variant: oneOf("variant", values.variant, ["nft", "legacy"]),
    only: values.only,
    jobs,
    verbose: values.verbose,
  };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** What a case counts for in the totals. */
interface Tally {
  readonly flows: number;
  readonly failed: number;
}

function applyWith(command: string): (context: FlowContext) => Promise<void> {
  return async ({ exec, manifests, config, mode, flowCase }) => {
    const env = { MANIFESTS: manifests, CONFIG: config, NODE_NAME: flowCase.node.name, MODE: mode };
    await exec(["sh", "-c", command], { env, timeoutSeconds: 60 });
  };
}

/** Runs one case and prints its failures. That nothing could be tried counts as one failed flow. */
async function runCase(flowCase: FlowCase, { apply, mode, variant, verbose }: Arguments): Promise<Tally> {
  try {
    const results = await runFlowCase(flowCase, { mode, variant, apply: applyWith(apply) });
    const failed = results.filter(({ ok }) => !ok);
    for (const { flow, got, want } of failed) {
      print(`${flowCase.name}: ${flow.name}: want ${want.join(" | ")}, got ${got.join(" | ")}`);
    }
    if (verbose) print(`${failed.length === 0 ? "ok  " : "FAIL"} ${flowCase.name} (${results.length})`);
    return { flows: results.length, failed: failed.length };
  } catch (error) {
    print(`${flowCase.name}: ${error instanceof Error ? error.message : String(error)}`);
    return { flows: 1, failed: 1 };
  }
}

/** Runs the cases, several at once, and prints the totals. */
async function run(options: Arguments): Promise<number> {
  const backend = options.mode === "nftables" ? "nftables" : "iptables";
  const cases = readCaseFile(options.file).filter(
    ({ backends, name }) => backends.includes(backend) && name.includes(options.only),
  );
  const tallies: Tally[] = [];
  const rest = cases.values();
  // Each worker takes the next case from the one iterator that all of them share.
  const work = async (): Promise<void> => {
    for (const flowCase of rest) tallies.push(await runCase(flowCase, options));
  };
  await Promise.all(Array.from({ length: options.jobs }, work));
  const flows = tallies.reduce((sum, tally) => sum + tally.flows, 0);
  const failed = tallies.reduce((sum, tally) => sum + tally.failed, 0);
  const whole = tallies.filter((tally) => tally.failed === 0).length;
  print(`${flows - failed}/${flows} flows, ${whole}/${cases.length} cases`);
  return failed === 0 && flows > 0 ? 0 : 1;
}

async function main(): Promise<number> {
  let options: Arguments;
  try {
    options = readArguments(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return 2;
  }
  return run(options);
}

process.exitCode = await main();
