/**
 * The model imports nothing of the product, or it could not contradict it.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("the model imports only itself, test libraries and Node", () => {
  const sources = readdirSync(new URL(".", import.meta.url)).filter((name) => name.endsWith(".ts"));
  const imports = sources.flatMap((name) => {
    const source = readFileSync(new URL(name, import.meta.url), "utf8");
    return [...source.matchAll(/^(?:import|export|\}) .*from "(.*)";$/gm)].map(
      ([, from]) => `${name}: ${from}`,
    );
  });
  expect(imports).toContain("verdict.ts: ./world.ts");
  const allowed = /: (\.\/[a-z-]+\.ts|node:[a-z]+|fast-check|vitest)$/;
  expect(imports.filter((one) => !allowed.test(one))).toEqual([]);
});
