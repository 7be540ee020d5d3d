/**
 * What serving a configuration has from the daemon: it outlives the configuration.
 *
 * @module
 */
import { FlowReconciler } from "../conntrack/flow-reconciler.ts";
import { systemClock } from "../kube/clock.ts";
import { openNetlink } from "../netlink/socket.ts";
import { errorField, type Logger } from "../operations/logger.ts";
import { ServiceHealthServer } from "../operations/service-health-server.ts";
import { type Family, families } from "../proxier/address.ts";
import type { ClusterState } from "../proxier/cluster-state.ts";
import type { ClusterFeed } from "./cluster-feed.ts";
import type { EventRecorder } from "./event-recorder.ts";
import { LocalhostPorts, localhostLimit } from "./localhost-ports.ts";
import type { Telemetry } from "./telemetry.ts";

/** What all configurations share. */
export interface ServingParts {
  readonly nodeName: string;
  readonly state: ClusterState;
  readonly feed: ClusterFeed;
  readonly telemetry: Telemetry;
  readonly log: Logger;
  /** Whether one sync is all there is: nothing is watched over. */
  readonly once: boolean;
  readonly byFamily: Readonly<Record<Family, FamilyParts>>;
}

/** What all configurations share of one family. */
export interface FamilyParts {
  readonly healthPorts: ServiceHealthServer;
  readonly flows: FlowReconciler;
  readonly localhost: LocalhostPorts;
}

/** Makes the parts of both families; nothing is opened yet. */
export function familyParts(
  nodeName: string,
  telemetry: Telemetry,
  log: Logger,
  events: () => EventRecorder,
): Readonly<Record<Family, FamilyParts>> {
  const limit = localhostLimit(telemetry.ownMetrics);
  const make = (family: Family): FamilyParts => ({
    healthPorts: new ServiceHealthServer({
      family,
      nodeName,
      hosts: undefined,
      isProxyHealthy: () => telemetry.health.isHealthy(),
      onFailure: ({ service, note, error }) => {
        log.error(note, { error: errorField(error) });
        events().healthCheckFailed(service, note);
      },
      onError: (error) => log.error("Health check server error", { error: errorField(error) }),
    }),
    localhost: new LocalhostPorts(family, {
      log,
      metrics: telemetry.ownMetrics,
      onFailure: (service, note) => events().localhostPortFailed(service, note),
      limit,
    }),
    flows: new FlowReconciler({
      family,
      open: () => openNetlink("netfilter"),
      now: () => systemClock.now(),
      onReport: (report) => telemetry.flowsReconciled(report),
      onFailure: (_, error) => log.error("Cannot reconcile UDP flows", { error: errorField(error) }),
    }),
  });
  return { IPv4: make("IPv4"), IPv6: make("IPv6") };
}

/** Lets what is under way end, and closes the ports. */
export async function closeFamilyParts(parts: Readonly<Record<Family, FamilyParts>>): Promise<void> {
  await Promise.all(
    families.map(async (family) => {
      parts[family].localhost.close();
      await parts[family].flows.idle();
      await parts[family].healthPorts.close();
    }),
  );
}
