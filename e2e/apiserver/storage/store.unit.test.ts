/**
 * Unit tests of the versioned store.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { KubeObject } from "../objects.ts";
import type { Change } from "./change-log.ts";
import { Store } from "./store.ts";
import type { StoredObject } from "./stored-object.ts";

function configMap(name: string, value = "1"): KubeObject {
  return { metadata: { name, namespace: "ns" }, data: { value } };
}

function describe(objects: readonly StoredObject[] | undefined): readonly string[] | undefined {
  return objects?.map((object) => `${object.key}@${object.version}`);
}

test("put() and remove() take one version each, over all collections", () => {
  const store = new Store(10);
  const start = store.version;
  store.put("configmaps", configMap("a"));
  store.put("nodes", { metadata: { name: "n" } });
  store.put("configmaps", configMap("a", "2"));
  store.remove("nodes", { metadata: { name: "n" } });
  expect(store.version).toBe(start + 4);
  expect(describe(store.snapshot("configmaps"))).toEqual([`ns/a@${start + 3}`]);
});

test("put() stamps the version into the text", () => {
  const store = new Store(10);
  const stored = store.put("configmaps", configMap("a"));
  expect(JSON.parse(`{${stored.body}`)).toEqual({
    metadata: { name: "a", namespace: "ns", resourceVersion: String(stored.version) },
    data: { value: "1" },
  });
});

test("snapshot() is in the order of the keys' bytes", () => {
  const store = new Store(10);
  for (const [namespace, name] of [
    ["a", "z"],
    ["a-b", "x"],
    ["a", "b"],
    ["b", "a"],
  ] as const) {
    store.put("configmaps", { metadata: { namespace, name } });
  }
  expect(store.snapshot("configmaps").map((object) => object.key)).toEqual(["a-b/x", "a/b", "a/z", "b/a"]);
});

test("subscribe() tells each change after it has happened", () => {
  const store = new Store(10);
  const seen: string[] = [];
  const unsubscribe = store.subscribe({
    changed: (collection, { type, object, previous }: Change) => {
      const present = store.get(collection, object.key)?.version;
      seen.push(`${type} ${object.key} ${previous?.version} → ${present}`);
    },
  });
  const { version } = store.put("configmaps", configMap("a"));
  store.put("configmaps", configMap("a", "2"));
  store.remove("configmaps", configMap("a", "2"));
  unsubscribe();
  store.put("configmaps", configMap("b"));
  expect(seen).toEqual([
    `ADDED ns/a undefined → ${version}`,
    `MODIFIED ns/a ${version} → ${version + 1}`,
    `DELETED ns/a ${version + 1} → undefined`,
  ]);
});

const step = fc.record({
  name: fc.constantFrom("a", "b", "c", "d"),
  remove: fc.boolean(),
  other: fc.boolean(),
});

test("snapshotAt() gives every remembered past state, and none that is forgotten", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.array(step, { maxLength: 30, size: "max" }),
      (history, steps) => {
        const store = new Store(history);
        const past = new Map([[store.version, describe(store.snapshot("configmaps"))]]);
        for (const { name, remove, other } of steps) {
          if (other) store.put("nodes", { metadata: { name } });
          else if (!remove) store.put("configmaps", configMap(name));
          else if (store.get("configmaps", `ns/${name}`) !== undefined)
            store.remove("configmaps", configMap(name));
          past.set(store.version, describe(store.snapshot("configmaps")));
          for (const [version, state] of past) {
            const remembered = version >= store.log("configmaps").floor;
            expect(describe(store.snapshotAt("configmaps", version))).toEqual(remembered ? state : undefined);
          }
        }
      },
    ),
    { numRuns: 50 },
  );
});

test("rewind() goes back to a past state and gives its versions out again", () => {
  const store = new Store(10);
  store.put("configmaps", configMap("a"));
  const { version } = store.put("configmaps", configMap("b"));
  const before = describe(store.snapshot("configmaps"));
  store.put("configmaps", configMap("a", "2"));
  store.remove("configmaps", configMap("b"));
  let rewound = 0;
  store.subscribe({ rewound: () => rewound++ });
  store.rewind(version);
  expect(describe(store.snapshot("configmaps"))).toEqual(before);
  expect(rewound).toBe(1);
  expect(store.put("configmaps", configMap("c")).version).toBe(version + 1);
});

test("rewind() refuses versions that are forgotten or still to come, and changes nothing", () => {
  const store = new Store(10);
  store.put("configmaps", configMap("a"));
  store.compact();
  const { version } = store.put("configmaps", configMap("b"));
  expect(() => store.rewind(version - 2)).toThrow(RangeError);
  expect(() => store.rewind(version + 1)).toThrow(RangeError);
  expect(store.snapshot("configmaps")).toHaveLength(2);
});

test("remove() refuses what is not there", () => {
  expect(() => new Store(10).remove("configmaps", configMap("a"))).toThrow(RangeError);
});
