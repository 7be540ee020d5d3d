/**
 * Lists: which objects a list request returns, page by page.
 *
 * All pages of one list show the state at one version. The continue token carries that version and the key of the
 * last object sent; it is opaque to clients, but has the real server's form.
 *
 * @module
 */
import type { Resource } from "../kinds/resources.ts";
import { badRequest, expired, tooOldVersion } from "../status.ts";
import type { Store } from "../storage/store.ts";
import type { StoredObject } from "../storage/stored-object.ts";
import type { ListQuery } from "./list-query.ts";
import type { Selection } from "./selection.ts";
import { hasSelector, selects } from "./selection.ts";

/** One answer to a list request. */
export interface Page {
  readonly objects: readonly StoredObject[];
  /** The version of the state that the page shows a part of. */
  readonly version: number;
  /** Token for the next page, if there is one. */
  readonly continuation?: string;
  /** How many objects come after this page; unknown when selectors are used. */
  readonly remaining?: number;
}

/** A place in a list: behind `after`, in the state at `version`; −1 stands for the present state. */
interface Position {
  readonly version: number;
  readonly after: string;
}

const tokenVersion = "meta.k8s.io/v1";

/**
 * The page that a query asks for. The version that the query names must have been reached.
 *
 * @throws ApiError 400 for a foreign token, 410 when the state asked for is no longer known
 */
export function selectPage(store: Store, resource: Resource, selection: Selection, query: ListQuery): Page {
  const position = query.continuation === "" ? undefined : decodeToken(query.continuation);
  const version = position === undefined ? exactVersion(query) : position.version;
  const at = version === undefined || version < 0 ? store.version : version;
  const state = store.snapshotAt(resource.collection, at);
  if (state === undefined) {
    if (position === undefined) throw tooOldVersion(at, store.log(resource.collection).floor);
    throw expiredToken(position);
  }
  const rest = position === undefined ? state : state.slice(firstBehind(state, position.after));
  const matching = rest.filter((object) => selects(selection, object));
  // The real server answers version "0" from its cache, which does not page.
  const limit = query.version === 0 && position === undefined ? 0 : query.limit;
  if (limit === 0 || matching.length <= limit) return { objects: matching, version: at };
  const objects = matching.slice(0, limit);
  const continuation = encodeToken({ version: at, after: objects.at(-1)?.key ?? "" });
  const page = { objects, version: at, continuation };
  return hasSelector(selection) ? page : { ...page, remaining: matching.length - limit };
}

/** The failure of a page whose state is gone; the token in it continues at the same place in the present state. */
export function expiredContinuation(token: string): Error {
  return expiredToken(decodeToken(token));
}

function expiredToken(position: Position): Error {
  const message =
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
  return expired(message, encodeToken({ version: -1, after: position.after }));
}

function exactVersion(query: ListQuery): number | undefined {
  return query.match === "Exact" ? query.version : undefined;
}

/** Index of the first object whose key comes after a key. */
function firstBehind(state: readonly StoredObject[], key: string): number {
  let low = 0;
  let high = state.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((state[middle]?.key ?? "") > key) high = middle;
    else low = middle + 1;
  }
  return low;
}

function encodeToken({ version, after }: Position): string {
  const token = { v: tokenVersion, rv: version, start: `${after}\u0000` };
  return Buffer.from(JSON.stringify(token)).toString("base64url");
}

function decodeToken(text: string): Position {
  const token = readJson(Buffer.from(text, "base64url").toString());
  const { v, rv, start } = (token ?? {}) as { v?: unknown; rv?: unknown; start?: unknown };
  if (
    v !== tokenVersion ||
    typeof rv !== "number" ||
    typeof start !== "string" ||
    !start.endsWith("\u0000")
  ) {
    throw badRequest("continue key is not valid: the token was not issued by this server");
  }
  return { version: rv, after: start.slice(0, -1) };
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
