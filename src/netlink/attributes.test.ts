/**
 * Writer and reader of attributes, tested as the two halves of one codec.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { AttributeReader, attributeLengthAt, attributeTypeAt } from "./attribute-reader.ts";
import { AttributeWriter, attributeFlags } from "./attribute-writer.ts";
import { isKernelError } from "./kernel-error.ts";
import { viewOf } from "./message.ts";
import { hexBytes, messageOf } from "./testing.ts";

type Kind = "u8" | "u16" | "u32" | "u64" | "be16" | "be32" | "be64" | "bytes" | "string";

/** A tree of attributes as a value. */
type Node =
  | { readonly kind: Kind; readonly type: number; readonly value: number | bigint | string | Uint8Array }
  | { readonly kind: "nested"; readonly type: number; readonly inner: readonly Node[] };

const anyType = fc.nat(0x3fff);
const number = (bits: number) => fc.nat(2 ** bits - 1);
const big = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
// Well-formed text without NUL: what names are.
const text = fc.string({ unit: "grapheme", maxLength: 30 }).filter((value) => !value.includes("\0"));

function leaf(kind: Kind, value: fc.Arbitrary<number | bigint | string | Uint8Array>): fc.Arbitrary<Node> {
  return fc.record({ kind: fc.constant(kind), type: anyType, value });
}

const { tree: anyNode } = fc.letrec<{ tree: Node }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf("u8", number(8)),
    leaf("u16", number(16)),
    leaf("u32", number(32)),
    leaf("u64", big),
    leaf("be16", number(16)),
    leaf("be32", number(32)),
    leaf("be64", big),
    leaf("bytes", fc.uint8Array({ maxLength: 40 })),
    leaf("string", text),
    fc.record({
      kind: fc.constant("nested" as const),
      type: anyType,
      inner: fc.array(tie("tree"), { maxLength: 4 }),
    }),
  ),
}));

function write(writer: AttributeWriter, node: Node): void {
  if (node.kind === "nested") {
    writer.nested(node.type, (inner) => {
      for (const one of node.inner) write(inner, one);
    });
    return;
  }
  const method = writer[node.kind] as (type: number, value: unknown) => AttributeWriter;
  method.call(writer, node.type, node.value);
}

/** Reads attributes as what they are known to be. */
function read(reader: AttributeReader, nodes: readonly Node[]): Node[] {
  return nodes.map((node) => {
    expect(reader.next()).toBe(true);
    const { type } = reader;
    if (node.kind === "nested") return { kind: node.kind, type, inner: read(reader.nested(), node.inner) };
    return { kind: node.kind, type, value: reader[node.kind]() };
  });
}

test("AttributeReader reads back what AttributeWriter wrote", () => {
  fc.assert(
    fc.property(fc.array(anyNode, { maxLength: 6 }), fc.uint8Array({ maxLength: 4 }), (nodes, head) => {
      const fixedHeader = new Uint8Array(head.length * 4);
      const writer = new AttributeWriter(fixedHeader);
      for (const node of nodes) write(writer, node);
      expect(writer.length % 4).toBe(0);
      const bytes = writer.finish();
      const reader = new AttributeReader(viewOf(bytes), fixedHeader.length, bytes.length);
      expect(read(reader, nodes)).toEqual(nodes);
      expect(reader.next()).toBe(false);
      reader.finish("read");
    }),
  );
});

test("AttributeWriter keeps what it wrote when it grows", () => {
  const writer = new AttributeWriter(Uint8Array.of(1, 2, 3, 4));
  writer.nested(1, (inner) => {
    for (let value = 0; value < 5000; value++) inner.u16(2, value);
  });
  const bytes = writer.finish();
  const reader = new AttributeReader(viewOf(bytes), 4, bytes.length);
  expect([...bytes.subarray(0, 4)]).toEqual([1, 2, 3, 4]);
  expect(reader.next()).toBe(true);
  const values: number[] = [];
  for (const inner = reader.nested(); inner.next(); ) values.push(inner.u16());
  expect(values).toEqual([...values.keys()]);
  expect(values).toHaveLength(5000);
});

test("AttributeWriter writes the bytes that ipset was seen to accept", () => {
  const writer = new AttributeWriter();
  writer.nested(7, (data) => {
    data.nested(1, (address) => address.bytes(1 | attributeFlags.networkOrder, Uint8Array.of(10, 96, 0, 10)));
    data.be16(4 | attributeFlags.networkOrder, 80).u8(7, 6);
  });
  expect(writer.finish()).toEqual(
    hexBytes("20000780 0c000180 08000140 0a60000a 06000440 00500000 05000700 06000000"),
  );
});

