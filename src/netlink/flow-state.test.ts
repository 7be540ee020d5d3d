/**
 * Names of states.
 *
 * @module
 */
import { expect, test } from "vitest";
import { flowStateName, isEstablished } from "./flow-state.ts";

test("flowStateName() knows the states of TCP and SCTP, and no others", () => {
  expect([3, 7, 99].map((state) => flowStateName(6, state))).toEqual(["ESTABLISHED", "TIME_WAIT", undefined]);
  expect([3, 4].map((state) => flowStateName(132, state))).toEqual(["COOKIE_ECHOED", "ESTABLISHED"]);
  expect(flowStateName(17, 3)).toBeUndefined();
});

test("isEstablished() is what IPVS counts as active", () => {
  expect(isEstablished(6, 3)).toBe(true);
  expect(isEstablished(6, 4)).toBe(false);
  expect(isEstablished(132, 4)).toBe(true);
  expect(isEstablished(17, undefined)).toBe(false);
});
