/**
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { KnownChains } from "./known-chains.ts";

const anyStep = fc.record({
  table: fc.constantFrom("nat" as const, "filter" as const),
  name: fc.constantFrom("KUBE-SVC-A", "KUBE-SVC-B", "KUBE-SVC-C"),
  /** Undefined: the chain goes. */
  rules: fc.option(fc.nat({ max: 20 }), { nil: undefined }),
});

test("KnownChains.ruleCount() is the sum over the chains, whatever came and went", () => {
  fc.assert(
    fc.property(fc.array(anyStep), (steps) => {
      const known = new KnownChains();
      for (const { table, name, rules } of steps) {
        if (rules === undefined) {
          known.delete(table, name);
        } else {
          known.set(table, name, { fingerprint: 1, rules });
        }
      }
      for (const table of ["nat", "filter"] as const) {
        const sum = [...known.names(table)].reduce(
          (total, name) => total + (known.get(table, name)?.rules ?? 0),
          0,
        );
        expect(known.ruleCount(table)).toBe(sum);
      }
    }),
  );
});
