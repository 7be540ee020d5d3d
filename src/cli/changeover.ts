/**
 * Changeover: one configuration takes the place of another on a running node, make before break.
 *
 *     open ── prepare ── hold ── commit ──▶ the new one serves
 *       └────────┴─────────┴────────┴─────▶ the old one serves on
 *
 * The old one goes on syncing until the new one has done all that it can beside it. Then the old one is held, the new one
 * does the rest in one sync, and only when every family is served is the old one ended. Until then every failure, and every
 * call to stop, leads back: the new one is ended, and the old one looks at everything again, because some of it may have
 * been overwritten.
 *
 * Pure.
 *
 * @module
 */
import { errorText } from "../operations/logger.ts";

/** What can take over from another of its kind. */
export interface Replaceable {
  /** What kind it is. One of the same kind cannot be prepared: it would write over what serves. */
  readonly mode: string;
  /** Services that are left out now. */
  readonly leftOut: ReadonlySet<string>;
  /** Does what decides about no packet yet. @throws when a Service that the old one serves cannot be served */
  prepare(old: this): Promise<void>;
  /** Takes over which client goes to which endpoint, as far as that is possible. Never fails. */
  remember(old: this): Promise<void>;
  /** Syncs for the first time. @throws as {@link prepare}, or when a family cannot be synced */
  commit(old: this): Promise<void>;
  /** Lets running syncs end and starts no other. */
  hold(): Promise<void>;
  /** Goes on, and looks at everything. Resolves when that is done. */
  release(): Promise<void>;
  /** Ends it; the kernel keeps what it has. */
  stop(): Promise<void>;
  /** Ends it, and sets back what holds for the host as a whole: it does not come to serve. */
  abandon(): Promise<void>;
}

/** How far a changeover came. */
export type ChangeoverStep = "open" | "prepare" | "hold" | "commit";

/** What came of it. */
export type ChangeoverOutcome<S> =
  | { readonly kind: "changed"; readonly serving: S }
  | { readonly kind: "failed"; readonly step: ChangeoverStep; readonly error: unknown }
  | { readonly kind: "called-off"; readonly step: ChangeoverStep };

/**
 * Has what `open` gives take over from `old`.
 *
 * @param open opens the new one; that decides about no packet yet
 * @param signal calls it off, unless the commit has begun
 */
export async function changeOver<S extends Replaceable>(
  old: S,
  open: () => Promise<S>,
  signal: AbortSignal,
): Promise<ChangeoverOutcome<S>> {
  let step: ChangeoverStep = "open";
  let next: S | undefined;
  let isHeld = false;
  try {
    signal.throwIfAborted();
    next = await open();
    signal.throwIfAborted();
    step = "prepare";
    if (next.mode !== old.mode) {
      await next.prepare(old);
    }
    signal.throwIfAborted();
    step = "hold";
    isHeld = true;
    await old.hold();
    signal.throwIfAborted();
    if (next.mode !== old.mode) {
      await next.remember(old);
    }
    step = "commit";
    await next.commit(old);
  } catch (error) {
    await next?.abandon();
    if (isHeld) {
      await old.release();
    }
    return signal.aborted && step !== "commit"
      ? { kind: "called-off", step }
      : { kind: "failed", step, error };
  }
  await old.stop();
  return { kind: "changed", serving: next };
}

/** One line on a failed changeover. */
export function failureText(step: ChangeoverStep, error: unknown): string {
  const what: Readonly<Record<ChangeoverStep, string>> = {
    open: "it cannot be opened",
    prepare: "it cannot be prepared",
    hold: "the present one cannot be held",
    commit: "it cannot be put into effect",
  };
  return `${what[step]}: ${errorText(error)}`;
}
