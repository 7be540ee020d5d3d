/**
 * Whatever happens to a cluster, in whatever order and with whatever syncs in between: model, Plan and rules agree on
 * every packet, and on what is counted.
 *
 * `FC_RUNS=20000 npx vitest run --project unit e2e/oracle/stories` runs more stories than usual.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { NoLocalEndpoints } from "../../src/operations/no-local-endpoints.ts";
import { mergeChanges } from "../../src/proxier/merge-changes.ts";
import type { PlanChange } from "../../src/proxier/plan.ts";
import { packetIn } from "../model/arbitrary.ts";
import type { Cluster } from "../model/cluster.ts";
import { countHealthCheckEndpoints, countNoLocalEndpoints } from "../model/counts.ts";
import { applyEdit } from "../model/edits.ts";
import { isExternallyAccessible, servicePortsOf } from "../model/service-port.ts";
import { oracle } from "../model/verdict.ts";
import { type Fate, fateOfVerdict } from "./fate.ts";
import { planFate } from "./plan-fate.ts";
import { PlannedNode } from "./planned-node.ts";
import { ProgrammedKernel, tracedRules } from "./programmed-kernel.ts";
import { rulesFate } from "./rules-fate.ts";
import { patienceFor, runsOf } from "./runs.ts";
import { type Step, type Story, stories } from "./stories.ts";

const usualRuns = 1500;
const runs = runsOf(usualRuns);

function isRefusal(fate: Fate): boolean {
  return fate === "drop" || fate === "reject";
}

/** A cluster and the product on its node, side by side. */
class Stage {
  readonly #node: PlannedNode;
  readonly #kernel: ProgrammedKernel;
  readonly #counter: NoLocalEndpoints = new NoLocalEndpoints();
  #cluster: Cluster;
  #counted = { internal: 0, external: 0 };
  #unapplied: PlanChange;

  constructor({ start, writing }: Story) {
    this.#cluster = { ...start, services: [], endpointSlices: [] };
    this.#node = new PlannedNode(start);
    this.#unapplied = this.#node.take();
    this.#kernel = new ProgrammedKernel(this.#node.plan, writing);
  }

  async play({ edits, localIPs, road }: Step): Promise<void> {
    if (localIPs !== undefined) {
      this.#cluster = { ...this.#cluster, node: { ...this.#cluster.node, localIPs } };
      this.#node.setLocalIPs(localIPs);
    }
    for (const edit of edits) {
      this.#cluster = applyEdit(this.#cluster, edit);
      this.#node.tell(edit);
    }
    this.#unapplied = mergeChanges(this.#unapplied, this.#node.take());
    const { plan } = this.#node;
    if (road === "fails first") await this.#kernel.failToSync(plan, this.#unapplied);
    if (road === "restarts first") this.#kernel.restart(plan);
    if (road === "crowded first") this.#kernel.crowd();
    const report = await this.#kernel.sync(plan, road === "everything" ? road : this.#unapplied);
    expect(report.quarantined).toEqual([]);
    expect(this.#kernel.missingSets()).toEqual([]);
    expect(this.#kernel.leftoverSets(plan)).toEqual([]);
    this.#counted = this.#counter.apply(plan, this.#unapplied);
    this.#unapplied = this.#node.take();
  }

  /** The packets of which Plan or rules say otherwise than the model. `met` is told what the model says of each. */
  disagreements({ choices, overlappingPorts }: Story, met: (fate: Fate) => void): readonly object[] {
    const { plan } = this.#node;
    const { localIPs } = this.#cluster.node;
    const judge = oracle(this.#cluster);
    const ofPlan = planFate(plan, localIPs);
    const rules = tracedRules(this.#kernel.save(), plan, localIPs);
    return choices.flatMap((choice) => {
      const packet = packetIn(this.#cluster, choice);
      const model = fateOfVerdict(judge(packet));
      met(model);
      const found = { plan: ofPlan(packet), rules: rulesFate(rules, packet) };
      const isSame = (fate: Fate): boolean =>
        fate === model || (overlappingPorts && isRefusal(fate) && isRefusal(model));
      return isSame(found.plan) && isSame(found.rules) ? [] : [{ packet, model, ...found }];
    });
  }

  /** Fails when something is counted otherwise than the model counts it. */
  checkCounts(): void {
    const { services, config } = this.#cluster;
    const health = [...this.#node.plan.services.values()].flatMap((one) =>
      one.health === undefined ? [] : [[one.key, one.health.localEndpoints] as const],
    );
    expect(new Map(health)).toEqual(countHealthCheckEndpoints(this.#cluster));
    const wanted = countNoLocalEndpoints(this.#cluster);
    expect(this.#counted.internal).toBe(wanted.internal);
    // The product does not count a port that has a Local policy for external traffic but nowhere to receive any.
    const reachable = servicePortsOf(services, config.ipFamily).every(
      (one) => !one.externalPolicyLocal || isExternallyAccessible(one),
    );
    if (reachable) expect(this.#counted.external).toBe(wanted.external);
  }
}

test(
  "model, Plan and rules agree on every packet after every step of any story",
  async () => {
    const met = new Map<string, number>();
    const meet = (fate: Fate): void => {
      const kind = fate.includes(":") ? (fate.includes("masquerade") ? "masquerade" : "endpoints") : fate;
      met.set(kind, (met.get(kind) ?? 0) + 1);
    };
    await fc.assert(
      fc.asyncProperty(stories, async (story) => {
        const stage = new Stage(story);
        for (const step of story.steps) {
          await stage.play(step);
          expect(stage.disagreements(story, meet)).toEqual([]);
          stage.checkCounts();
        }
      }),
      { numRuns: runs },
    );
    const packets = [...met.values()].reduce((sum, count) => sum + count, 0);
    if (runs >= usualRuns) {
      expect(packets).toBeGreaterThan(100_000);
      // Not only packets that nobody wants.
      expect(
        [...met]
          .filter(([, count]) => count > packets / 100)
          .map(([kind]) => kind)
          .sort(),
      ).toEqual(["accept", "drop", "endpoints", "masquerade", "none", "reject"]);
    }
  },
  patienceFor(runs),
);
