/**
 * The parts of a server that request handlers work with.
 *
 * @module
 */
import type { Clock } from "../clock.ts";
import type { FaultyStream } from "../faults/faults.ts";
import type { WatcherLimits } from "../reads/watcher.ts";
import type { Registry } from "../storage/registry.ts";
import type { Store } from "../storage/store.ts";

/** Shared by all requests of one server. */
export interface ApiContext {
  readonly store: Store;
  readonly registry: Registry;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly limits: WatcherLimits;
  /** The open watches; each takes itself out when it ends. */
  readonly streams: Set<FaultyStream>;
}
