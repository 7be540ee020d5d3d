/**
 * The program itself meets every flow of every case: real packets, a real kernel, either variant of iptables.
 *
 * The rules are made as an operator makes them, by the command. What `explain` says of each packet is held against what
 * becomes of it. Every case of the file is run and none is treated
 * specially. Those with SCTP are run a second time on the kernel of User Mode Linux, whose netfilter has it as modules
 * that must be found and loaded.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { type Flow, type FlowCase, flowsFor, loadCases } from "../cases/cases.ts";
import { runCommand } from "../harness/command.ts";
import type { Variant } from "../harness/iptables-variant.ts";
import { nodeProgram } from "../harness/remote-agent.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { contradictions, type ExplainedFlow, explainFlows } from "./explained.ts";
import { type FlowContext, type FlowResult, runFlowCase } from "./run-flow-case.ts";

const PROGRAM = fileURLToPath(new URL("../../bin/kube-sluice", import.meta.url));
const CASES = fileURLToPath(new URL("../cases/flows.json", import.meta.url));

/** So many cases are under way at once. More only compete for the processors. */
const LANES = 2;

async function runOnce({ exec, manifests, config, flowCase }: FlowContext): Promise<void> {
  const { name } = flowCase.node;
  await exec(
    [PROGRAM, "run", "--once", "--manifests", manifests, "--config", config, "--hostname-override", name],
    { timeoutSeconds: 60 },
  );
}

/** What became of a case's packets, and what `explain` said before they were sent. */
interface CaseOutcome {
  readonly results: readonly FlowResult[];
  readonly explained: readonly ExplainedFlow[];
}

type Outcome = PromiseSettledResult<CaseOutcome>;

async function runCase(flowCase: FlowCase, variant: Variant): Promise<CaseOutcome> {
  let explained: readonly ExplainedFlow[] = [];
  const apply = async (context: FlowContext): Promise<void> => {
    await runOnce(context);
    explained = await explainFlows(context, "iptables");
  };
  return { results: await runFlowCase(flowCase, { variant, apply }), explained };
}

/** Runs the cases, several at once; resolves for each when it is over. */
function startAll(cases: readonly FlowCase[], variant: Variant): ReadonlyMap<FlowCase, Promise<Outcome>> {
  const outcomes = new Map<FlowCase, Promise<Outcome>>();
  const lanes = Array.from({ length: LANES }, () => Promise.resolve<Outcome | undefined>(undefined));
  for (const [index, flowCase] of cases.entries()) {
    const lane = index % LANES;
    const outcome = (lanes[lane] ?? Promise.resolve(undefined)).then(async () => {
      const [settled] = await Promise.allSettled([runCase(flowCase, variant)]);
      return settled;
    });
    outcomes.set(flowCase, outcome);
    lanes[lane] = outcome;
  }
  return outcomes;
}

/** What there is; throws what the case threw. */
function settledValue(outcome: Outcome | undefined): CaseOutcome {
  if (outcome?.status !== "fulfilled") throw outcome?.reason;
  return outcome.value;
}

/** What is wrong, as lines to read. */
function failuresOf({ results }: CaseOutcome): readonly string[] {
  const failed = results.filter(({ ok }) => !ok);
  return failed.map(
    ({ flow, got, want }) => `${flow.name}: want ${want.join(" | ")}, got ${got.join(" | ")}`,
  );
}

const cases = loadCases().filter(({ backends }) => backends.includes("iptables"));

describeOnKernel(
  "kube-sluice run --once",
  { programs: ["iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"] },
  () => {
    describe.each(["nft", "legacy"] as const)("with iptables-%s", (variant) => {
      let outcomes: ReadonlyMap<FlowCase, Promise<Outcome>>;

      beforeAll(() => {
        outcomes = startAll(cases, variant);
      });

      test.each(cases)("does with every packet of $name what the case says", async (flowCase) => {
        const outcome = settledValue(await outcomes.get(flowCase));
        expect(failuresOf(outcome)).toEqual([]);
        expect(outcome.results.map(({ flow }) => flow)).toEqual(flowsFor(flowCase, "iptables"));
      });

      test.each(cases)("explains every packet of $name as it goes", async (flowCase) => {
        const { results, explained } = settledValue(await outcomes.get(flowCase));
        expect(explained.map(({ flow }) => flow)).toEqual(flowsFor(flowCase, "iptables"));
        expect(contradictions(results, explained)).toEqual([]);
      });
    });
  },
);

describeOnKernel("kube-sluice run --once on a second kernel", { programs: ["linux.uml", "busybox"] }, () => {
  test("does with SCTP packets what the case says", async () => {
    const run = fileURLToPath(new URL("../uml/run.sh", import.meta.url));
    const main = fileURLToPath(new URL("main.ts", import.meta.url));
    const [flowCase, ...more] = cases.filter((one) => flowsFor(one, "iptables").some(isSctp));
    expect(more).toEqual([]);
    const { name = "" } = flowCase ?? {};
    const apply = `"${PROGRAM}" run --once --manifests "$MANIFESTS" --config "$CONFIG" --hostname-override "$NODE_NAME"`;
    const options = ["--apply", apply, "--variant", "legacy", "--only", name, "--jobs", "1"];
    const guest = [nodeProgram, main, CASES, ...options];
    const { status, stdout, stderr } = await runCommand([run, "-t", "90", ...guest], {
      anyStatus: true,
      timeoutSeconds: 110,
    });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "9/9 flows, 1/1 cases\n", stderr: "" });
  });
});

function isSctp({ protocol }: Flow): boolean {
  return protocol === "SCTP";
}
