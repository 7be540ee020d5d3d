/**
 * The restore text of a whole Plan, as an empty kernel would be sent it.
 *
 * @module
 */
import type { Plan } from "../proxier/plan.ts";
import { KnownChains } from "./known-chains.ts";
import { missingJumps } from "./missing-jumps.ts";
import { RestoreBatch } from "./restore-batch.ts";
import { wholeRules } from "./rule-part.ts";
import type { RuleSettings } from "./settings.ts";
import { type RejectedService, WantedRules } from "./wanted-rules.ts";

/** The text, and what could not be written. */
export interface RenderedPlan {
  readonly text: string;
  readonly rejected: readonly RejectedService[];
}

/** Renders a Plan. Equal Plans give equal text. */
export function renderPlan(plan: Plan, settings: RuleSettings): RenderedPlan {
  const known = new KnownChains();
  const { jumps, mangleChain } = settings.part ?? wholeRules;
  const wanted = new WantedRules(plan.node, settings);
  const rejected: RejectedService[] = [];
  const batch = new RestoreBatch(known, {
    rulesPerCommit: Number.POSITIVE_INFINITY,
    undeletable: new Set(),
    before: undefined,
  });
  const services = [...plan.services.keys()].sort();
  const pieces = batch.text({
    first: wanted.staticChains(false),
    serviceChains: wanted.fold(
      plan,
      services,
      () => false,
      (one) => rejected.push(one),
    ),
    shared: () => ({ changed: wanted.allDispatch(), removed: [] }),
    edits: { nat: missingJumps(known, "nat", jumps), filter: missingJumps(known, "filter", jumps) },
    mangleChain,
    bulk: false,
  });
  return { text: [...pieces].join(""), rejected };
}
