/**
 * The screen.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findingsOf } from "./findings.ts";
import { printFindings, wrap } from "./print.ts";
import { healthyNode, provocations } from "./testing.ts";

const title = { node: "node1", mode: "iptables", variant: "nft", kernel: "6.1.0" };
const plain = { width: 80, colour: false };

test("a healthy node is two lines and a list", () => {
  const text = printFindings(title, findingsOf(healthyNode), plain);
  const [first, second] = text.split("\n");
  expect(first).toBe("node1: iptables mode, iptables nft, Linux 6.1.0");
  expect(second).toMatch(/^0 errors, 0 warnings, 0 unknown, \d+ in order$/);
  expect(text.split("\n").length).toBeLessThan(12);
});

test("what is wrong is told with why and the command that mends it", () => {
  const text = printFindings(title, findingsOf(provocations["ip-forward"].change(healthyNode)), plain);
  expect(text).toContain("1 error,");
  expect(text).toContain("\nERROR ip-forward: net.ipv4.ip_forward is 0\n");
  expect(text).toContain("\n      why: packets to endpoints on other hosts");
  expect(text).toContain("\n      mend: sysctl -w net.ipv4.ip_forward=1\n");
  expect(text).not.toContain("\u001b");
});

test("levels have colours on a terminal, and nothing else has", () => {
  const findings = findingsOf(provocations["ip-forward"].change(healthyNode));
  const coloured = printFindings(title, findings, { width: 80, colour: true });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what colours are made of
  expect(coloured.replaceAll(/\u001b\[\d+m/g, "")).toBe(printFindings(title, findings, plain));
});

describe("lines", () => {
  test("are no longer than the terminal is wide, but for words that are", () => {
    const everything = Object.values(provocations).reduce((facts, { change }) => change(facts), healthyNode);
    fc.assert(
      fc.property(fc.integer({ min: 40, max: 120 }), (width) => {
        const lines = printFindings(title, findingsOf(everything), { width, colour: false }).split("\n");
        const long = lines.filter((line) => line.length > width && /\s/.test(line.slice(6).trim()));
        expect(long).toEqual([]);
      }),
    );
  });

  test("hold every word, in order", () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1 }),
        fc.integer({ min: 1, max: 60 }),
        (words, width) => {
          expect(wrap(words.join(" "), width).join(" ")).toBe(words.join(" "));
        },
      ),
    );
  });
});
