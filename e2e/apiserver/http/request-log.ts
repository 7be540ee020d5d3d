/**
 * What clients asked, in order: how a test finds out that an informer did not list again.
 *
 * @module
 */
import type { CollectionName } from "../kinds/resources.ts";
import type { Verb } from "./route.ts";

/** One request for a resource. */
export interface LoggedRequest {
  /** Milliseconds since the epoch, by the server's clock. */
  readonly time: number;
  readonly method: string;
  readonly path: string;
  readonly verb: Verb;
  readonly resource: CollectionName;
  /** Query parameters; the last one of a name counts. */
  readonly query: Readonly<Record<string, string>>;
}

/** Which requests; absent members match everything. */
export interface RequestMatch {
  readonly verb?: Verb | readonly Verb[];
  readonly resource?: CollectionName;
  /** Parameters that must have these values; `"*"` asks only that the parameter is there. */
  readonly query?: Readonly<Record<string, string>>;
}

/** Whether a request is one of those meant. */
export function matchesRequest(
  match: RequestMatch,
  request: Pick<LoggedRequest, "verb" | "resource" | "query">,
): boolean {
  if (match.verb !== undefined && ![match.verb].flat().includes(request.verb)) return false;
  if (match.resource !== undefined && match.resource !== request.resource) return false;
  return Object.entries(match.query ?? {}).every(([name, value]) => {
    const found = request.query[name];
    return value === "*" ? found !== undefined : found === value;
  });
}

interface Waiter {
  readonly match: RequestMatch;
  readonly count: number;
  readonly resolve: (requests: readonly LoggedRequest[]) => void;
}

/** The requests since the start or the last {@link RequestLog.clear}. */
export class RequestLog {
  readonly #limit: number;
  #requests: LoggedRequest[] = [];
  readonly #waiters = new Set<Waiter>();

  /** @param limit requests to remember; the oldest half is dropped beyond it */
  constructor(limit = 20_000) {
    this.#limit = limit;
  }

  /** Those that match, oldest first. */
  matching(match: RequestMatch = {}): readonly LoggedRequest[] {
    return this.#requests.filter((request) => matchesRequest(match, request));
  }

  /** Resolves as soon as at least `count` matching requests have arrived, those of the past included. */
  waitFor(match: RequestMatch, count = 1): Promise<readonly LoggedRequest[]> {
    const found = this.matching(match);
    if (found.length >= count) return Promise.resolve(found);
    return new Promise((resolve) => this.#waiters.add({ match, count, resolve }));
  }

  /** Forgets all requests. */
  clear(): void {
    this.#requests = [];
  }

  /** Adds a request; for the server. */
  add(request: LoggedRequest): void {
    this.#requests.push(request);
    if (this.#requests.length > this.#limit) this.#requests = this.#requests.slice(this.#limit >>> 1);
    for (const waiter of this.#waiters) {
      if (!matchesRequest(waiter.match, request)) continue;
      const found = this.matching(waiter.match);
      if (found.length < waiter.count) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(found);
    }
  }
}
