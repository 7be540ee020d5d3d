/**
 * Rates of the last minutes, for charts.
 *
 * Pure. Kept for the node and for the Services that had new connections or traffic; bounded in time and in number.
 *
 * @module
 */
import type { NodeLoad } from "../top/rate-meter.ts";

/** As many looks are kept. */
export const keptLooks = 60;

/** As many Services have a history. */
const keptServices = 500;

/** Takes what a rate meter gives, in order. */
export class RateHistory {
  #newPerSecond: number[] = [];
  #bytesPerSecond: number[] = [];
  #services = new Map<string, number[]>();

  get newPerSecond(): readonly number[] {
    return this.#newPerSecond;
  }

  get bytesPerSecond(): readonly number[] {
    return this.#bytesPerSecond;
  }

  /** New connections per second of a Service, from old to new. */
  ofService(name: string): readonly number[] {
    return this.#services.get(name) ?? [];
  }

  add({ services, total }: NodeLoad): void {
    if (total.newPerSecond === undefined) {
      // The first look: there are no rates yet.
      return;
    }
    this.#newPerSecond = appended(this.#newPerSecond, total.newPerSecond);
    this.#bytesPerSecond = appended(this.#bytesPerSecond, total.bytesPerSecond ?? 0);
    const next = new Map<string, number[]>();
    const busiest = services
      .map(({ name, newPerSecond = 0 }) => ({ name, newPerSecond }))
      .filter(({ name, newPerSecond }) => newPerSecond > 0 || this.#services.has(name))
      .sort((a, b) => b.newPerSecond - a.newPerSecond)
      .slice(0, keptServices);
    for (const { name, newPerSecond } of busiest) {
      const values = appended(this.#services.get(name) ?? [], newPerSecond);
      if (values.some((value) => value > 0)) {
        next.set(name, values);
      }
    }
    this.#services = next;
  }
}

function appended(values: readonly number[], value: number): number[] {
  return [...values, value].slice(-keptLooks);
}
