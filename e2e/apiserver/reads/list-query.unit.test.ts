/**
 * Unit tests of the parameters of lists and watches.
 *
 * @module
 */
import { expect, test } from "vitest";
import { storageResource } from "../kinds/resources.ts";
import { ApiError } from "../status.ts";
import { booleanParameter, parseListQuery, parseWatchQuery } from "./list-query.ts";

const services = storageResource("services");

/** The code with which a query is refused, or what it is understood as. */
function outcome(parse: typeof parseListQuery, query: string): unknown {
  try {
    return parse(new URLSearchParams(query), services);
  } catch (error) {
    if (error instanceof ApiError) return error.code;
    throw error;
  }
}

test.each([
  ["resourceVersionMatch=Exact", 422],
  ["resourceVersionMatch=Exact&resourceVersion=0", 422],
  ["resourceVersionMatch=Newest&resourceVersion=5", 422],
  ["resourceVersionMatch=NotOlderThan&resourceVersion=0&continue=x", 422],
  ["sendInitialEvents=true", 422],
  ["sendInitialEvents=false", 422],
  ["continue=x&resourceVersion=5", 400],
  ["resourceVersion=abc", 400],
  ["resourceVersion=-1", 400],
  ["limit=many", 400],
  ["labelSelector=a=b=c", 400],
  ["fieldSelector=nope=1", 400],
])("parseListQuery() refuses %s with %d", (query, code) => {
  expect(outcome(parseListQuery, query)).toBe(code);
});

test.each([
  ["sendInitialEvents=true", 422],
  ["sendInitialEvents=true&resourceVersionMatch=Exact", 422],
  ["resourceVersionMatch=NotOlderThan&resourceVersion=5", 422],
  ["sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=x", 422],
  ["resourceVersion=abc", 400],
  ["timeoutSeconds=long", 400],
])("parseWatchQuery() refuses %s with %d", (query, code) => {
  expect(outcome(parseWatchQuery, query)).toBe(code);
});

test("parseListQuery() ignores what it does not know", () => {
  expect(
    outcome(
      parseListQuery,
      "timeout=32s&pretty=true&allowWatchBookmarks=true&x=y&resourceVersion=0&continue=",
    ),
  ).toEqual({
    version: 0,
    match: undefined,
    limit: 0,
    continuation: "",
    labels: [],
    fields: [],
    sendInitialEvents: undefined,
    allowBookmarks: true,
    timeoutSeconds: 0,
  });
});

test("parseWatchQuery() reads a streaming list", () => {
  const query =
    "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=&allowWatchBookmarks=1&timeoutSeconds=300";
  expect(outcome(parseWatchQuery, query)).toMatchObject({
    version: undefined,
    match: "NotOlderThan",
    sendInitialEvents: true,
    allowBookmarks: true,
    timeoutSeconds: 300,
  });
});

test.each([
  ["", undefined],
  ["watch", true],
  ["watch=", true],
  ["watch=1", true],
  ["watch=true", true],
  ["watch=yes", true],
  ["watch=0", false],
  ["watch=False", false],
])("booleanParameter() of %j is %j", (query, expected) => {
  expect(booleanParameter(new URLSearchParams(query), "watch")).toBe(expected);
});
