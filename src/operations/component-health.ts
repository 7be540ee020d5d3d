/**
 * The metrics server's own `/healthz`, in the manner of every Kubernetes component: `ok` while the process answers,
 * with `?verbose` and `?exclude=`. It says nothing about the rules; that is the health server's business.
 *
 * @module
 */
import type { Counter, Gauge, Registry } from "prom-client";
import { type HttpReply, textReply } from "./http-message.ts";
import { counter, gauge, registryOf } from "./metric.ts";

/** The one check that there is. */
const check = "ping";

/** The answer to `/healthz` with this query. */
export function componentHealthReply(query: URLSearchParams): HttpReply {
  if (!query.has("verbose")) {
    return textReply(200, "ok");
  }
  const excluded = query.getAll("exclude");
  const unknown = excluded.filter((name) => name !== check).map((name) => JSON.stringify(name));
  const lines = [
    `[+]${check} ${excluded.includes(check) ? "excluded: ok" : "ok"}`,
    ...(unknown.length > 0
      ? [`warn: some health checks cannot be excluded: no matches for ${unknown.join(",")}`]
      : []),
    "healthz check passed",
  ];
  return textReply(200, `${lines.join("\n")}\n`);
}

/** `/metrics/slis`: how often the check was made and how it ended. */
export class ComponentHealthMetrics {
  readonly #last: Gauge<"name" | "type"> = gauge(
    "kubernetes_healthcheck",
    "[STABLE] Result of the last health check: 1 is good",
    ["name", "type"],
  );
  readonly #total: Counter<"name" | "status" | "type"> = counter(
    "kubernetes_healthchecks_total",
    "[STABLE] Health checks by result",
    ["name", "status", "type"],
  );
  readonly registry: Registry = registryOf([this.#last, this.#total]);

  /** A check was made; it cannot fail. */
  checked(): void {
    this.#last.set({ name: check, type: "healthz" }, 1);
    this.#total.inc({ name: check, status: "success", type: "healthz" });
  }
}
