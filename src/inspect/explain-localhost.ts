/**
 * What becomes of a connection to a node port of localhost that the program serves itself (`sluice.nodePorts.localhostForwarder`):
 * no rule touches its packets.
 *
 * Pure.
 *
 * @module
 */
import { backendsFor, isForwarded, verdictForNode } from "../forwarder/local-ports.ts";
import type { Plan } from "../proxier/plan.ts";
import type { Connection } from "./connection.ts";
import type { PlanAnswer } from "./explain-plan.ts";
import type { Listener } from "./listeners.ts";

/** Who has a port of localhost. */
export interface ForwardedPort {
  /** Where the program connects to for its client. */
  readonly endpoints: readonly string[];
  /** Absent without session affinity. */
  readonly affinityTimeoutSeconds?: number;
  /** Who listens there, where the node was looked at; null if nobody does. */
  readonly listener?: Listener | null;
}

/** Only these: other addresses of 127.0.0.0/8 are not served. */
const hosts = { IPv4: "127.0.0.1", IPv6: "::1" } as const;

/** The connection as the forwarder takes it; undefined if it is none of its. */
export function forwardedAnswer(
  { node, services }: Plan,
  { to, port: number, protocol }: Connection,
): Extract<PlanAnswer, { verdict: "forward" }> | undefined {
  if (node.localhostForwarder !== true || to !== hosts[node.family]) return undefined;
  for (const { key, ports } of services.values()) {
    for (const port of ports) {
      const frontend = port.frontends.find((one) => one.kind === "NodePort" && one.port === number);
      const verdict = verdictForNode(port.external);
      if (frontend === undefined || port.protocol !== protocol) continue;
      if (!isForwarded(port) || verdict?.kind !== "forward") continue;
      const arrival = { service: key, frontend, port };
      const destinations = backendsFor(port).endpoints.map(({ target }) => ({
        target,
        masquerade: false,
        reason: "node-itself" as const,
      }));
      return { verdict: "forward", arrival, from: "node", pool: verdict.pool, destinations };
    }
  }
  return undefined;
}

/** The same for the reader. */
export function forwardedPort(
  { destinations, arrival }: Extract<PlanAnswer, { verdict: "forward" }>,
  listener: Listener | null | undefined,
): ForwardedPort {
  const seconds = arrival.port.affinity?.timeoutSeconds;
  return {
    endpoints: destinations.map(({ target }) => target),
    ...(seconds === undefined ? {} : { affinityTimeoutSeconds: seconds }),
    ...(listener === undefined ? {} : { listener }),
  };
}
