/**
 * The name of the node.
 *
 * @module
 */
import { expect, test } from "vitest";
import { hostnameFromFlag, resolveNodeName } from "./node-name.ts";

test.each([
  ["override", "variable", "host", "override"],
  ["", "variable", "host", "variable"],
  ["", "", "host", "host"],
  ["", undefined, "Host.Example", "host.example"],
  [" Node-A ", undefined, "host", "node-a"],
])("resolveNodeName() with %j, %j and %j is %s", (hostnameOverride, nodeNameVariable, hostName, name) => {
  expect(resolveNodeName({ hostnameOverride, nodeNameVariable, hostName })).toBe(name);
});

test.each([
  ["", undefined, " "],
  [" ", "variable", "host"],
])("resolveNodeName() refuses %j, %j and %j", (hostnameOverride, nodeNameVariable, hostName) => {
  expect(() => resolveNodeName({ hostnameOverride, nodeNameVariable, hostName })).toThrow(
    "empty hostname is invalid",
  );
});

test("hostnameFromFlag() trims and refuses white space alone", () => {
  expect([hostnameFromFlag(" Node-A "), hostnameFromFlag("")]).toEqual(["node-a", undefined]);
  expect(() => hostnameFromFlag("  ")).toThrow("empty hostname-override is invalid");
});
