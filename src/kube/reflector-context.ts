/**
 * What the parts of a reflector share.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import type { Intake } from "./intake.ts";
import type { Replacement } from "./object-store.ts";
import type { Outcome } from "./reflector-state.ts";
import type { Transport } from "./transport.ts";
import type { WatchedResource } from "./watched-resource.ts";

/** What the parts of a reflector work with. */
export interface ReflectorContext {
  readonly resource: WatchedResource;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly intake: Intake;
  /** The server gave a sign of life. */
  sign(): void;
  /** Why a complete new state should not be taken over; undefined when it may. */
  doubt(replacement: Replacement): Outcome | undefined;
}

/** Longest wait for the headers of a response, and for the next bytes of an initial state, in milliseconds. */
export const answerMs = 60_000;
