/**
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addLine,
  beginFingerprint,
  endFingerprint,
  fingerprintOf as fingerprintOfText,
} from "./fingerprint.ts";

/** Rules that differ as those of a real table do: in an address, a port, a digit of a probability, a hash. */
function* similarLines(): Iterable<string> {
  for (let index = 0; index < 50_000; index++) {
    const address = `10.${index >> 14}.${(index >> 7) & 127}.${index & 127}`;
    yield `-A KUBE-SVC-X -p tcp -j DNAT --to-destination ${address}:8080`;
    yield `-A KUBE-SERVICES -d ${address}/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-X`;
    yield `-A KUBE-NODEPORTS -p tcp -m tcp --dport ${index} -j KUBE-EXT-X`;
    yield `-A KUBE-SVC-X -m statistic --mode random --probability ${(1 / (index + 2)).toFixed(11)} -j KUBE-SEP-X`;
  }
}

const anyLine = fc.string({ maxLength: 40 }).filter((line) => !line.includes("\n"));

function fingerprintOf(lines: readonly string[]): number {
  return fingerprintOfText(lines.map((line) => `${line}\n`).join(""));
}

describe("fingerprintOf()", () => {
  test("is a safe integer that is no less than 0, also of an empty chain", () => {
    fc.assert(
      fc.property(fc.array(anyLine, { maxLength: 4 }), (lines) => {
        const fingerprint = fingerprintOf(lines);
        expect(Number.isSafeInteger(fingerprint)).toBe(true);
        expect(fingerprint).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  test("differs for 200,000 lines that look alike", () => {
    const lines = [...new Set(similarLines())];
    expect(lines.length).toBeGreaterThan(199_000);
    expect(new Set(lines.map((line) => fingerprintOf([line]))).size).toBe(lines.length);
  });

  test("spreads over all of its bits", () => {
    const ones = Array.from({ length: 53 }, () => 0);
    let count = 0;
    for (const line of similarLines()) {
      const fingerprint = fingerprintOf([line]);
      count += 1;
      for (let bit = 0; bit < 53; bit++) {
        ones[bit] = (ones[bit] ?? 0) + (Math.floor(fingerprint / 2 ** bit) % 2);
      }
    }
    // Ten standard deviations of a fair coin.
    const tolerance = 5 * Math.sqrt(count);
    for (const [bit, times] of ones.entries()) {
      expect(Math.abs(times - count / 2), `bit ${bit}`).toBeLessThan(tolerance);
    }
  });

  test("depends on the order of lines", () => {
    fc.assert(
      fc.property(fc.uniqueArray(anyLine, { minLength: 2, maxLength: 6 }), (lines) => {
        expect(fingerprintOf(lines.toReversed())).not.toBe(fingerprintOf(lines));
      }),
    );
  });

  test("depends on where lines end, and on empty lines", () => {
    const all = [["ab"], ["a", "b"], ["", "ab"], ["ab", ""], ["ab", "", ""], [], [""], ["", ""]];
    expect(new Set(all.map(fingerprintOf)).size).toBe(all.length);
  });

  test("depends on every character", () => {
    fc.assert(
      fc.property(
        fc.array(anyLine, { minLength: 1, maxLength: 5 }),
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 1, max: 127 }),
        (lines, which, where, flip) => {
          const index = which % lines.length;
          const line = `${lines[index]}x`;
          const at = where % line.length;
          const other =
            line.slice(0, at) + String.fromCharCode(line.charCodeAt(at) ^ flip) + line.slice(at + 1);
          expect(fingerprintOf(lines.with(index, other))).not.toBe(fingerprintOf(lines.with(index, line)));
        },
      ),
    );
  });
});

describe("addLine()", () => {
  test("line by line gives what fingerprintOf() gives", () => {
    fc.assert(
      fc.property(fc.array(anyLine), (lines) => {
        const state = beginFingerprint();
        for (const line of lines) {
          addLine(state, line);
        }
        expect(endFingerprint(state)).toBe(fingerprintOf(lines));
      }),
    );
  });

  test("never makes one of two different chains", () => {
    const halves = fc.tuple(fc.integer(), fc.integer(), fc.integer({ min: 1, max: 0xffff }), fc.boolean());
    fc.assert(
      fc.property(halves, fc.constantFrom("", "x", "-A X"), ([high, low, delta, both], line) => {
        const one = { high, low };
        const other = { high: high ^ delta, low: both ? low ^ delta : low };
        addLine(one, line);
        addLine(other, line);
        expect(one).not.toEqual(other);
      }),
      { numRuns: 2_000 },
    );
  });
});
