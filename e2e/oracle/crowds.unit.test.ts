/**
 * Many Services: the trees of chains that lead to them decide as plain lists would, and as the model says.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Cluster } from "../model/cluster.ts";
import { applyEdit } from "../model/edits.ts";
import { oracle } from "../model/verdict.ts";
import { type Crowd, crowdPacketIn, crowds } from "./crowds.ts";
import { fateOfVerdict } from "./fate.ts";
import { PlannedNode } from "./planned-node.ts";
import { ProgrammedKernel, tracedRules } from "./programmed-kernel.ts";
import { rulesFate } from "./rules-fate.ts";
import { patienceFor, runsOf } from "./runs.ts";

const usualRuns = 60;
const runs = runsOf(usualRuns);

function chainsIn(saved: string): number {
  return saved.match(/^:/gm)?.length ?? 0;
}

async function check(crowd: Crowd, met: Map<string, number>): Promise<void> {
  const node = new PlannedNode(crowd.start);
  const writing = { layout: "lean", affinity: "recent" } as const;
  const tree = new ProgrammedKernel(node.plan, writing);
  const list = new ProgrammedKernel(node.plan, { ...writing, dispatchLimit: Number.POSITIVE_INFINITY });
  let cluster: Cluster = { ...crowd.start, services: [], endpointSlices: [] };
  for (const edits of crowd.steps) {
    for (const edit of edits) {
      cluster = applyEdit(cluster, edit);
      node.tell(edit);
    }
    const change = node.take();
    await tree.sync(node.plan, change);
    await list.sync(node.plan, change);
    const judge = oracle(cluster);
    const rules = [tree, list].map((one) => tracedRules(one.save(), node.plan, cluster.node.localIPs));
    const disagreements = crowd.choices.flatMap((choice) => {
      const packet = crowdPacketIn(cluster, choice);
      const model = fateOfVerdict(judge(packet));
      met.set(model.includes(":") ? "endpoints" : model, (met.get(model) ?? 0) + 1);
      const [ofTree, ofList] = rules.map((one) => rulesFate(one, packet));
      return ofTree === model && ofList === model ? [] : [{ packet, model, ofTree, ofList }];
    });
    expect(disagreements).toEqual([]);
    // Everything else is the same, so these are the branches of the trees.
    const branches = chainsIn(tree.save()) - chainsIn(list.save());
    met.set("branches", Math.max(met.get("branches") ?? 0, branches));
  }
}

test(
  "a tree of chains decides as a list of rules does, whatever comes and goes",
  async () => {
    const met = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(crowds, (crowd) => check(crowd, met)),
      { numRuns: runs },
    );
    if (runs < usualRuns) return;
    expect([...met.keys()].sort()).toEqual(["accept", "branches", "drop", "endpoints", "none", "reject"]);
    // All six trees are there to be wrong.
    expect(met.get("branches")).toBeGreaterThan(20);
  },
  patienceFor(runs),
);
