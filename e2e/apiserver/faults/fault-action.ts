/**
 * The faults that a request can meet, as data: they travel over the control endpoint as JSON.
 *
 * @module
 */
import type { RequestMatch } from "../http/request-log.ts";

/** What goes wrong. "Events" counts every line of a watch, bookmarks included. */
export type FaultAction =
  /** Answer with a Status instead of doing anything. */
  | {
      readonly kind: "status";
      readonly code: number;
      readonly reason?: string;
      readonly message?: string;
      /** Also sent as the header `Retry-After`. */
      readonly retryAfterSeconds?: number;
    }
  /** Wait before doing anything. */
  | { readonly kind: "delay"; readonly milliseconds: number }
  /** Accept the request and never answer. */
  | { readonly kind: "no-headers" }
  /** Send headers and the first events of a watch, then nothing, and keep the connection open. */
  | { readonly kind: "silence"; readonly afterEvents?: number }
  /** End a watch cleanly. */
  | { readonly kind: "end"; readonly afterEvents: number }
  /** Close the connection in the middle of the next line of a watch, or of the body of any other answer. */
  | { readonly kind: "cut"; readonly afterEvents?: number }
  /** Put a line that is not JSON into a watch; send a body that is not JSON otherwise. */
  | { readonly kind: "malformed"; readonly afterEvents?: number }
  /** Send a few bytes at a time, each piece by a write of its own. */
  | { readonly kind: "drip"; readonly bytesPerWrite: number }
  /** Behave like a server without streaming lists: refuse `sendInitialEvents` (422), or do not know it. */
  | { readonly kind: "old-server"; readonly answer: "reject" | "ignore" }
  /** Send the initial objects of a watch, but never mark their end. */
  | { readonly kind: "no-initial-events-end" }
  /** Send the initial objects of a watch in reverse order. */
  | { readonly kind: "reorder-initial" }
  /** Send each initial object of a watch twice. */
  | { readonly kind: "duplicate-initial" }
  /** Answer a page other than the first with 410 Expired. */
  | { readonly kind: "expire-continue" };

/** Which requests meet a fault, and how often. */
export interface FaultRule {
  readonly action: FaultAction;
  /** Absent: every request for a resource. */
  readonly match?: RequestMatch;
  /** Matching requests to let pass first; 0 by default. */
  readonly skip?: number;
  /** Matching requests to hit after that; 1 by default. */
  readonly times?: number | "always";
}

/** The action of a kind among those that a request meets. */
export function findAction<Kind extends FaultAction["kind"]>(
  actions: readonly FaultAction[],
  kind: Kind,
): Extract<FaultAction, { readonly kind: Kind }> | undefined {
  return actions.find(
    (action): action is Extract<FaultAction, { readonly kind: Kind }> => action.kind === kind,
  );
}
