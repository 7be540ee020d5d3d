/**
 * Three test projects: `unit` (pure and loopback tests beside the code), `e2e` (real kernel, network namespaces, needs
 * root) and `uml` (the same on a second kernel, in User Mode Linux). `make test` runs all, the last two side by side.
 *
 * @module
 */
import { globSync, readFileSync } from "node:fs";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./scripts/longest-first.ts";

const unit = ["{src,scripts,bench}/**/*.test.ts", "e2e/**/*.unit.test.ts"];

/** Files that boot a second kernel: they use e2e/ipvs/guest.ts or the script itself. */
const uml = globSync("e2e/**/*.test.ts").filter((file) =>
  /\/guest\.ts"|uml\/run\.sh"|"run\.sh"/.test(readFileSync(file, "utf8")),
);

const onKernels = { testTimeout: 120_000, hookTimeout: 120_000 };

const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: "unit",
          include: unit,
          testTimeout: 60_000,
        },
      },
      {
        test: {
          ...onKernels,
          fileParallelism: false,
          name: "e2e",
          include: ["e2e/**/*.test.ts"],
          exclude: ["e2e/**/*.unit.test.ts", "**/node_modules/**", ...uml],
        },
      },
      // A guest has one processor and a kernel of its own: two of them do not meet.
      {
        test: { ...onKernels, maxWorkers: 2, name: "uml", include: uml, exclude: ["e2e/**/*.unit.test.ts"] },
      },
    ],
  },
});

export default config;
