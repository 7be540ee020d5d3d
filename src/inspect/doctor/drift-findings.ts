/**
 * Whether the kernel holds what the cluster asks for.
 *
 * @module
 */
import type { Facts } from "./facts.ts";
import { type Finding, finding, someOf } from "./finding.ts";

/** One finding for all families: what a first sync would write. */
export function driftFindings({ drift }: Facts): readonly Finding[] {
  const id = "drift";
  const differences = drift.flatMap(({ family, drift: one }) =>
    one.known ? one.value.differences.map((what) => `${family} ${what}`) : [],
  );
  if (differences.length > 0) {
    return [finding(id, "error", `a sync would write ${differences.length} things: ${someOf(differences)}`)];
  }
  const unseen = drift.flatMap(({ family, drift: one }) => (one.known ? [] : [`${family}: ${one.reason}`]));
  if (unseen.length > 0 || drift.length === 0) {
    const reasons = new Set(unseen.map((text) => text.replace(/^IPv[46]: /, "")));
    const text = reasons.size === 1 ? [...reasons].join("") : unseen.join("; ");
    return [finding(id, "unknown", text === "" ? "not checked" : `not checked: ${text}`)];
  }
  return [
    finding(id, "ok", `the kernel holds what is wanted (${drift.map(({ family }) => family).join(" and ")})`),
  ];
}
