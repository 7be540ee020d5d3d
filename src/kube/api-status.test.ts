/**
 * Tests of reading Status objects.
 *
 * @module
 */
import { expect, test } from "vitest";
import { describeStatus, isExpired, isThrottled, readStatus, retryAfterMs } from "./api-status.ts";

test("readStatus() takes the code of the response before that of the body", () => {
  expect(readStatus({ code: 500 }, 503).code).toBe(503);
  expect(readStatus({ code: 410 }).code).toBe(410);
  expect(readStatus("<html>", 502)).toMatchObject({ code: 502, reason: "", message: "" });
});

test("readStatus() takes the longer of the two wishes for patience", () => {
  expect(readStatus({ details: { retryAfterSeconds: 3 } }, 429, 1000).retryAfterMs).toBe(3000);
  expect(readStatus({}, 429, 1000).retryAfterMs).toBe(1000);
});

test.each([
  { details: { causes: [{ reason: "ResourceVersionTooLarge" }] } },
  { message: "Timeout: Too large resource version: 9, current: 5" },
])("readStatus() knows a version that is too large: %j", (body) => {
  expect(readStatus({ code: 504, reason: "Timeout", ...body }).tooLargeVersion).toBe(true);
});

test("readStatus() does not take every timeout for a version that is too large", () => {
  expect(readStatus({ code: 504, reason: "Timeout", details: { causes: [{}] } }).tooLargeVersion).toBe(false);
});

test.each([{ code: 410 }, { reason: "Expired" }, { reason: "Gone", code: 500 }])(
  "isExpired() knows %j",
  (body) => {
    expect(isExpired(readStatus(body))).toBe(true);
  },
);

test("isThrottled() goes by code or reason", () => {
  expect(isThrottled(readStatus({}, 429))).toBe(true);
  expect(isThrottled(readStatus({ reason: "TooManyRequests" }))).toBe(true);
  expect(isThrottled(readStatus({}, 503))).toBe(false);
});

test("describeStatus() gives one line", () => {
  const status = readStatus({ reason: "Forbidden", message: "services is\nforbidden" }, 403);
  expect(describeStatus(status)).toBe("403 Forbidden services is forbidden");
});

test("retryAfterMs() reads seconds and nothing else", () => {
  expect(retryAfterMs("7")).toBe(7000);
  expect(retryAfterMs("Wed, 21 Oct 2026 07:28:00 GMT")).toBe(0);
  expect(retryAfterMs(undefined)).toBe(0);
});
