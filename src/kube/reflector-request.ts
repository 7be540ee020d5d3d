/**
 * The requests of a reflector.
 *
 * Pure: the random part of a watch's duration is given.
 *
 * @module
 */
import type { ReflectorState } from "./reflector-state.ts";
import type { ApiRequest } from "./transport.ts";
import type { WatchedResource } from "./watched-resource.ts";

/** Objects on one page of a list. */
const pageSize = 500;

/** Shortest and longest duration that is asked for a watch, in seconds. */
const watchSeconds = { least: 300, most: 600 } as const;

/** How long the next watch is to last, in seconds: at random, so that the watches of many nodes end at many times. */
export function watchDuration(random: number): number {
  return watchSeconds.least + Math.floor(random * (watchSeconds.most - watchSeconds.least + 1));
}

/** The request of a WatchList or of a plain watch, as the state's step says. */
export function watchRequest(resource: WatchedResource, state: ReflectorState, seconds: number): ApiRequest {
  const initial = state.step === "watch-list";
  const version = initial && state.versionUnusable ? "" : state.lastVersion;
  return {
    method: "GET",
    path: resource.path,
    query: {
      ...resource.selectors,
      watch: "true",
      allowWatchBookmarks: "true",
      ...(initial ? { sendInitialEvents: "true", resourceVersionMatch: "NotOlderThan" } : {}),
      resourceVersion: version,
      timeoutSeconds: String(seconds),
    },
    compress: false,
  };
}

/**
 * The request of a list's page; `token` is where the page before ended, `""` for the first.
 *
 * Without a known version anything that the server has will do ("0"). With one the server answers from its cache,
 * which knows no pages. A continuation carries its version in the token.
 */
export function listRequest(resource: WatchedResource, state: ReflectorState, token: string): ApiRequest {
  const known = state.lastVersion === "" ? "0" : state.lastVersion;
  const version = state.versionUnusable ? "" : known;
  const paged = !state.onePiece && (version === "" || version === "0");
  return {
    method: "GET",
    path: resource.path,
    query: {
      ...resource.selectors,
      ...(paged ? { limit: String(pageSize) } : {}),
      ...(token === "" ? { resourceVersion: version } : { continue: token }),
    },
    compress: true,
  };
}
