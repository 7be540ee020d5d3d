/**
 * Fault injection: what a test uses to make the server behave badly.
 *
 * Two ways. Rules wait for requests and change how those are answered. Commands act at once on the listening
 * socket, on the open watches, or on the store's history.
 *
 * @module
 */
import type { Clock } from "../clock.ts";
import type { LoggedRequest } from "../http/request-log.ts";
import { matchesRequest } from "../http/request-log.ts";
import type { CollectionName } from "../kinds/resources.ts";
import type { Store } from "../storage/store.ts";
import type { FaultAction, FaultRule } from "./fault-action.ts";

/** A rule in effect. */
export interface ActiveFault {
  readonly rule: FaultRule;
  /** Requests it has hit. */
  readonly hits: number;
  /** Takes the rule out; harmless when it has run out. */
  remove(): void;
}

/** A running watch as the faults see it. */
export interface FaultyStream {
  readonly collection: CollectionName;
  /** Ends it cleanly. */
  end(): void;
  /** Closes its connection in the middle of a line. */
  cut(): void;
}

/** What the commands act on. */
export interface FaultTargets {
  readonly store: Store;
  readonly clock: Clock;
  readonly streams: () => readonly FaultyStream[];
  /** Closes the listening socket and all connections. */
  readonly stopListening: () => Promise<void>;
  /** Opens the listening socket again, at the same address. */
  readonly startListening: () => Promise<void>;
}

interface RuleState {
  readonly rule: FaultRule;
  seen: number;
  hits: number;
}

/** The faults of one server. */
export class Faults {
  readonly #targets: FaultTargets;
  readonly #rules = new Set<RuleState>();

  constructor(targets: FaultTargets) {
    this.#targets = targets;
  }

  /** Puts a rule into effect. Rules apply in the order in which they were added; several may hit one request. */
  add(rule: FaultRule): ActiveFault {
    const state: RuleState = { rule, seen: 0, hits: 0 };
    this.#rules.add(state);
    const rules = this.#rules;
    return {
      rule,
      get hits() {
        return state.hits;
      },
      remove() {
        rules.delete(state);
      },
    };
  }

  /** Takes out all rules. */
  clear(): void {
    this.#rules.clear();
  }

  /** The rules in effect, those that have run out included, with the number of requests they hit. */
  active(): readonly { readonly rule: FaultRule; readonly hits: number }[] {
    return [...this.#rules].map(({ rule, hits }) => ({ rule, hits }));
  }

  /** What a request is to meet; counts it. For the server. */
  take(request: LoggedRequest): readonly FaultAction[] {
    const actions: FaultAction[] = [];
    for (const state of this.#rules) {
      const { match = {}, skip = 0, times = 1, action } = state.rule;
      if (!matchesRequest(match, request)) continue;
      state.seen++;
      if (state.seen <= skip || (times !== "always" && state.hits >= times)) continue;
      state.hits++;
      actions.push(action);
    }
    return actions;
  }

  /** Ends open watches cleanly, of one collection or all. */
  endStreams(collection?: CollectionName): void {
    for (const stream of this.#streams(collection)) stream.end();
  }

  /** Closes the connections of open watches in the middle of a line, of one collection or all. */
  cutStreams(collection?: CollectionName): void {
    for (const stream of this.#streams(collection)) stream.cut();
  }

  /** Forgets the history up to a version, or all of it: whoever has read less must start over. */
  compact(version?: number): void {
    this.#targets.store.compact(version);
  }

  /**
   * Restores the backup of an earlier version: later writes are undone, the counter goes back, watches are cut.
   *
   * @throws RangeError when the history does not reach back that far
   */
  rewind(version: number): void {
    this.#targets.store.rewind(version);
  }

  /** Closes all connections and refuses new ones until {@link acceptConnections}, or for a time. */
  async refuseConnections(milliseconds?: number): Promise<void> {
    if (milliseconds !== undefined) {
      this.#targets.clock.after(milliseconds, () => {
        void this.acceptConnections();
      });
    }
    await this.#targets.stopListening();
  }

  /** Ends {@link refuseConnections}. */
  acceptConnections(): Promise<void> {
    return this.#targets.startListening();
  }

  #streams(collection: CollectionName | undefined): readonly FaultyStream[] {
    return this.#targets
      .streams()
      .filter((stream) => collection === undefined || stream.collection === collection);
  }
}
