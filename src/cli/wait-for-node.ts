/**
 * Waiting for what a start needs to know about the node.
 *
 * @module
 */
import type { Clock } from "../proxier/clock.ts";
import type { NodeObject } from "../proxier/objects.ts";
import { CommandError } from "./exit.ts";

/** How long to wait for the Node object to have addresses. */
const addressesMs = 30_000;

/** How long to wait for its pod CIDRs, where they are needed. */
const podCIDRsMs = 300_000;

/** Parts of a wait. */
export interface NodeWait {
  readonly nodeName: string;
  /** Whether local pods are recognised by the node's pod CIDRs. */
  readonly needsPodCIDRs: boolean;
  /** Whether more may come: false for a source that has ended. */
  readonly mayChange: boolean;
  readonly current: () => NodeObject | undefined;
  /** Calls back at every change of the Node object until the returned function is called. */
  readonly onChange: (callback: () => void) => () => void;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Resolves when the node is known well enough, or when waiting longer is no use: without addresses the defaults hold.
 *
 * @throws CommandError when pod CIDRs are needed and do not come
 */
export async function waitForNode(wait: NodeWait): Promise<void> {
  const { current, needsPodCIDRs, nodeName, mayChange, signal } = wait;
  await until(wait, () => (current()?.addresses.length ?? 0) > 0, mayChange ? addressesMs : 0);
  if (!needsPodCIDRs) {
    return;
  }
  const hasPodCIDRs = (): boolean => (current()?.podCIDRs.length ?? 0) > 0;
  await until(wait, hasPodCIDRs, mayChange ? podCIDRsMs : 0);
  if (!(signal.aborted || hasPodCIDRs())) {
    throw new CommandError(
      1,
      current() === undefined
        ? `timeout waiting for node ${JSON.stringify(nodeName)} to exist`
        : `timeout waiting for PodCIDR allocation on node ${JSON.stringify(nodeName)}`,
    );
  }
}

function until({ clock, onChange, signal }: NodeWait, holds: () => boolean, limitMs: number): Promise<void> {
  return new Promise((resolve) => {
    if (holds() || limitMs === 0 || signal.aborted) {
      resolve();
      return;
    }
    const end = (): void => {
      cancel();
      forget();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const cancel = clock.after(limitMs, end);
    const forget = onChange(() => {
      if (holds()) {
        end();
      }
    });
    signal.addEventListener("abort", end, { once: true });
  });
}
