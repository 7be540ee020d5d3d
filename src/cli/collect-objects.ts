/**
 * The objects of the cluster as they are now, from the source that the command line asks for: delivered once, then the
 * source is left.
 *
 * @module
 */
import type { LoadedStartup } from "../config/load-config.ts";
import type { ObjectKind, SourceHandler } from "../kube/source.ts";
import type { StringPool } from "../kube/string-pool.ts";
import type { Clock } from "../proxier/clock.ts";
import { ClusterState } from "../proxier/cluster-state.ts";
import type { WatchedObject } from "../proxier/objects.ts";
import { ClusterFeed } from "./cluster-feed.ts";
import { CommandError } from "./exit.ts";
import { openOnce, type SourceChoice, sourceChoice } from "./open-source.ts";

/** What was delivered. */
export interface CollectedObjects {
  readonly state: ClusterState;
  /** The latest trigger time of an EndpointSlice, in milliseconds since 1970; undefined when none tells. */
  readonly latestTriggerMs: number | undefined;
}

/** How long a source has, and by what it is read. */
export interface DeliveryOptions {
  /** The node whose Node object is wanted. */
  readonly nodeName: string;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Takes texts in; decides what is kept of objects. */
  readonly pool?: StringPool;
}

/** What takes objects, and says when it has all that it wants. */
export type Receiver = Pick<SourceHandler, "upsert" | "remove" | "synced" | "log">;

/** Whether the command line, the configuration or the surroundings name a source. */
export function hasSource(startup: LoadedStartup, environment: NodeJS.ProcessEnv): boolean {
  return isChosen(sourceChoice(startup), environment);
}

/** Whether a source is named, or the process runs in a cluster. */
export function isChosen(
  { manifests, master, kubeconfig }: SourceChoice,
  environment: NodeJS.ProcessEnv,
): boolean {
  const isInCluster = (environment["KUBERNETES_SERVICE_HOST"] ?? "") !== "";
  return manifests !== undefined || master !== undefined || kubeconfig !== "" || isInCluster;
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
  const collector = await deliverOnce(
    sourceChoice(startup),
    { nodeName, clock, timeoutMs },
    (onComplete, onLog) => new Collector(onComplete, onLog),
  );
  return { state: collector.state, latestTriggerMs: collector.latestTriggerMs };
}

/**
 * Has a source deliver to a receiver until that has all that it wants.
 *
 * @throws CommandError as {@link collectObjects}
 */
export async function deliverOnce<To extends Receiver>(
  choice: SourceChoice,
  { nodeName, clock, timeoutMs, pool }: DeliveryOptions,
  receiverOf: (onComplete: () => void, onLog: SourceHandler["log"]) => To,
): Promise<To> {
  const complete = Promise.withResolvers<void>();
  const stop = new AbortController();
  let lastTrouble = "";
  const onLog: SourceHandler["log"] = (level, message, { error, reason }) => {
    if (level === "warn" || level === "error") {
      const cause = error ?? reason ?? "";
      lastTrouble = `${message}${cause === "" ? "" : `: ${cause}`}`;
    }
  };
  const source = await openOnce(choice, nodeName, onLog, pool);
  const receiver = receiverOf(complete.resolve, onLog);
  const handler: SourceHandler = {
    upsert: (object) => receiver.upsert(object),
    remove: (kind, key) => receiver.remove(kind, key),
    synced: (kind) => receiver.synced(kind),
    problem: () => {},
    log: (level, message, fields) => receiver.log(level, message, fields),
  };
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
  return receiver;
}

/** Takes objects into a cluster state, and notes the newest change. */
class Collector implements Receiver {
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

  log(...args: Parameters<SourceHandler["log"]>): void {
    this.#feed.log(...args);
  }
}
