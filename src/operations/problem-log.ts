/**
 * Remembers which problems have been reported, so that each one is told once while it lasts, and again when it comes
 * back after it was gone.
 *
 * Reporters are whoever looks at objects: the planners of both families see the same Service and find the same fault
 * in it, which is one problem to the reader of the log.
 *
 * Pure. A problem is the same when kind, object, field and message are.
 *
 * Invariants
 * - Memory is bounded: at most `maxReporters` reporters with at most `maxPerReporter` problems each are remembered.
 *   What exceeds that is only counted: a log full of faults of one kind helps nobody.
 *
 * @module
 */
import type { Problem } from "../proxier/objects.ts";

/** What to tell after an update. */
export interface ProblemNews {
  /** Problems that nobody had until now, in the order given. */
  readonly appeared: readonly Problem[];
  /** Problems that nobody has any more. */
  readonly cleared: readonly Problem[];
  /** How many of the reporter's problems are neither told nor remembered. */
  readonly untold: number;
}

interface Entry {
  readonly problem: Problem;
  reporters: number;
}

/** The problems that last. */
export class ProblemLog {
  readonly #maxReporters: number;
  readonly #maxPerReporter: number;
  readonly #entries = new Map<string, Entry>();
  readonly #byReporter = new Map<string, ReadonlySet<string>>();

  constructor(maxReporters = 10_000, maxPerReporter = 20) {
    this.#maxReporters = maxReporters;
    this.#maxPerReporter = maxPerReporter;
  }

  /** Number of remembered problems. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Replaces what a reporter said before. `reporter` names the source and the object that it looked at, e.g.
   * `IPv4 default/web`; an empty list means that all is well there.
   */
  update(reporter: string, problems: readonly Problem[]): ProblemNews {
    const before = this.#byReporter.get(reporter) ?? new Set();
    const distinct = new Map(problems.map((problem) => [identityOf(problem), problem]));
    const room = this.#byReporter.has(reporter) || this.#byReporter.size < this.#maxReporters;
    const after = new Map([...distinct].slice(0, room ? this.#maxPerReporter : 0));
    const appeared: Problem[] = [];
    for (const [identity, problem] of after) {
      if (!before.has(identity) && this.#add(identity, problem)) {
        appeared.push(problem);
      }
    }
    const cleared = [...before].flatMap((identity) => (after.has(identity) ? [] : this.#drop(identity)));
    if (after.size === 0) {
      this.#byReporter.delete(reporter);
    } else {
      this.#byReporter.set(reporter, new Set(after.keys()));
    }
    return { appeared, cleared, untold: distinct.size - after.size };
  }

  /** @returns whether nobody had it before */
  #add(identity: string, problem: Problem): boolean {
    const entry = this.#entries.get(identity);
    if (entry !== undefined) {
      entry.reporters++;
      return false;
    }
    this.#entries.set(identity, { problem, reporters: 1 });
    return true;
  }

  /** @returns the problem when the last reporter let go of it */
  #drop(identity: string): Problem[] {
    const entry = this.#entries.get(identity);
    if (entry === undefined || --entry.reporters > 0) {
      return [];
    }
    this.#entries.delete(identity);
    return [entry.problem];
  }
}

function identityOf({ kind, object, field, message }: Problem): string {
  return JSON.stringify([kind, object, field, message]);
}
