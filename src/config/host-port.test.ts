/**
 * `IP:port` texts.
 *
 * @module
 */
import { expect, test } from "vitest";
import { appendPort, splitHostPort } from "./host-port.ts";

test.each([
  ["127.0.0.1:10249", "127.0.0.1", "10249"],
  ["[::1]:10249", "::1", "10249"],
  [":10249", "", "10249"],
  ["[]:1", "", "1"],
  ["a:", "a", ""],
  [":", "", ""],
])("splitHostPort() splits %s", (text, host, port) => {
  expect(splitHostPort(text)).toEqual({ host, port });
});

test.each([
  "",
  "127.0.0.1",
  "::1",
  "::1:80",
  "[::1]",
  "[::1]80",
  "[::1",
  "::1]:80",
  "[[::1]]:80",
  "a:b:c",
  "[a]b:1",
])("splitHostPort() refuses %s", (text) => {
  expect(splitHostPort(text)).toBeUndefined();
});

test.each([
  ["0.0.0.0", "0.0.0.0:80"],
  ["::", "[::]:80"],
  ["010.0.0.1", "010.0.0.1:80"],
  ["0.0.0.0:1", "0.0.0.0:1"],
  ["[::1]:1", "[::1]:1"],
  ["[::1]", "[::1]"],
  ["name", "name"],
  ["", ""],
])("appendPort() makes of %s", (text, result) => {
  expect(appendPort(text, 80)).toBe(result);
});
