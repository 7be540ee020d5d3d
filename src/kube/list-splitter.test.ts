/**
 * Tests of cutting a list into its items.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ListSplitter } from "./list-splitter.ts";

function split(chunks: readonly Uint8Array[]): { items: readonly unknown[]; envelope: unknown } {
  const splitter = new ListSplitter();
  const items = chunks.flatMap((chunk) =>
    Array.from(splitter.push(chunk), (item) => JSON.parse(Buffer.from(item).toString()) as unknown),
  );
  return { items, envelope: JSON.parse(splitter.envelope) };
}

const anyItem = fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue());

test("ListSplitter finds every item of any list in any cut, and keeps what is around them", () => {
  fc.assert(
    fc.property(
      fc.array(anyItem, { maxLength: 5 }),
      fc.jsonValue(),
      fc.constantFrom(0, 2),
      fc.array(fc.nat(), { maxLength: 20, size: "max" }),
      fc.boolean(),
      (items, extra, indent, cuts, itemsFirst) => {
        const metadata = { resourceVersion: "7", items: ["not", { these: "items" }], extra };
        const list = itemsFirst ? { items, metadata, kind: "List" } : { kind: "List", metadata, items };
        const bytes = Buffer.from(JSON.stringify(list, undefined, indent));
        const places = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
        const chunks = places.map((end, index) => bytes.subarray(places[index - 1] ?? 0, end));
        expect(split(chunks)).toEqual({
          items: JSON.parse(JSON.stringify(items)),
          envelope: { kind: "List", metadata: JSON.parse(JSON.stringify(metadata)), items: [] },
        });
      },
    ),
  );
});

test("ListSplitter takes a response without items whole", () => {
  const status = { kind: "Status", message: '"items": [{}]', details: { items: [{ a: 1 }] } };
  expect(split([Buffer.from(JSON.stringify(status))])).toEqual({ items: [], envelope: status });
});

test("ListSplitter takes null for no items", () => {
  expect(split([Buffer.from('{"items":null,"metadata":{}}')])).toEqual({
    items: [],
    envelope: { items: null, metadata: {} },
  });
});

test("ListSplitter refuses an envelope without end", () => {
  const splitter = new ListSplitter();
  const push = (): unknown => Array.from(splitter.push(new Uint8Array(1024 * 1024 + 1).fill(0x20)));
  expect(push).toThrow(RangeError);
});
