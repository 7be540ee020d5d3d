/**
 * The documentation of findings, held against the catalogue.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { catalogue, findingIds } from "./catalogue.ts";

const text = readFileSync(new URL("../../../docs/doctor.md", import.meta.url), "utf8");

test("docs/doctor.md lists every finding with why and mend, and no other", () => {
  const [, table = ""] = /\n## Findings\n([\s\S]*?)\n## /.exec(text) ?? [];
  const rows = table.split("\n").filter((line) => line.startsWith("| `"));
  expect(rows).toEqual(
    findingIds.map((id) => `| \`${id}\` | ${catalogue[id].why} | ${catalogue[id].mend} |`),
  );
});
