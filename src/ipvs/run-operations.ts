/**
 * Runs operations: many to a datagram, in order, each with an outcome of its own.
 *
 * @module
 */
import type { NetlinkConnection, NetlinkOutcome } from "../netlink/connection.ts";
import type { KernelError } from "../netlink/kernel-error.ts";
import type { Door, Operation } from "./operations.ts";
import { turnOfEventLoop } from "./turns.ts";

/** The ways to the kernel. */
export type Doors = Readonly<Record<Door, Pick<NetlinkConnection, "transact">>>;

/** An operation that the kernel did not carry out, or nobody knows. */
export interface Failure {
  readonly operation: Operation;
  readonly error: KernelError;
}

/** What was done. */
export interface RunCounts {
  written: number;
  removed: number;
  repaired: number;
  bytes: number;
}

/** Operations between two turns of the event loop: a few milliseconds of work. */
const operationsPerTurn = 800;

/**
 * Runs operations in their order. One that fails does not stop those behind it.
 *
 * @param operations taken a few hundred at a time, so that they need not exist all at once
 * @param counts added to
 * @returns those that failed
 */
export async function runOperations(
  operations: Iterable<Operation>,
  doors: Doors,
  counts: RunCounts,
): Promise<readonly Failure[]> {
  const failures: Failure[] = [];
  let batch: Operation[] = [];
  const flush = (): void => {
    const [first] = batch;
    if (first !== undefined) {
      const outcomes = doors[first.door].transact(batch.map(({ request }) => request));
      take(batch, outcomes, counts, failures);
    }
    batch = [];
  };
  let turn = 0;
  for (const operation of operations) {
    const [first] = batch;
    if (first !== undefined && first.door !== operation.door) {
      flush();
    }
    batch.push(operation);
    turn += 1;
    if (batch.length >= operationsPerTurn) {
      flush();
    }
    if (turn >= operationsPerTurn) {
      turn = 0;
      await turnOfEventLoop();
    }
  }
  flush();
  return failures;
}

function take(
  operations: readonly Operation[],
  outcomes: readonly NetlinkOutcome[],
  counts: RunCounts,
  failures: Failure[],
): void {
  for (const [index, operation] of operations.entries()) {
    const error = outcomes[index]?.error;
    counts.bytes += operation.request.payload.length;
    if (error !== undefined && !operation.forgiven.includes(error.code)) {
      failures.push({ operation, error });
      continue;
    }
    operation.done();
    counts[operation.removes ? "removed" : "written"] += 1;
    counts.repaired += operation.repairs ? 1 : 0;
  }
}
