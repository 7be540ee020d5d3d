/**
 * Unit tests of lists and their pages.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { storageResource } from "../kinds/resources.ts";
import type { StringMap } from "../objects.ts";
import { parseLabelSelector } from "../selectors/labels.ts";
import { Store } from "../storage/store.ts";
import { failure } from "../testing.ts";
import type { ListQuery } from "./list-query.ts";
import { parseListQuery } from "./list-query.ts";
import type { Page } from "./page.ts";
import { selectPage } from "./page.ts";
import type { Selection } from "./selection.ts";

const configMaps = storageResource("configmaps");
const everything: Selection = { namespace: "", labels: [], fields: [] };

function put(store: Store, name: string, labels: StringMap = {}): number {
  return store.put("configmaps", { metadata: { name, namespace: "ns", labels } }).version;
}

function query(parameters: Readonly<Record<string, string>>): ListQuery {
  return parseListQuery(new URLSearchParams(parameters), configMaps);
}

function page(store: Store, parameters: Readonly<Record<string, string>>, selection = everything): Page {
  return selectPage(store, configMaps, selection, query(parameters));
}

function names(of: Page): readonly string[] {
  return of.objects.map((object) => object.name);
}

function filled(count: number, history = 100): Store {
  const store = new Store(history);
  for (let index = 0; index < count; index++) put(store, `c${index}`);
  return store;
}

test("selectPage() shows the server's version, not that of the newest object", () => {
  const store = filled(2);
  const { version } = store.put("nodes", { metadata: { name: "n" } });
  expect(page(store, {})).toMatchObject({ version });
});

test("selectPage() pages with counts of what remains, except under selectors", () => {
  const store = filled(5);
  const first = page(store, { limit: "2" });
  expect(first).toMatchObject({ remaining: 3, continuation: expect.any(String) });
  expect(names(first)).toEqual(["c0", "c1"]);
  const second = page(store, { limit: "2", continue: first.continuation ?? "" });
  expect(names(second)).toEqual(["c2", "c3"]);
  const third = page(store, { limit: "2", continue: second.continuation ?? "" });
  expect(names(third)).toEqual(["c4"]);
  expect(third).not.toHaveProperty("continuation");
  const selection = { ...everything, labels: parseLabelSelector("!x") };
  expect(page(store, { limit: "2" }, selection)).not.toHaveProperty("remaining");
});

test("selectPage() ignores the limit for version 0", () => {
  expect(page(filled(5), { limit: "2", resourceVersion: "0" }).objects).toHaveLength(5);
});

test("selectPage() writes tokens of the real server's form", () => {
  const store = filled(2);
  const { continuation = "" } = page(store, { limit: "1" });
  expect(JSON.parse(Buffer.from(continuation, "base64url").toString())).toEqual({
    v: "meta.k8s.io/v1",
    rv: store.version,
    start: "ns/c0\u0000",
  });
  expect(continuation).not.toMatch(/[=+/]/);
});

test("selectPage() at an exact version shows the past", () => {
  const store = filled(2);
  const then = store.version;
  put(store, "later");
  store.remove("configmaps", { metadata: { name: "c0", namespace: "ns" } });
  const past = page(store, { resourceVersion: String(then), resourceVersionMatch: "Exact" });
  expect(names(past)).toEqual(["c0", "c1"]);
  expect(past.version).toBe(then);
  expect(names(page(store, { resourceVersion: String(then) }))).toEqual(["c1", "later"]);
});

test("selectPage() at a forgotten version fails with 410", () => {
  const store = filled(2);
  const then = store.version;
  put(store, "later");
  store.compact();
  const error = failure(() => page(store, { resourceVersion: String(then), resourceVersionMatch: "Exact" }));
  expect(error).toMatchObject({ code: 410, reason: "Expired" });
  expect(error.message).toBe(`too old resource version: ${then} (${store.version})`);
});

test("selectPage() with an expired token offers one that continues in the present", () => {
  const store = filled(4);
  const { continuation = "" } = page(store, { limit: "2" });
  put(store, "c20");
  store.compact();
  const error = failure(() => page(store, { limit: "2", continue: continuation }));
  expect(error).toMatchObject({ code: 410, reason: "Expired" });
  const rest = page(store, { continue: String(error.metadata["continue"]) });
  expect(names(rest)).toEqual(["c2", "c20", "c3"]);
  expect(rest.version).toBe(store.version);
});

test.each(["x", "e30", Buffer.from('{"v":"v2","rv":1,"start":"a\\u0000"}').toString("base64url")])(
  "selectPage() refuses the foreign token %j with 400",
  (token) => {
    expect(failure(() => page(filled(1), { continue: token })).code).toBe(400);
  },
);

test("pages of one list are one state, whatever is written meanwhile", () => {
  const write = fc.record({ index: fc.integer({ min: 0, max: 12 }), remove: fc.boolean() });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.array(write, { maxLength: 4 })),
      (limit, writes) => {
        const store = filled(8, 1_000);
        const expected = store.snapshot("configmaps").map((object) => `${object.name}@${object.version}`);
        const seen: string[] = [];
        let continuation: string | undefined = "";
        for (let turn = 0; continuation !== undefined; turn++) {
          const next: Page = page(store, { limit: String(limit), continue: continuation });
          seen.push(...next.objects.map((object) => `${object.name}@${object.version}`));
          continuation = next.continuation;
          for (const { index, remove } of writes[turn] ?? []) {
            const name = `c${index}`;
            if (!remove) put(store, name);
            else if (store.get("configmaps", `ns/${name}`) !== undefined) {
              store.remove("configmaps", { metadata: { name, namespace: "ns" } });
            }
          }
        }
        expect(seen).toEqual(expected);
      },
    ),
  );
});
