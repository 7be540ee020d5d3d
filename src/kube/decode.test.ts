/**
 * Properties of reading objects: no JSON makes it throw, and what comes out is bounded and harmless.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeObject, readHead } from "./decode.ts";
import { asRecord } from "./fields.ts";
import { objectKey, objectKinds } from "./source.ts";
import { StringPool } from "./string-pool.ts";
import { nodeJson, serviceJson, sliceJson } from "./testing.ts";

const anyKind = fc.constantFrom(...objectKinds);

const anySound = fc.constantFrom(
  serviceJson("web", "1"),
  sliceJson("web", "2", ["10.0.0.1", "10.0.0.2"]),
  nodeJson("node-1", "3"),
);

/** Values that are likely to be wrong in an interesting way. */
const anyPoison = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<unknown>,
  fc.constantFrom<unknown>('x" -j ACCEPT', "a\nb", -1, 70_000, 1.5, "", [], {}, null, true, "x".repeat(5000)),
  fc.constantFrom<unknown>([null], [[]], [{}], { length: 3 }, { constructor: 1 }, { toString: null }),
);

/** A sound object of which some places, at any depth, were replaced. */
const anyMutant = fc
  .tuple(anySound, fc.array(fc.tuple(fc.nat(), anyPoison), { maxLength: 4 }))
  .map(([sound, wounds]) =>
    wounds.reduce(
      (json, [place, poison]) => replaceAt(json, { left: place % countPlaces(json) }, poison),
      sound as unknown,
    ),
  );

function countPlaces(json: unknown): number {
  return typeof json === "object" && json !== null
    ? Object.values(json).reduce((count: number, value: unknown) => count + countPlaces(value), 1)
    : 1;
}

function replaceAt(json: unknown, at: { left: number }, poison: unknown): unknown {
  if (at.left-- === 0) {
    return poison;
  }
  if (Array.isArray(json)) {
    return json.map((entry) => replaceAt(entry, at, poison));
  }
  const record = asRecord(json);
  return record === undefined
    ? json
    : Object.fromEntries(Object.entries(record).map(([name, value]) => [name, replaceAt(value, at, poison)]));
}

/** Every text in a value, with its length. */
function texts(value: unknown): readonly string[] {
  if (typeof value === "string") {
    return [value];
  }
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(texts) : [];
}

test("decodeObject() never throws, whatever the JSON", () => {
  fc.assert(
    fc.property(anyKind, fc.oneof(fc.jsonValue(), anyPoison), (kind, json) => {
      const { object, problems } = decodeObject(kind, json, new StringPool());
      expect(object === undefined ? problems.length > 0 : object.kind === kind).toBe(true);
    }),
  );
});

test("decodeObject() gives bounded values and harmless names for any mutant of a sound object", () => {
  fc.assert(
    fc.property(anyKind, anyMutant, (kind, json) => {
      const { object, problems } = decodeObject(kind, json, new StringPool());
      expect(problems.length).toBeLessThanOrEqual(21);
      for (const problem of problems) {
        expect(problem.message).not.toMatch(/[\n\r]/);
        expect(problem.message.length).toBeLessThan(200);
        expect(problem.object).toMatch(/^[A-Za-z0-9.?/-]+$/);
      }
      if (object === undefined) {
        return;
      }
      expect(objectKey(object)).toMatch(/^[a-z0-9./-]+$/);
      expect(Math.max(...texts(object).map((text) => text.length))).toBeLessThanOrEqual(1024);
      if (object.kind === "Service") {
        expect(object.ports.every((port) => /^[A-Za-z0-9._-]*$/.test(port.name))).toBe(true);
        expect(object.ports.every((port) => port.port >= 1 && port.port <= 65_535)).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});

test("readHead() gives the key that decodeObject() gives, and none where that refuses", () => {
  fc.assert(
    fc.property(anyKind, anyMutant, (kind, json) => {
      const { object } = decodeObject(kind, json, new StringPool());
      expect(readHead(kind, json)?.key).toBe(object && objectKey(object));
    }),
  );
});

test("readHead() reads the version without the rest", () => {
  expect(readHead("Service", serviceJson("web", "812"))).toEqual({
    key: "default/web",
    resourceVersion: "812",
  });
});
