/**
 * @module
 */
import { expect, test } from "vitest";
import { MeteredTransport, type RequestReport } from "./metered-transport.ts";
import type { ApiRequest, ApiResponse } from "./transport.ts";

const request: ApiRequest = { method: "GET", path: "/api/v1/services", query: {}, compress: false };
const response: ApiResponse = { status: 410, retryAfterMs: 0, body: (async function* () {})() };

function metered(answer: () => Promise<ApiResponse>): {
  readonly transport: MeteredTransport;
  readonly reports: readonly RequestReport[];
} {
  const reports: RequestReport[] = [];
  let now = 1_000;
  const slow = async (): Promise<ApiResponse> => {
    now += 250;
    return await answer();
  };
  const transport = new MeteredTransport(
    { request: slow },
    () => now,
    (report) => reports.push(report),
  );
  return { transport, reports };
}

test("tells of the answer and how long it took", async () => {
  const { transport, reports } = metered(() => Promise.resolve(response));
  expect(await transport.request(request, new AbortController().signal)).toBe(response);
  expect(reports).toEqual([{ method: "GET", code: "410", seconds: 0.25 }]);
});

test("tells of a request that had no answer, and passes the error on", async () => {
  const { transport, reports } = metered(() => Promise.reject(new Error("no route")));
  await expect(transport.request(request, new AbortController().signal)).rejects.toThrow("no route");
  expect(reports).toEqual([{ method: "GET", code: "<error>", seconds: 0.25 }]);
});

test("does not tell of a request that was called off", async () => {
  const { transport, reports } = metered(() => Promise.reject(new Error("aborted")));
  await expect(transport.request(request, AbortSignal.abort())).rejects.toThrow("aborted");
  expect(reports).toEqual([]);
});
