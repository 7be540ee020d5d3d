/**
 * Pieces say what the texts said.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { PieceWriter } from "./piece-writer.ts";

function piecesOf(texts: readonly string[]): readonly string[] {
  const pieces: string[] = [];
  const writer = new PieceWriter((piece) => pieces.push(new TextDecoder().decode(piece)));
  for (const text of texts) writer.write(text);
  writer.flush();
  writer.flush();
  return pieces;
}

test("whatever the texts, the pieces say the same, and no character is cut", () => {
  const text = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc.tuple(fc.constantFrom("a", "ä", "€", "😀"), fc.nat(40_000)).map(([unit, times]) => unit.repeat(times)),
  );
  fc.assert(
    fc.property(fc.array(text), (texts) => {
      expect(piecesOf(texts).join("")).toBe(texts.join(""));
    }),
    { numRuns: 50 },
  );
});

test("short texts come in few pieces", () => {
  const lines = Array.from({ length: 10_000 }, (_, index) => `line ${index}\n`);
  expect(piecesOf(lines).length).toBeLessThan(5);
  expect(piecesOf([])).toEqual([]);
});
