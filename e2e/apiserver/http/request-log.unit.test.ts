/**
 * Unit tests of the request log.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { LoggedRequest } from "./request-log.ts";
import { matchesRequest, RequestLog } from "./request-log.ts";

function request(more: Partial<LoggedRequest> = {}): LoggedRequest {
  return { time: 0, method: "GET", path: "/", verb: "list", resource: "services", query: {}, ...more };
}

test("matchesRequest() compares verb, resource and parameters", () => {
  const one = request({ query: { limit: "500", continue: "x" } });
  expect(matchesRequest({}, one)).toBe(true);
  expect(matchesRequest({ verb: ["watch", "list"], resource: "services" }, one)).toBe(true);
  expect(matchesRequest({ verb: "watch" }, one)).toBe(false);
  expect(matchesRequest({ resource: "nodes" }, one)).toBe(false);
  expect(matchesRequest({ query: { limit: "500", continue: "*" } }, one)).toBe(true);
  expect(matchesRequest({ query: { limit: "501" } }, one)).toBe(false);
  expect(matchesRequest({ query: { watch: "*" } }, one)).toBe(false);
});

test("waitFor() resolves with requests of the past and of the future", async () => {
  const log = new RequestLog();
  log.add(request({ path: "/1" }));
  expect(await log.waitFor({ verb: "list" })).toHaveLength(1);
  const second = log.waitFor({ verb: "list" }, 2);
  log.add(request({ verb: "watch" }));
  log.add(request({ path: "/2" }));
  expect((await second).map((one) => one.path)).toEqual(["/1", "/2"]);
});

test("clear() forgets, and so does a full log", () => {
  const log = new RequestLog(4);
  for (const path of ["/1", "/2", "/3", "/4", "/5"]) log.add(request({ path }));
  expect(log.matching().map((one) => one.path)).toEqual(["/3", "/4", "/5"]);
  log.clear();
  expect(log.matching()).toEqual([]);
});
