/**
 * Tests of the health server: exact bytes, in the pure reply and on the wire.
 *
 * @module
 */
import { expect, test } from "vitest";
import { healthHandler, healthReply } from "./health-server.ts";
import { openListener } from "./http-listener.ts";
import type { ProxyHealthStatus } from "./proxy-health.ts";
import { rawRequest, someWallMs } from "./testing.ts";

const now = "2026-11-21T10:00:00.1Z";
const earlier = "2026-11-21T09:59:00.1Z";

function statusOf(part: Partial<ProxyHealthStatus>): ProxyHealthStatus {
  return {
    nowMs: someWallMs,
    healthy: true,
    nodeEligible: true,
    families: [
      { family: "IPv4", lastUpdatedMs: someWallMs - 60_000, healthy: true },
      { family: "IPv6", lastUpdatedMs: someWallMs - 120_000, healthy: part.healthy ?? true },
    ],
    ...part,
  };
}

function familyBodies(v6Healthy: boolean): string {
  const v6 = `{"lastUpdated":"2026-11-21T09:58:00.1Z","healthy":${v6Healthy}}`;
  return `"status":{"IPv4":{"lastUpdated":"${earlier}","healthy":true},"IPv6":${v6}}`;
}

test.each([
  [
    "healthz",
    {},
    200,
    `{"lastUpdated":"${now}","currentTime":"${now}","nodeEligible":true,"healthy":true,${familyBodies(true)}}`,
  ],
  [
    "healthz",
    { nodeEligible: false },
    503,
    `{"lastUpdated":"${earlier}","currentTime":"${now}","nodeEligible":false,"healthy":true,${familyBodies(true)}}`,
  ],
  [
    "healthz",
    { healthy: false },
    503,
    `{"lastUpdated":"${earlier}","currentTime":"${now}","nodeEligible":true,"healthy":false,${familyBodies(false)}}`,
  ],
  [
    "livez",
    { nodeEligible: false },
    200,
    `{"lastUpdated":"${now}","currentTime":"${now}","healthy":true,${familyBodies(true)}}`,
  ],
  [
    "livez",
    { healthy: false },
    503,
    `{"lastUpdated":"${earlier}","currentTime":"${now}","healthy":false,${familyBodies(false)}}`,
  ],
  [
    "healthz",
    { families: [], nodeEligible: false },
    503,
    `{"lastUpdated":"0001-01-01T00:00:00Z","currentTime":"${now}","nodeEligible":false,"healthy":true}`,
  ],
  ["livez", { families: [] }, 200, `{"lastUpdated":"${now}","currentTime":"${now}","healthy":true}`],
] as const)("healthReply() answers /%s with %j", (question, part, status, body) => {
  expect(healthReply(question, statusOf(part))).toEqual({
    status,
    headers: { "Content-Type": "application/json", "X-Content-Type-Options": "nosniff" },
    body,
  });
});

test("healthHandler() answers any method on the wire, counts by status, and knows no other path", async () => {
  const answers: string[] = [];
  let healthy = true;
  const handler = healthHandler({ status: () => statusOf({ healthy }) }, (question, status) =>
    answers.push(`${question} ${status}`),
  );
  const listener = await openListener(handler, { host: "127.0.0.1", port: 0 }, { onError: () => {} });
  try {
    const { port } = listener.address;
    const good = await rawRequest(port, "/healthz?verbose", { method: "POST" });
    expect(good).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(good).toContain("\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n");
    expect(good.split("\r\n\r\n")[1]).toBe(healthReply("healthz", statusOf({})).body);
    healthy = false;
    expect(await rawRequest(port, "/livez")).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/);
    const unknown = await rawRequest(port, "/healthz/");
    expect(unknown).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/);
    expect(unknown.split("\r\n\r\n")[1]).toBe("404 page not found\n");
    expect(answers).toEqual(["healthz 200", "livez 503"]);
  } finally {
    await listener.close();
  }
});
