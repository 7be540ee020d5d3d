/**
 * The package as a whole: its README, its surface, and that it stands alone.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const folder = new URL("./", import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, folder), "utf8");

test("README.md shows example.ts", () => {
  const program = read("example.ts").replace(/^\/\*\*.*? \*\/\n/s, "");
  expect(read("README.md")).toContain(`\`\`\`ts\n${program}\`\`\`\n`);
});

test("README.md names every method of the client and every request", () => {
  const readme = read("README.md");
  const methods = [...read("client.ts").matchAll(/^ {2}(?:async )?([a-z]\w+)\(/gm)].map(([, name]) => name);
  const requests = [...read("requests.ts").matchAll(/^export function (\w+)/gm)].map(([, name]) => name);
  expect(methods).toContain("listAll");
  expect(requests).toContain("flushRequest");
  const missing = [...methods, ...requests].filter((name) => !new RegExp(`\`${name}[\`(]`).test(readme));
  expect(missing).toEqual(["constructor"]);
});

test("README.md says of every error code that can come what it means here", () => {
  const readme = read("README.md");
  const codes = [
    ...readFileSync(new URL("../../netlink/kernel-error.ts", folder), "utf8").matchAll(/^ {2}\| "(\S+)"/gm),
  ];
  expect(codes.length).toBeGreaterThan(5);
  for (const [, code] of codes) expect(readme).toContain(`| \`${code}\` |`);
});

test("no file of the package imports anything but its neighbours and netlink", () => {
  const files = readdirSync(folder).filter((name) => /\.ts$/.test(name) && !/\.test\.ts$/.test(name));
  expect(files).toContain("mod.ts");
  for (const file of files) {
    const imported = [...read(file).matchAll(/ from "([^"]+)"/g)].map(([, name]) => name);
    const allowed: Readonly<Record<string, readonly string[]>> = {
      "testing-arbitraries.ts": ["fast-check"],
      "testing-contract-balancing.ts": ["vitest"],
      "testing-contract-changing.ts": ["vitest"],
      "testing-contract-reading.ts": ["vitest"],
      "example.ts": ["kube-sluice/ipvsadm-netlink", "node:timers/promises"],
    };
    const others = imported.filter((name) => !name?.startsWith("./") && !name?.startsWith("../../netlink/"));
    expect(others).toEqual(others.filter((name) => allowed[file]?.includes(name ?? "")));
  }
});
