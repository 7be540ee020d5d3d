/**
 * Where a watch starts: the table of the Kubernetes documentation ("Semantics for watch", "Streaming lists") as code.
 *
 * | parameters | initial objects | changes after |
 * | --- | --- | --- |
 * | no version or "0", nothing else | all | now |
 * | version N | none | N; failure when the history does not reach back |
 * | `sendInitialEvents=true`, any version | all, once the version is reached | now |
 * | `sendInitialEvents=false`, no version or "0" | none | now |
 *
 * @module
 */
import type { Clock } from "../clock.ts";
import type { Resource } from "../kinds/resources.ts";
import type { Status } from "../status.ts";
import { tooLargeVersion, tooOldVersion } from "../status.ts";
import type { Store } from "../storage/store.ts";
import { waitForVersion } from "../storage/version-wait.ts";
import type { ListQuery } from "./list-query.ts";
import type { ObjectFormat } from "./object-format.ts";
import type { Selection } from "./selection.ts";
import { selects } from "./selection.ts";
import type { WatchPlan } from "./watcher.ts";

/** The shortest time after which the real server ends a watch that names no timeout; it takes up to twice that. */
const minTimeoutSeconds = 1_800;

/** What is to be watched. */
export interface WatchRequest {
  readonly resource: Resource;
  readonly selection: Selection;
  readonly query: ListQuery;
  readonly format: ObjectFormat;
}

/** A plan, or the failure to report in the stream, whose headers are out by then. */
export type PlannedWatch = { readonly plan: WatchPlan } | { readonly failure: Status };

/**
 * Finds the start of a watch, waiting for a version that is still to come if initial objects are asked for.
 *
 * @param random numbers in [0, 1), for the duration of a watch that names none
 */
export async function planWatch(
  store: Store,
  request: WatchRequest,
  clock: Clock,
  random: () => number,
): Promise<PlannedWatch> {
  const { resource, query } = request;
  const timeoutMilliseconds = 1_000 * (query.timeoutSeconds || minTimeoutSeconds * (1 + random()));
  const plan = { ...request, bookmarks: query.allowBookmarks, timeoutMilliseconds };
  const version = query.version ?? 0;
  const sendsInitial = query.sendInitialEvents ?? version === 0;
  if (sendsInitial) {
    if (!(await waitForVersion(store, version, clock))) {
      return { failure: tooLargeVersion(version, store.version).status };
    }
    const initial = store
      .snapshot(resource.collection)
      .filter((object) => selects(request.selection, object));
    return { plan: { ...plan, initial, after: store.version, endBookmark: query.allowBookmarks } };
  }
  const after = version === 0 ? store.version : version;
  const { floor } = store.log(resource.collection);
  if (after < floor) return { failure: tooOldVersion(after, floor).status };
  return { plan: { ...plan, initial: [], after, endBookmark: false } };
}
