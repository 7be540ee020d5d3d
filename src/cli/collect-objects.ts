/**
 * The objects of the cluster as they are now, from the source that the command line asks for: delivered once, then the
 * source is left.
 *
 * @module
 */
import type { LoadedStartup } from "../config/load-config.ts";
import type { ObjectKind, SourceHandler } from "../kube/source.ts";
import type { Clock } from "../proxier/clock.ts";
import { ClusterState } from "../proxier/cluster-state.ts";
import type { WatchedObject } from "../proxier/objects.ts";
import { ClusterFeed } from "./cluster-feed.ts";
import { CommandError } from "./exit.ts";
import { openSource } from "./open-source.ts";

/** What was delivered. */
export interface CollectedObjects {
  readonly state: ClusterState;
  /** The latest trigger time of an EndpointSlice, in milliseconds since 1970; undefined when none tells. */
  readonly latestTriggerMs: number | undefined;
}

/** Whether the command line, the configuration or the surroundings name a source. */
export function hasSource(
  { process: options, config }: LoadedStartup,
  environment: NodeJS.ProcessEnv,
): boolean {
  const isInCluster = (environment["KUBERNETES_SERVICE_HOST"] ?? "") !== "";
  return (
    options.manifests !== undefined ||
    options.master !== undefined ||
    config.clientConnection.kubeconfig !== "" ||
    isInCluster
  );
}

/**
 * Collects the objects.
 *
 * @throws CommandError when the source cannot be used, or has not delivered everything in time
 */
export async function collectObjects(
  startup: LoadedStartup,
  nodeName: string,
  clock: Clock,
  timeoutMs: number,
): Promise<CollectedObjects> {
  const complete = Promise.withResolvers<void>();
  const stop = new AbortController();
  const once = { ...startup, process: { ...startup.process, once: true } };
  let lastTrouble = "";
  const onLog: ConstructorParameters<typeof Collector>[1] = (level, message, { error, reason }) => {
    if (level === "warn" || level === "error") {
      const cause = error ?? reason ?? "";
      lastTrouble = `${message}${cause === "" ? "" : `: ${cause}`}`;
    }
  };
  const { source } = await openSource(once, nodeName, onLog, stop.signal);
  const handler = new Collector(complete.resolve, onLog);
  const cancel = clock.after(timeoutMs, () => {
    const detail = lastTrouble === "" ? "" : `: ${lastTrouble}`;
    complete.reject(new CommandError(1, `the API server has not answered in ${timeoutMs / 1000} s${detail}`));
  });
  const delivery = source.start(handler, stop.signal);
  try {
    await Promise.race([complete.promise, delivery]);
  } finally {
    cancel();
    stop.abort();
    await delivery.catch(() => {});
  }
  return { state: handler.state, latestTriggerMs: handler.latestTriggerMs };
}

/** Takes objects into a cluster state, and notes the newest change. */
class Collector implements SourceHandler {
  readonly state: ClusterState = new ClusterState();
  latestTriggerMs: number | undefined;
  readonly #feed: ClusterFeed;

  constructor(onComplete: () => void, onLog: SourceHandler["log"]) {
    this.#feed = new ClusterFeed(this.state, {
      onComplete,
      onNode: () => {},
      onEvent: () => {},
      onProblems: () => {},
      onLog,
    });
  }

  upsert(object: WatchedObject): void {
    if (object.kind === "EndpointSlice") {
      const time = Date.parse(object.triggerTime);
      if (!Number.isNaN(time)) {
        this.latestTriggerMs = Math.max(time, this.latestTriggerMs ?? time);
      }
    }
    this.#feed.upsert(object);
  }

  remove(kind: ObjectKind, key: string): void {
    this.#feed.remove(kind, key);
  }

  synced(kind: ObjectKind): void {
    this.#feed.synced(kind);
  }

  problem(): void {}

  log(...args: Parameters<SourceHandler["log"]>): void {
    this.#feed.log(...args);
  }
}
