/**
 * The demo's traffic: real connections, counted by the pod that answered.
 *
 * @module
 */
import type { Outcome } from "../harness/agent-protocol.ts";
import type { Host } from "../harness/host.ts";

/** Where a series of connections went. */
export interface Spread {
  /** Answers by pod, sorted by name. */
  readonly byPod: ReadonlyMap<string, number>;
  /** Source addresses that the pods saw. */
  readonly sources: ReadonlySet<string>;
  /** Connections that nobody answered, by reason. */
  readonly failures: ReadonlyMap<string, number>;
}

/** Makes `count` connections, some at a time. */
export async function connectMany(from: Host, ip: string, port: number, count: number): Promise<Spread> {
  const outcomes: Outcome[] = [];
  const atOnce = 8;
  for (let done = 0; done < count; done += atOnce) {
    const round = Array.from({ length: Math.min(atOnce, count - done) }, () =>
      from.agent.connect({ ip, port }),
    );
    outcomes.push(...(await Promise.all(round)));
  }
  return spreadOf(outcomes);
}

/** Counts outcomes. */
export function spreadOf(outcomes: readonly Outcome[]): Spread {
  const byPod = new Map<string, number>();
  const failures = new Map<string, number>();
  const sources = new Set<string>();
  for (const outcome of outcomes) {
    if (outcome.kind === "answered") {
      const { server, from } = outcome.greeting;
      byPod.set(server, (byPod.get(server) ?? 0) + 1);
      sources.add(from.ip);
    } else {
      failures.set(outcome.kind, (failures.get(outcome.kind) ?? 0) + 1);
    }
  }
  return { byPod: new Map([...byPod].sort()), sources, failures };
}

/** One line for people: `pod1-1 12, pod2-1 8`. */
export function describeSpread({ byPod, sources, failures }: Spread): string {
  const parts = [...byPod].map(([pod, count]) => `${pod} ${count}`);
  const failed = [...failures].map(([kind, count]) => `${kind} ${count}`);
  const seen = sources.size === 0 ? "" : `   (pods saw ${[...sources].sort().join(", ")})`;
  return [...parts, ...failed].join(", ") + seen;
}
