/**
 * Tests of cutting a watch into lines.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { pieceLimit } from "./byte-parts.ts";
import { LineSplitter } from "./line-splitter.ts";

/** Cuts bytes into chunks at the given places. */
function chop(bytes: Uint8Array, cuts: readonly number[]): readonly Uint8Array[] {
  const places = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return places.map((end, index) => bytes.subarray(places[index - 1] ?? 0, end));
}

function linesOf(chunks: readonly Uint8Array[]): readonly string[] {
  const splitter = new LineSplitter();
  return chunks.flatMap((chunk) => [...splitter.push(chunk)].map((line) => Buffer.from(line).toString()));
}

test("LineSplitter gives the same lines for any cut of the stream, also inside a character", () => {
  const anyLine = fc.string({ unit: "grapheme", minLength: 1 }).filter((line) => !line.includes("\n"));
  fc.assert(
    fc.property(fc.array(anyLine), fc.array(fc.nat(), { maxLength: 30, size: "max" }), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
      expect(linesOf(chop(bytes, cuts))).toEqual(linesOf([bytes]));
      expect(linesOf([bytes])).toEqual(lines.map((line) => Buffer.from(line).toString()));
    }),
  );
});

test("LineSplitter leaves out empty lines and a last line that is not complete", () => {
  expect(linesOf([Buffer.from("\n\na\n\nb")])).toEqual(["a"]);
});

test("LineSplitter takes a long line byte by byte", () => {
  const splitter = new LineSplitter();
  const line = "é".repeat(200_000);
  const lines: Uint8Array[] = [];
  for (const byte of Buffer.from(`${line}\n`)) {
    lines.push(...splitter.push(Uint8Array.of(byte)));
  }
  expect(lines.map((one) => Buffer.from(one).toString() === line)).toEqual([true]);
});

test("LineSplitter refuses a line without end", () => {
  const splitter = new LineSplitter();
  const chunk = new Uint8Array(1024 * 1024).fill(0x61);
  const push = (): void => {
    for (let size = 0; size <= pieceLimit; size += chunk.length) {
      Array.from(splitter.push(chunk));
    }
  };
  expect(push).toThrow(RangeError);
});
