/**
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DispatchChange, type DispatchEntry, type DispatchItem, DispatchTree } from "./dispatch-tree.ts";

type Entry = DispatchEntry<number>;
type Chains = Map<string, readonly DispatchItem<number>[]>;

const limit = 4;

function entry(key: string, id = "a", value = 0): Entry {
  return { key, id, value };
}

/** What somebody holds who only ever applied flushes. */
function apply(chains: Chains, change: DispatchChange<number>): void {
  for (const prefix of change.removed) {
    expect(chains.delete(prefix)).toBe(true);
  }
  for (const [prefix, items] of change.changed) {
    chains.set(prefix, items);
  }
}

function reachable(chains: Chains, prefix: string, key: string): Entry[] {
  return (chains.get(prefix) ?? []).flatMap((item) => {
    if (item.kind === "entry") {
      return item.entry.key === key ? [item.entry] : [];
    }
    return key.startsWith(item.prefix) ? reachable(chains, item.prefix, key) : [];
  });
}

const anyKey = fc
  .array(fc.constantFrom("0", "1", "2", "a"), { minLength: 4, maxLength: 4 })
  .map((digits) => digits.join(""));
const anyEdit = fc.record({
  key: anyKey,
  id: fc.constantFrom("a", "b", "c"),
  value: fc.nat(3),
  remove: fc.boolean(),
});

describe("DispatchTree", () => {
  test("keeps few entries in the root chain", () => {
    const tree = new DispatchTree<number>(limit);
    tree.set(entry("0001"));
    tree.set(entry("00a0"));
    expect(tree.flush().changed).toEqual(
      new Map([
        [
          "",
          [
            { kind: "entry", entry: entry("0001") },
            { kind: "entry", entry: entry("00a0") },
          ],
        ],
      ]),
    );
  });

  test("splits by the digits that differ, behind one rule for what is common", () => {
    const tree = new DispatchTree<number>(limit);
    for (const key of ["0010", "0011", "0012", "0020", "0021"]) {
      tree.set(entry(key));
    }
    const { changed } = tree.flush();
    expect(changed.get("")).toEqual([{ kind: "branch", prefix: "00" }]);
    expect(changed.get("00")).toEqual([
      { kind: "branch", prefix: "001" },
      { kind: "branch", prefix: "002" },
    ]);
    expect([...changed.keys()].sort()).toEqual(["", "00", "001", "002"]);
  });

  test("puts a single entry beside branches instead of behind one", () => {
    const tree = new DispatchTree<number>(limit);
    for (const key of ["0010", "0011", "0012", "0013", "a000"]) {
      tree.set(entry(key));
    }
    expect(tree.flush().changed.get("")).toEqual([
      { kind: "branch", prefix: "001" },
      { kind: "entry", entry: entry("a000") },
    ]);
  });

  test("merges back when it shrinks and names the chains that are gone", () => {
    const tree = new DispatchTree<number>(limit);
    for (const key of ["0010", "0011", "0012", "0020", "0021"]) {
      tree.set(entry(key));
    }
    tree.flush();
    tree.delete("0021", "a");
    const { changed, removed } = tree.flush();
    expect(removed).toEqual(["00", "001", "002"]);
    expect([...changed.keys()]).toEqual([""]);
  });

  test("rewrites one leaf and the chains above it for one more entry", () => {
    const tree = new DispatchTree<number>(limit);
    for (let number = 0; number < 256; number++) {
      tree.set(entry(number.toString(16).padStart(4, "0")));
    }
    tree.flush();
    tree.set(entry("00f3", "b"));
    const { changed, removed } = tree.flush();
    expect(changed.size).toBeLessThanOrEqual(4);
    expect(removed).toEqual([]);
  });

  test("tells nothing when nothing was touched", () => {
    const tree = new DispatchTree<number>(limit);
    tree.set(entry("0001"));
    tree.flush();
    expect(tree.flush()).toEqual({ changed: new Map(), removed: [] });
  });

  test("flush() adds up to the same chains by any road, and every entry can be reached through them", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(anyEdit, { maxLength: 12, size: "max" }), { maxLength: 12, size: "max" }),
        (batches) => {
          const tree = new DispatchTree<number>(limit);
          const chains: Chains = new Map();
          const wanted = new Map<string, Entry>();
          for (const batch of batches) {
            for (const { key, id, value, remove } of batch) {
              if (remove) {
                tree.delete(key, id);
                wanted.delete(`${key}/${id}`);
              } else {
                tree.set(entry(key, id, value));
                wanted.set(`${key}/${id}`, entry(key, id, value));
              }
            }
            apply(chains, tree.flush());
          }
          const straight = new DispatchTree<number>(limit);
          for (const one of wanted.values()) {
            straight.set(one);
          }
          apply(chains, tree.flush());
          expect(chains.get("") ?? []).toEqual(new Map(straight.chains()).get(""));
          if (batches.length > 0) {
            expect(new Map([...chains].sort())).toEqual(new Map([...straight.chains()].sort()));
          }
          expect(tree.size).toBe(wanted.size);
          for (const one of wanted.values()) {
            expect(reachable(chains, "", one.key)).toContainEqual(one);
          }
          for (const [prefix, items] of chains) {
            const sameKey =
              new Set(items.map((item) => (item.kind === "entry" ? item.entry.key : item.prefix))).size === 1;
            expect(items.length <= limit || sameKey, `chain ${prefix} holds ${items.length}`).toBe(true);
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});
