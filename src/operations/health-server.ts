/**
 * The health server's answers: `/healthz` for load balancers ("send new traffic here?") and `/livez` for whoever
 * restarts the process ("does the proxy work?").
 *
 * Bodies, field order and headers are kube-proxy's, since cloud providers' health checks and people's scripts read
 * them. `healthy` in the body is the proxy's own verdict: a node that is about to be deleted answers 503 with
 * `"healthy":true,"nodeEligible":false`, and nothing is broken.
 *
 * @module
 */
import { type HttpHandler, type HttpReply, jsonReply, notFoundReply } from "./http-message.ts";
import type { ProxyHealth, ProxyHealthStatus } from "./proxy-health.ts";
import { formatTimestamp } from "./timestamp.ts";

/** The two questions. */
export type HealthQuestion = "healthz" | "livez";

/** The answer to one of the two questions. */
export function healthReply(question: HealthQuestion, status: ProxyHealthStatus): HttpReply {
  const good = status.healthy && (question === "livez" || status.nodeEligible);
  const perFamily = status.families.map(({ family, lastUpdatedMs, healthy }) => [
    family,
    { lastUpdated: formatTimestamp(lastUpdatedMs), healthy },
  ]);
  const body = {
    lastUpdated: formatTimestamp(good ? status.nowMs : newestUpdate(status)),
    currentTime: formatTimestamp(status.nowMs),
    ...(question === "healthz" ? { nodeEligible: status.nodeEligible } : {}),
    healthy: status.healthy,
    ...(perFamily.length > 0 ? { status: Object.fromEntries(perFamily) } : {}),
  };
  return jsonReply(good ? 200 : 503, JSON.stringify(body));
}

/**
 * Handler of the health server; any method. `onAnswer` counts the answers
 * (`kubeproxy_proxy_healthz_total`, `kubeproxy_proxy_livez_total`).
 */
export function healthHandler(
  health: Pick<ProxyHealth, "status">,
  onAnswer: (question: HealthQuestion, status: number) => void,
): HttpHandler {
  return ({ path }) => {
    if (path !== "/healthz" && path !== "/livez") {
      return notFoundReply;
    }
    const question = path === "/healthz" ? "healthz" : "livez";
    const reply = healthReply(question, health.status());
    onAnswer(question, reply.status);
    return reply;
  };
}

function newestUpdate(status: ProxyHealthStatus): number | undefined {
  const times = status.families.map((one) => one.lastUpdatedMs);
  return times.length === 0 ? undefined : Math.max(...times);
}
