/**
 * The package as a whole: its README, and that it stands alone.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const folder = new URL("./", import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, folder), "utf8");

test("README.md shows example.ts and what it prints", () => {
  const readme = read("README.md");
  const program = read("example.ts").replace(/^\/\*\*.*? \*\/\n/s, "");
  expect(readme).toContain(`\`\`\`ts\n${program}\`\`\`\n`);
  const printed = execFileSync(process.execPath, [fileURLToPath(new URL("example.ts", folder))], {
    encoding: "utf8",
  });
  expect(readme).toContain(`\`\`\`\n${printed}\`\`\`\n`);
});

test("README.md names every function and constant that makes a match or target", () => {
  const readme = read("README.md");
  for (const file of ["matches.ts", "targets.ts"]) {
    for (const [, name = ""] of read(file).matchAll(/^export (?:function|const) (\w+)/gm)) {
      if (!["fullRecentMask", "range", "rule", "chain"].includes(name)) {
        expect(readme).toMatch(new RegExp(`\`${name}[\`(]`));
      }
    }
  }
});

test("no file of the package imports anything but its neighbours", () => {
  const files = readdirSync(folder).filter((name) => /\.ts$/.test(name) && !/\.test\.ts$/.test(name));
  expect(files).toContain("mod.ts");
  for (const file of files) {
    const imported = [...read(file).matchAll(/ from "([^"]+)"/g)].map(([, name]) => name);
    const allowed = { "testing.ts": "fast-check", "example.ts": "kube-sluice/iptables-builder" }[file];
    expect(imported.filter((name) => !name?.startsWith("./") && name !== allowed)).toEqual([]);
  }
});
