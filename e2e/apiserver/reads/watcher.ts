/**
 * One watch: from the state at its start to the present, change by change, for as long as the client keeps up.
 *
 * A watcher owns no queue. It holds its place in the collection's history and reads on from there whenever its sink
 * takes more, so that a change waits for a slow reader once, in the history, and not once for each of them. The
 * queue is bounded all the same: a watcher that falls too many changes behind, or behind the history itself, is
 * ended, and writers never wait.
 *
 * A commit reaches the sink within the write itself: no timer and no batching lies between.
 *
 * @module
 */
import type { CancelTimer, Clock } from "../clock.ts";
import type { Resource } from "../kinds/resources.ts";
import type { ChangeLog } from "../storage/change-log.ts";
import type { Store } from "../storage/store.ts";
import type { StoredObject } from "../storage/stored-object.ts";
import type { ObjectFormat } from "./object-format.ts";
import type { Selection } from "./selection.ts";
import { seenChange } from "./selection.ts";

/** Where a watcher writes its lines. */
export interface LineSink {
  /** False while the reader is behind; {@link Watcher.resume} is called when that is over. */
  readonly ready: boolean;
  /** Takes one line, newline included, also when not ready. */
  write(line: Buffer): void;
  /** Ends the stream cleanly. */
  end(): void;
}

/** What is to be watched, from where on. */
export interface WatchPlan {
  readonly resource: Resource;
  readonly selection: Selection;
  readonly format: ObjectFormat;
  /** Objects to send as ADDED before any change. */
  readonly initial: readonly StoredObject[];
  /** Changes above this version are sent. */
  readonly after: number;
  /** Mark the end of the initial objects by a bookmark. */
  readonly endBookmark: boolean;
  /** Send bookmarks now and then. */
  readonly bookmarks: boolean;
  readonly timeoutMilliseconds: number;
}

/** How watchers of one server behave. */
export interface WatcherLimits {
  /** Changes that a reader may be behind. */
  readonly maxPending: number;
  readonly bookmarkMilliseconds: number;
}

/** The last bookmark comes this long before the timeout, so that the next watch starts from a fresh version. */
const lastBookmarkMilliseconds = 2_000;

/** A running watch. */
export class Watcher {
  readonly #store: Store;
  readonly #log: ChangeLog;
  readonly #plan: WatchPlan;
  readonly #limits: WatcherLimits;
  readonly #sink: LineSink;
  readonly #timers = new Set<CancelTimer>();
  readonly #unsubscribe: () => void;
  #initial: Iterator<StoredObject> | undefined;
  /** Sequence number of the next change to look at. */
  #position: number;
  /** Changes before this one happened before the watch began: reading them is catching up, not falling behind. */
  readonly #backlogEnd: number;
  #stopped = false;

  /** Starts the watch; the first lines are written at once. */
  constructor(store: Store, plan: WatchPlan, limits: WatcherLimits, sink: LineSink, clock: Clock) {
    this.#store = store;
    this.#log = store.log(plan.resource.collection);
    this.#plan = plan;
    this.#limits = limits;
    this.#sink = sink;
    this.#initial = plan.initial[Symbol.iterator]();
    this.#position = this.#log.after(plan.after);
    this.#backlogEnd = this.#log.end;
    this.#unsubscribe = store.subscribe({
      changed: (collection) => {
        if (collection === plan.resource.collection) this.resume();
      },
    });
    this.#startTimers(clock);
    this.resume();
  }

  /** Sends what can be sent; to be called when the sink is ready again. */
  resume(): void {
    if (this.#stopped) return;
    this.#pump();
    const oldestOwed = Math.max(this.#position, this.#backlogEnd);
    const tooFarBehind = this.#log.end - oldestOwed > this.#limits.maxPending;
    if (tooFarBehind || this.#position < this.#log.first) this.finish();
  }

  /** Ends the stream cleanly and stops. */
  finish(): void {
    if (this.#stopped) return;
    this.stop();
    this.#sink.end();
  }

  /** Stops without a word: the client is gone. */
  stop(): void {
    this.#stopped = true;
    this.#unsubscribe();
    for (const cancel of this.#timers) cancel();
  }

  #pump(): void {
    while (this.#sink.ready && !this.#stopped) {
      if (this.#initial !== undefined) this.#sendInitial(this.#initial);
      else if (!this.#sendChange()) return;
    }
  }

  #sendInitial(objects: Iterator<StoredObject>): void {
    const next = objects.next();
    if (next.done !== true) {
      this.#sink.write(this.#plan.format.event({ type: "ADDED", object: next.value }));
      return;
    }
    this.#initial = undefined;
    if (this.#plan.endBookmark) this.#sink.write(this.#plan.format.bookmark(this.#plan.after, true));
  }

  /** Looks at the next change; false when there is none. */
  #sendChange(): boolean {
    const change = this.#log.at(this.#position);
    if (change === undefined) return false;
    this.#position++;
    const { resource, selection, format } = this.#plan;
    // A watch may start at a version that is still to come; changes up to it are not its business.
    const seen = change.version > this.#plan.after ? seenChange(resource, selection, change) : undefined;
    if (seen !== undefined) this.#sink.write(format.event(seen));
    return true;
  }

  #startTimers(clock: Clock): void {
    const { bookmarks, timeoutMilliseconds } = this.#plan;
    this.#timers.add(clock.after(timeoutMilliseconds, () => this.finish()));
    if (!bookmarks) return;
    const last = timeoutMilliseconds - lastBookmarkMilliseconds;
    if (last > 0) this.#timers.add(clock.after(last, () => this.#sendBookmark()));
    this.#scheduleBookmark(clock);
  }

  #scheduleBookmark(clock: Clock): void {
    const cancel = clock.after(this.#limits.bookmarkMilliseconds, () => {
      this.#timers.delete(cancel);
      this.#sendBookmark();
      if (!this.#stopped) this.#scheduleBookmark(clock);
    });
    this.#timers.add(cancel);
  }

  /** A bookmark says that everything up to its version was sent, so there is none while something is pending. */
  #sendBookmark(): void {
    const current = this.#initial === undefined && this.#position === this.#log.end && this.#sink.ready;
    if (!current || this.#store.version < this.#plan.after) return;
    this.#sink.write(this.#plan.format.bookmark(this.#store.version, false));
  }
}