test.each<[string, (writer: AttributeWriter) => void]>([
  ["300 is not an unsigned 8-bit number", (writer) => writer.u8(1, 300)],
  ["70000 is not an unsigned 16-bit number", (writer) => writer.be16(1, 70_000)],
  ["65536 is not an unsigned 16-bit number", (writer) => writer.u16(1, 65_536)],
  ["-1 is not an unsigned 32-bit number", (writer) => writer.u32(1, -1)],
  ["1.5 is not an unsigned 32-bit number", (writer) => writer.be32(1, 1.5)],
  ["NaN is not an unsigned 32-bit number", (writer) => writer.be32(1, Number.NaN)],
  ["-1 is not an unsigned 64-bit number", (writer) => writer.u64(1, -1n)],
  ["18446744073709551616 is not an unsigned 64-bit number", (writer) => writer.be64(1, 2n ** 64n)],
  ['"a\\u0000b" contains a NUL', (writer) => writer.string(1, "a\0b")],
  ["65536 bytes, an attribute holds 65535", (writer) => writer.bytes(1, new Uint8Array(65_532))],
  [
    "65540 bytes, an attribute holds 65535",
    (writer) => writer.nested(1, (inner) => inner.bytes(2, new Uint8Array(65_531))),
  ],
])("AttributeWriter throws a RangeError when %s", (message, misuse) => {
  expect(() => misuse(new AttributeWriter())).toThrow(new RangeError(`Cannot write attribute 1: ${message}`));
});

test("AttributeReader ignores the flag bits of a type", () => {
  const bytes = hexBytes("08001940 00000007 04000280");
  const reader = new AttributeReader(viewOf(bytes), 0, bytes.length);
  expect([reader.next(), reader.type, reader.be32()]).toEqual([true, 0x19, 7]);
  expect([reader.next(), reader.type, reader.length]).toEqual([true, 2, 0]);
});

test("AttributeReader takes less than a header at the end for padding", () => {
  const bytes = hexBytes("05000100 07000000 0000");
  const reader = new AttributeReader(viewOf(bytes), 0, bytes.length);
  expect([reader.next(), reader.u8(), reader.next()]).toEqual([true, 7, false]);
  reader.finish("read");
});

test("AttributeReader reads text with and without a NUL", () => {
  const bytes = hexBytes("06000100 6c6f0000 06000200 6c6f0000 09000300 6c6f006c 6f000000");
  const reader = new AttributeReader(viewOf(bytes), 0, bytes.length);
  const texts: string[] = [];
  while (reader.next()) texts.push(reader.string());
  expect(texts).toEqual(["lo", "lo", "lo"]);
});

test.each([
  ["an attribute that passes the end", "09000100 07000000"],
  ["an attribute shorter than its header", "03000100 07000000"],
  ["an attribute of length zero", "00000100 07000000"],
])("AttributeReader stops for good at %s", (_, hex) => {
  const bytes = hexBytes(hex);
  const reader = new AttributeReader(viewOf(bytes), 0, bytes.length);
  expect(reader.next()).toBe(false);
  expect(reader.failed).toBe(true);
  expect(() => reader.finish("read a thing")).toThrow(
    expect.objectContaining({ code: "truncated", operation: "read a thing" }),
  );
});

test("AttributeReader remembers the first error, wherever it was, and reads zeros from there on", () => {
  const bytes = hexBytes("0c000180 06000200 01020000 08000300 01020304");
  const reader = new AttributeReader(viewOf(bytes), 0, bytes.length);
  reader.next();
  const inner = reader.nested();
  expect(inner.next()).toBe(true);
  expect([inner.u32(), inner.u16(), inner.u64(), inner.be64(), inner.u8()]).toEqual([0, 0, 0n, 0n, 0]);
  expect(reader.next()).toBe(false);
  inner.reject("a later reason");
  const message = "Cannot read: attribute 2 has 2 bytes in place of 4";
  expect(() => reader.finish("read")).toThrow(message);
  expect(() => inner.finish("read")).toThrow(message);
});

test("AttributeReader.of() fails for a payload shorter than the fixed header", () => {
  const reader = AttributeReader.of(messageOf(16, new Uint8Array(3)), 4);
  expect(reader.next()).toBe(false);
  expect(() => reader.finish("read")).toThrow("Cannot read: the fixed header ends at 4, the payload at 3");
});

test("attributeLengthAt() and attributeTypeAt() agree with AttributeReader", () => {
  const bytes = hexBytes("08001940 00000007 09000200");
  const view = viewOf(bytes);
  expect([attributeLengthAt(view, 0, bytes.length), attributeTypeAt(view, 0)]).toEqual([8, 0x19]);
  expect(() => attributeLengthAt(view, 8, bytes.length)).toThrow("an attribute claims 9 bytes, 4 are left");
});

test("AttributeReader ends, inside the bytes, whatever they are", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      const reader = new AttributeReader(viewOf(bytes), 0, bytes.length);
      for (let steps = 0; reader.next(); steps++) {
        expect(steps).toBeLessThan(bytes.length / 4);
        reader.string();
        for (const inner = reader.nested(); inner.next(); ) inner.bytes();
      }
      try {
        reader.finish("read");
      } catch (error) {
        expect(isKernelError(error, "truncated")).toBe(true);
      }
    }),
  );
});
