/**
 * The error that ends a start.
 *
 * @module
 */
import { expect, test } from "vitest";
import { ConfigError } from "./config-error.ts";

test("ConfigError keeps its message on one line", () => {
  expect(new ConfigError("first\r\n  second\nthird").message).toBe("first second third");
});
