/**
 * Two test projects: `unit` (pure and loopback tests beside the code) and `e2e` (real kernel, network
 * namespaces, needs root). `make test` runs both.
 *
 * @module
 */
import { defineConfig } from "vitest/config";

const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{src,scripts,bench}/**/*.test.ts", "e2e/**/*.unit.test.ts"],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["e2e/**/*.test.ts"],
          exclude: ["e2e/**/*.unit.test.ts", "**/node_modules/**"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});

export default config;
