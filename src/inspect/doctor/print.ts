/**
 * Findings as text: one screen, as wide as the terminal.
 *
 * Pure.
 *
 * @module
 */
import type { Finding, FindingLevel } from "./finding.ts";
import { countOf } from "./findings.ts";

/** How to print. */
export interface PrintOptions {
  /** Columns of the terminal. */
  readonly width: number;
  /** Whether the terminal shows colours. */
  readonly colour: boolean;
}

/** What was looked at. */
export interface Title {
  readonly node: string;
  readonly mode: string;
  readonly variant: string;
  readonly kernel: string;
}

const marks: Readonly<Record<FindingLevel, string>> = {
  error: "ERROR",
  warning: "WARN",
  unknown: "?",
  ok: "ok",
};
const colours: Readonly<Record<FindingLevel, number>> = { error: 31, warning: 33, unknown: 36, ok: 32 };

/** Width of the column of levels, and the least that is left for words. */
const margin = 6;
const narrowest = 24;

/** Prints findings, which come the worst first. Those in order are only named. */
export function printFindings(title: Title, findings: readonly Finding[], options: PrintOptions): string {
  const width = Math.max(narrowest, options.width - margin);
  const { node, mode, variant, kernel } = title;
  const lines = [
    ...wrap(`${node}: ${mode} mode, iptables ${variant}, Linux ${kernel}`, width + margin),
    ...wrap(counts(findings), width + margin),
  ];
  let before: FindingLevel | undefined;
  for (const one of findings.filter(({ level }) => level !== "ok")) {
    // What is not known is one line each.
    const gap = one.level === "unknown" && before === "unknown" ? [] : [""];
    lines.push(...gap, ...printOne(one, width, options));
    before = one.level;
  }
  const fine = findings.filter(({ level }) => level === "ok").map(({ id }) => id);
  if (fine.length > 0) {
    lines.push("", ...indent(wrap(fine.join(", "), width), "ok", options));
  }
  return `${lines.join("\n")}\n`;
}

function counts(findings: readonly Finding[]): string {
  const count = (level: FindingLevel, one: string, many: string): string => {
    const number = countOf(findings, level);
    return `${number} ${number === 1 ? one : many}`;
  };
  return [
    count("error", "error", "errors"),
    count("warning", "warning", "warnings"),
    count("unknown", "unknown", "unknown"),
    count("ok", "in order", "in order"),
  ].join(", ");
}

function printOne(
  { id, level, what, why, mend }: Finding,
  width: number,
  options: PrintOptions,
): readonly string[] {
  // What is not known needs no mending yet.
  const words = [...wrap(`${id}: ${what}`, width)];
  if (level !== "unknown") {
    words.push(...wrap(`why: ${why}`, width), ...wrap(`mend: ${mend}`, width));
  }
  return indent(words, level, options);
}

function indent(words: readonly string[], level: FindingLevel, { colour }: PrintOptions): readonly string[] {
  const mark = marks[level].padEnd(margin);
  const first = colour ? `\u001b[${colours[level]}m${mark}\u001b[0m` : mark;
  return words.map((text, index) => (index === 0 ? first : " ".repeat(margin)) + text);
}

/** Breaks text at blanks. A word that is too long has a line of its own: commands are there to be copied. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines;
}
