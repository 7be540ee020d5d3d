/**
 * Tests of reading the lines of a watch.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseWatchEvent } from "./watch-event.ts";

function parse(value: unknown): unknown {
  return parseWatchEvent(Buffer.from(JSON.stringify(value)));
}

test.each(["ADDED", "MODIFIED", "DELETED"])("parseWatchEvent() reads %s", (type) => {
  const object = { metadata: { name: "web", resourceVersion: "9" } };
  expect(parse({ type, object })).toEqual({ type, object, version: "9" });
});

test("parseWatchEvent() tells the bookmark that ends the initial objects from the others", () => {
  const metadata = { resourceVersion: "9", annotations: { "k8s.io/initial-events-end": "true" } };
  expect(parse({ type: "BOOKMARK", object: { metadata } })).toMatchObject({
    version: "9",
    endsInitial: true,
  });
  expect(parse({ type: "BOOKMARK", object: { metadata: { resourceVersion: "8" } } })).toMatchObject({
    version: "8",
    endsInitial: false,
  });
});

test("parseWatchEvent() reads the status of an ERROR", () => {
  const object = { kind: "Status", reason: "Expired", code: 410, message: "too old" };
  expect(parse({ type: "ERROR", object })).toMatchObject({ status: { code: 410, reason: "Expired" } });
});

test.each([{}, { type: "ADDED" }, { type: "ADDED", object: 5 }, { type: "PATCHED", object: {} }, [], null])(
  "parseWatchEvent() calls %j garbled",
  (value) => {
    expect(parse(value)).toMatchObject({ type: "garbled" });
  },
);

test("parseWatchEvent() never throws", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (line) => {
        expect(parseWatchEvent(line).type).toBeTypeOf("string");
      },
    ),
  );
});
