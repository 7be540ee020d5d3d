/**
 * Tests of a folder of manifests.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { WatchedObject } from "../proxier/objects.ts";
import { decodeObject } from "./decode.ts";
import type { ManifestContent, ManifestObject } from "./manifest-file.ts";
import { ManifestFolder } from "./manifest-folder.ts";
import type { Change } from "./object-store.ts";
import { objectKey } from "./source.ts";
import { StringPool } from "./string-pool.ts";
import { nodeJson, serviceJson } from "./testing.ts";

function entry(kind: "Service" | "Node", json: unknown): ManifestObject {
  const { object, problems } = decodeObject(kind, json, new StringPool());
  if (object === undefined) {
    throw new Error("A sound object was refused");
  }
  return { object, problems };
}

function file(...services: readonly (readonly [name: string, port: number])[]): ManifestContent {
  return {
    objects: services.map(([name, port]) => entry("Service", serviceJson(name, "", port))),
    problems: [],
  };
}

function show(change: Change): string {
  return `${change.type} ${change.type === "upsert" ? objectKey(change.object) : change.key}`;
}

/** What is told of problems: the file, `again` when earlier ones are forgotten, and the messages. */
function reports(folder: ManifestFolder): readonly string[] {
  return folder
    .takeReports()
    .map(({ object, told, problems }) =>
      [object, ...(told ? ["again"] : []), ...problems.map(({ message }) => message)].join("; "),
    );
}

function commit(folder: ManifestFolder): readonly string[] {
  return [...folder.commit()].map(show);
}

test("commit() delivers what is new, changed and gone, once", () => {
  const folder = new ManifestFolder("node-1");
  folder.set("a.yaml", file(["a", 80], ["b", 80]));
  expect(commit(folder)).toEqual(["upsert default/a", "upsert default/b"]);
  expect(folder.changed).toBe(false);
  expect(commit(folder)).toEqual([]);
  folder.set("a.yaml", file(["a", 80], ["b", 81]));
  expect(folder.changed).toBe(true);
  expect(commit(folder)).toEqual(["upsert default/b"]);
  folder.delete("a.yaml");
  expect(commit(folder)).toEqual(["remove default/a", "remove default/b"]);
});

test("commit() moves an object between files without a word", () => {
  const folder = new ManifestFolder("node-1");
  folder.set("a.yaml", file(["a", 80]));
  commit(folder);
  folder.set("a.yaml", file());
  folder.set("b.yaml", file(["a", 80]));
  expect(commit(folder)).toEqual([]);
});

test("commit() leaves out what the program does not want", () => {
  const folder = new ManifestFolder("node-1");
  const foreign = serviceJson("foreign", "");
  folder.set("a.yaml", {
    objects: [
      entry("Service", {
        ...foreign,
        metadata: {
          name: "x",
          namespace: "default",
          labels: { "service.kubernetes.io/service-proxy-name": "y" },
        },
      }),
      entry("Service", { ...foreign, spec: { clusterIP: "None" } }),
      entry("Node", nodeJson("node-1", "")),
      entry("Node", nodeJson("node-2", "")),
    ],
    problems: [],
  });
  expect(commit(folder)).toEqual(["upsert node-1"]);
});

test("commit() takes the first of two definitions in the order of file names, and names the other", () => {
  const folder = new ManifestFolder("node-1");
  folder.set("b.yaml", file(["a", 82], ["a", 83]));
  expect(commit(folder)).toEqual(["upsert default/a"]);
  expect(folder.takeReports()).toEqual([
    {
      kind: "manifest",
      object: "b.yaml",
      told: false,
      problems: [
        {
          kind: "manifest",
          object: "b.yaml",
          field: "Service default/a",
          message: "it is defined in b.yaml already: this definition is ignored",
        },
      ],
    },
  ]);
  folder.set("a.yaml", file(["a", 81]));
  const [change] = folder.commit();
  expect(change).toMatchObject({ type: "upsert", object: { ports: [{ port: 81 }] } });
  const message = "it is defined in a.yaml already: this definition is ignored";
  expect(reports(folder)).toEqual([`b.yaml; again; ${message}; ${message}`]);
  folder.delete("a.yaml");
  const [back] = folder.commit();
  expect(back).toMatchObject({ type: "upsert", object: { ports: [{ port: 82 }] } });
});

test("fail() keeps the last good objects and is told once, until the file is sound again", () => {
  const folder = new ManifestFolder("node-1");
  folder.set("a.yaml", file(["a", 80]));
  commit(folder);
  folder.fail("a.yaml", "line 3: wrong");
  expect(commit(folder)).toEqual([]);
  expect(reports(folder)).toEqual(["a.yaml; line 3: wrong: its last good content stays in use"]);
  folder.fail("a.yaml", "line 3: wrong");
  expect(folder.changed).toBe(false);
  commit(folder);
  expect(reports(folder)).toEqual([]);
  folder.set("a.yaml", file(["a", 80]));
  commit(folder);
  expect(reports(folder)).toEqual(["a.yaml; again"]);
  folder.fail("a.yaml", "line 3: wrong");
  commit(folder);
  expect(reports(folder)).toHaveLength(1);
});

test("fail() of a file that never was sound gives no objects", () => {
  const folder = new ManifestFolder("node-1");
  folder.fail("a.yaml", "line 1: wrong");
  expect(commit(folder)).toEqual([]);
  expect(reports(folder)).toEqual(["a.yaml; line 1: wrong: it is ignored"]);
  folder.delete("a.yaml");
  commit(folder);
  expect(reports(folder)).toEqual(["a.yaml; again"]);
});

test("commit() leads to the same objects by any road", () => {
  const anyFile = fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), fc.integer({ min: 1, max: 3 })), {
    maxLength: 3,
  });
  const anyStep = fc.tuple(fc.constantFrom("1.yaml", "2.yaml", "3.yaml"), fc.option(anyFile), fc.boolean());
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 15, size: "max" }), (steps) => {
      const folder = new ManifestFolder("node-1");
      const delivered = new Map<string, WatchedObject>();
      const last = new Map<string, ManifestContent>();
      const take = (changes: Iterable<Change>, into: Map<string, WatchedObject>): void => {
        for (const change of changes) {
          if (change.type === "upsert") {
            into.set(objectKey(change.object), change.object);
          } else {
            expect(into.delete(change.key)).toBe(true);
          }
        }
      };
      for (const [name, services, commits] of steps) {
        if (services === null) {
          folder.delete(name);
          last.delete(name);
        } else {
          const content = file(...services);
          folder.set(name, content);
          last.set(name, content);
        }
        if (commits) {
          take(folder.commit(), delivered);
        }
      }
      take(folder.commit(), delivered);
      const straight = new ManifestFolder("node-1");
      for (const [name, content] of last) {
        straight.set(name, content);
      }
      const expected = new Map<string, WatchedObject>();
      take(straight.commit(), expected);
      expect(delivered).toEqual(expected);
    }),
  );
});
