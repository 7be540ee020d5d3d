/**
 * Follows one collection of the API and delivers its changes.
 *
 * What to ask next is decided in `reflector-state.ts`; here is how: requests, streams, liveness, pauses.
 *
 * Invariants
 * - Objects are stripped as they arrive, line by line and item by item: neither a list nor a watch is ever held as a
 *   whole.
 * - The initial state is gathered beside the store and takes its place only when it is complete.
 * - Delivery is in order, one call at a time, and a handler that throws changes nothing here.
 *
 * @module
 */

import { sleep } from "../proxier/clock.ts";
import { Backoff } from "./backoff.ts";
import type { Clock, Random } from "./clock.ts";
import { followWatch, type WatchListener } from "./follow-watch.ts";
import { Intake } from "./intake.ts";
import type { Replacement } from "./object-store.ts";
import { readList } from "./read-list.ts";
import type { ReflectorContext } from "./reflector-context.ts";
import { watchDuration, watchRequest } from "./reflector-request.ts";
import {
  afterEvent,
  afterInitial,
  type Decision,
  decide,
  describeOutcome,
  initialState,
  type Outcome,
  type ReflectorState,
} from "./reflector-state.ts";
import { guardHandler, type ObjectKind, type SourceHandler } from "./source.ts";
import { StringPool } from "./string-pool.ts";
import type { Transport } from "./transport.ts";
import type { WatchedResource } from "./watched-resource.ts";

/** From this number of objects on the sudden loss of more than half has to be seen twice. */
const doubtfulSize = 20;

/** What a reflector works with. */
export interface ReflectorOptions {
  readonly resource: WatchedResource;
  readonly transport: Transport;
  readonly handler: SourceHandler;
  readonly clock: Clock;
  readonly random: Random;
  /** Shared between reflectors: a Service's name stands in its slices too. */
  readonly pool?: StringPool;
  /**
   * Whether the loss of more than half of all objects at once must be confirmed by a second look at the most recent
   * state: an API server restored from an old backup would otherwise take the cluster's traffic down. Default true.
   */
  readonly confirmLosses?: boolean;
}

/** How a reflector is doing, for metrics. */
export interface ReflectorStatus {
  readonly kind: ObjectKind;
  /** Whether a watch is open. */
  readonly connected: boolean;
  /** When something last came from the server, on the injected clock; undefined before the first time. */
  readonly lastSignMs: number | undefined;
  /** Number of objects that the consumer has. */
  readonly objects: number;
  /** How often the initial state had to be fetched anew, by reason. */
  readonly relists: ReadonlyMap<string, number>;
}

/** Follows one collection until it is told to stop. */
export class Reflector {
  readonly #context: ReflectorContext;
  readonly #handler: SourceHandler;
  readonly #random: Random;
  readonly #backoff: Backoff;
  readonly #confirmLosses: boolean;
  readonly #relists = new Map<string, number>();
  #state: ReflectorState = initialState;
  #connected = false;
  #lastSignMs: number | undefined;
  /** The server has sent a bookmark: it will go on sending them. */
  #bookmarks = false;

  constructor(options: ReflectorOptions) {
    const { resource, transport, clock } = options;
    this.#handler = guardHandler(options.handler);
    this.#random = options.random;
    this.#backoff = new Backoff(options.random);
    this.#confirmLosses = options.confirmLosses ?? true;
    this.#context = {
      resource,
      transport,
      clock,
      intake: new Intake(resource.kind, this.#handler, clock, options.pool ?? new StringPool()),
      sign: () => {
        this.#lastSignMs = clock.now();
      },
      doubt: (replacement) => this.#doubt(replacement),
    };
  }

  /** How the reflector is doing. */
  status(): ReflectorStatus {
    return {
      kind: this.#context.resource.kind,
      connected: this.#connected,
      lastSignMs: this.#lastSignMs,
      objects: this.#context.intake.size,
      relists: new Map(this.#relists),
    };
  }

  /** Follows the collection until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const outcome =
        this.#state.step === "list"
          ? await readList(this.#context, this.#state, signal)
          : await this.#watch(signal);
      this.#connected = false;
      if (!signal.aborted) {
        await this.#proceed(outcome, signal);
      }
    }
  }

  async #watch(signal: AbortSignal): Promise<Outcome> {
    const seconds = watchDuration(this.#random());
    const task = {
      request: watchRequest(this.#context.resource, this.#state, seconds),
      gathers: this.#state.step === "watch-list",
      trustVersions: !this.#state.versionUnusable,
      bookmarks: this.#bookmarks,
      version: this.#state.lastVersion,
      seconds,
    };
    return await followWatch(this.#context, task, this.#listener, signal);
  }

  readonly #listener: WatchListener = {
    opened: () => {
      this.#connected = true;
    },
    initial: (version) => {
      this.#state = afterInitial(this.#state, version);
    },
    reached: (version) => {
      this.#state = afterEvent(this.#state, version);
    },
    bookmark: () => {
      this.#bookmarks = true;
    },
  };

  /** Books the outcome of a request and waits before the next one as long as it calls for. */
  async #proceed(outcome: Outcome, signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    const now = clock.now();
    const decision = decide(this.#state, outcome, now);
    const pauseMs = decision.backOff ? Math.max(this.#backoff.next(now), decision.retryAfterMs) : 0;
    this.#report(outcome, decision, pauseMs);
    this.#state = decision.state;
    if (decision.relist !== undefined) {
      this.#relists.set(decision.relist, (this.#relists.get(decision.relist) ?? 0) + 1);
    }
    if (pauseMs > 0) {
      await sleep(clock, pauseMs, signal);
    }
  }

  #report(outcome: Outcome, decision: Decision, pauseMs: number): void {
    const level = outcome.kind === "doubtful" ? "error" : decision.backOff ? "warn" : "debug";
    this.#handler.log(level, "API request ended", {
      kind: this.#context.resource.kind,
      request: this.#state.step,
      outcome: describeOutcome(outcome),
      next: decision.state.step,
      pauseMs: Math.round(pauseMs),
    });
  }

  #doubt(replacement: Replacement): Outcome | undefined {
    const { size } = this.#context.intake;
    if (!this.#confirmLosses || this.#state.confirming || size < doubtfulSize) {
      return undefined;
    }
    const lost = replacement.lost();
    return lost * 2 > size ? { kind: "doubtful", lost } : undefined;
  }
}
