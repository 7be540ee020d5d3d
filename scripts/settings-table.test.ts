/**
 * The table of our own settings in README.md: every setting stands in it, with its default, and nothing else does.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { defaultFields } from "../src/config/config-schema.ts";
import { configObject } from "../src/config/print-config.ts";

const readme = readFileSync(path.join(path.dirname(import.meta.dirname), "README.md"), "utf8");

/** `sluice.a.b` → default as the table writes it. */
function settings(value: unknown, at: string): readonly (readonly [string, string])[] {
  return typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([key, one]) => settings(one, `${at}.${key}`))
    : [[at, value === null ? "[]" : value === "15m0s" ? "15m" : String(value)]];
}

test("the table has every setting of section sluice with its default", () => {
  const { ipvs, ...rest } = defaultFields.sluice;
  // Only a section that differs from its default is printed.
  const changed = { ...rest, ipvs: { ...ipvs, answerPing: true } };
  const printed = configObject({ ...defaultFields, sluice: changed })["sluice"];
  const wanted = new Map(settings(printed, "sluice")).set("sluice.ipvs.answerPing", "false");
  expect(wanted.size).toBeGreaterThan(10);
  const rows = [...readme.matchAll(/^\| `(sluice\.[\w.]+)` \| `([^`]*)` \|/gm)];
  const listed = new Map(rows.map(([, name = "", value = ""]) => [name, value]));
  expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(wanted));
});
