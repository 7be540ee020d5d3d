/**
 * Where the objects come from, as the rest of the program sees it.
 *
 * A source delivers Services, EndpointSlices and the own Node, first the present state and then the changes, until
 * it is told to stop. There are two: `api-source.ts` and `manifest-source.ts`. Both deliver the same selection of
 * objects (see {@link isSelected}), and only what changed: an object equal to the one delivered before is not
 * delivered again.
 *
 * Pure.
 *
 * @module
 */
import type { ObjectKey, Problem, WatchedObject } from "../proxier/objects.ts";

/** The kinds that a source delivers. */
export type ObjectKind = WatchedObject["kind"];

/** All kinds, in the order in which they are always visited. */
export const objectKinds: readonly ObjectKind[] = ["Service", "EndpointSlice", "Node"];

/** How much a log line matters. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** The named values of a log line. */
export type LogFields = Readonly<Record<string, string | number | boolean>>;

/**
 * Who receives what a source delivers.
 *
 * Calls come in order, one at a time. They should only take note of what they are told; a source waits for them.
 */
export interface SourceHandler {
  /**
   * The object is new or has changed. What is wrong with it follows in calls of `problem`: a consumer that keeps
   * problems by object forgets the old ones here.
   */
  upsert(object: WatchedObject): void;
  /** The object is gone. Only for objects that were delivered. */
  remove(kind: ObjectKind, key: ObjectKey): void;
  /** Everything of this kind that existed at the start has been delivered. Once per kind. */
  synced(kind: ObjectKind): void;
  /** An object or a file is partly or wholly unusable. */
  problem(problem: Problem): void;
  /**
   * Forget the problems told of this file, or of an object that has no usable name: they are dealt with. Those that
   * are still there are told again. Of a delivered object `upsert` and `remove` say so.
   */
  cleared?(kind: Problem["kind"], object: string): void;
  /** What the source itself goes through: connections, retries, files. */
  log(level: LogLevel, message: string, fields: LogFields): void;
  /**
   * A call of `upsert` or `remove` for this object threw. The source goes on; what the consumer knows of the object
   * may be stale, so it should plan a full sync. Absent: the failure is only logged.
   */
  mishandled?(kind: ObjectKind, key: ObjectKey, error: unknown): void;
}

/** A source of objects. */
export interface ObjectSource {
  /**
   * Delivers to `handler` until `signal` aborts, or until the end of a source that ends.
   *
   * Resolves then; rejects only when the source cannot be used at all (a folder that does not exist). Failures on
   * the way are retried for ever. May be called once.
   */
  start(handler: SourceHandler, signal: AbortSignal): Promise<void>;
}

/** The key of an object: `namespace/name`, for a Node its name. */
export function objectKey(object: WatchedObject): ObjectKey {
  return keyOf(object.kind, object.kind === "Node" ? "" : object.namespace, object.name);
}

/** The key of an object of the kind with this name. */
export function keyOf(kind: ObjectKind, namespace: string, name: string): ObjectKey {
  return kind === "Node" ? name : `${namespace}/${name}`;
}

/**
 * Whether the program wants this object: what the selectors of `watched-resource.ts` let through. Sources that
 * cannot select at the server apply it themselves.
 *
 * Not wanted are headless Services and their slices, Services that name another proxy, and foreign Nodes.
 */
export function isSelected(object: WatchedObject, nodeName: string): boolean {
  switch (object.kind) {
    case "Service":
      return object.proxyName === undefined && object.clusterIP !== "None";
    case "EndpointSlice":
      return !object.headless;
    case "Node":
      return object.name === nodeName;
  }
}

/**
 * A handler that forwards to `handler` and never throws: a consumer's fault must not end a stream. What throws is
 * logged and reported through `mishandled`.
 */
export function guardHandler(handler: SourceHandler): SourceHandler {
  const attempt = (call: () => void, failed: (error: unknown) => void): void => {
    try {
      call();
    } catch (error) {
      try {
        failed(error);
      } catch {
        // The consumer cannot even be told: there is nobody left to tell.
      }
    }
  };
  const report = (what: string, error: unknown): void => {
    const reason = error instanceof Error ? error.message : String(error);
    handler.log("error", "Cannot hand over: the consumer threw", { what, error: reason });
  };
  const forObject = (kind: ObjectKind, key: ObjectKey, call: () => void): void => {
    attempt(call, (error) => {
      attempt(() => report(`${kind} ${key}`, error), ignore);
      handler.mishandled?.(kind, key, error);
    });
  };
  return {
    upsert: (object) => forObject(object.kind, objectKey(object), () => handler.upsert(object)),
    remove: (kind, key) => forObject(kind, key, () => handler.remove(kind, key)),
    synced: (kind) =>
      attempt(
        () => handler.synced(kind),
        (error) => report(`end of the initial ${kind} objects`, error),
      ),
    problem: (problem) =>
      attempt(
        () => handler.problem(problem),
        (error) => report(`problem of ${problem.kind} ${problem.object}`, error),
      ),
    cleared: (kind, object) =>
      attempt(
        () => handler.cleared?.(kind, object),
        (error) => report(`problems of ${kind} ${object}`, error),
      ),
    log: (level, message, fields) => attempt(() => handler.log(level, message, fields), ignore),
  };
}

function ignore(): void {
  // A log that fails cannot be logged.
}
