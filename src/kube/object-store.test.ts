/**
 * Tests of what follows from new states.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { Problem, ServiceObject } from "../proxier/objects.ts";
import { decodeService } from "./decode-service.ts";
import { type Change, ObjectStore } from "./object-store.ts";
import { objectKey } from "./source.ts";
import { serviceJson } from "./testing.ts";

const problem: Problem = { kind: "Service", object: "default/a", field: "spec.type", message: "wrong" };

function service(name: string, version: string, port = 80): ServiceObject {
  const { object } = decodeService(serviceJson(name, version, port));
  if (object === undefined) {
    throw new Error(`${name} was refused`);
  }
  return object;
}

function storeOf(...objects: readonly ServiceObject[]): ObjectStore {
  const store = new ObjectStore("Service");
  for (const object of objects) {
    store.put(object, []);
  }
  return store;
}

function show(change: Change | undefined): string | undefined {
  return change && `${change.type} ${change.type === "upsert" ? objectKey(change.object) : change.key}`;
}

test("put() gives a change for what is new or different and none for what says the same", () => {
  const store = storeOf();
  expect(show(store.put(service("a", "1"), []))).toBe("upsert default/a");
  expect(show(store.put(service("a", "2"), []))).toBeUndefined();
  expect(show(store.put(service("a", "3", 81), []))).toBe("upsert default/a");
});

test("put() gives a change when only the problems are others", () => {
  const store = storeOf(service("a", "1"));
  expect(show(store.put(service("a", "2"), [problem]))).toBe("upsert default/a");
  expect(show(store.put(service("a", "3"), [{ ...problem }]))).toBeUndefined();
  expect(show(store.put(service("a", "4"), []))).toBe("upsert default/a");
});

test("put() remembers the newest version of an object that says the same", () => {
  const store = storeOf(service("a", "1"));
  store.put(service("a", "2"), []);
  expect(store.get("default/a")?.resourceVersion).toBe("2");
  expect(store.startReplacement(true).keep("default/a", "2")).toBe(true);
});

test("delete() gives a change only for an object that is there", () => {
  const store = storeOf(service("a", "1"));
  expect(show(store.delete("default/a"))).toBe("remove default/a");
  expect(show(store.delete("default/a"))).toBeUndefined();
});

test("keep() takes over an object only with its very version", () => {
  const replacement = storeOf(service("a", "1")).startReplacement(true);
  expect(replacement.keep("default/a", "2")).toBe(false);
  expect(replacement.keep("default/b", "1")).toBe(false);
  expect(replacement.keep("default/a", "1")).toBe(true);
});

test("keep() does not take objects without a version for equal", () => {
  expect(storeOf(service("a", "")).startReplacement(true).keep("default/a", "")).toBe(false);
});

test("keep() takes over nothing where versions cannot be trusted", () => {
  expect(storeOf(service("a", "1")).startReplacement(false).keep("default/a", "1")).toBe(false);
});

test("commit() gives additions and changes first, then what is gone, and nothing for the rest", () => {
  const store = storeOf(
    service("gone", "1"),
    service("kept", "2"),
    service("changed", "3"),
    service("same", "4"),
  );
  const replacement = store.startReplacement(true);
  replacement.keep("default/kept", "2");
  replacement.put(service("changed", "5", 81), []);
  replacement.put(service("same", "6"), []);
  replacement.put(service("new", "7"), []);
  replacement.put(service("undone", "8"), []);
  replacement.delete("default/undone");
  expect(replacement.lost()).toBe(1);
  expect([...replacement.commit()].map(show)).toEqual([
    "upsert default/changed",
    "upsert default/new",
    "remove default/gone",
  ]);
  expect([...store.keys()].sort()).toEqual([
    "default/changed",
    "default/kept",
    "default/new",
    "default/same",
  ]);
});

test("a replacement that is dropped changes nothing", () => {
  const store = storeOf(service("a", "1"));
  const replacement = store.startReplacement(true);
  replacement.put(service("b", "2"), []);
  expect([...store.keys()]).toEqual(["default/a"]);
});
