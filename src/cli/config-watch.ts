/**
 * Follows the configuration file: a program that runs keeps its settings, so a new file is a reason to start anew.
 *
 * The file is looked at every few seconds, whichever way it is replaced: kubelet swaps a link, editors write in place or
 * rename. It counts once it has been the same twice. A file that is away, or wrong, changes nothing.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import type { ProxyConfig } from "../config/proxy-config.ts";
import type { Clock } from "../kube/clock.ts";
import { sleep } from "../proxier/clock.ts";

/** Time between two looks, in milliseconds. */
const lookMs = 2_000;

/** What is followed. */
export interface ConfigWatchOptions {
  readonly current: ProxyConfig;
  /** Rejects when the file cannot be read. */
  readonly read: () => Promise<Uint8Array>;
  /** @throws Error that says what is wrong with the file */
  readonly decode: (bytes: Uint8Array) => ProxyConfig;
  /** The file is wrong; told once for each content. */
  readonly onRefused: (reason: string) => void;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Waits until the file holds other settings. @returns false when the signal ended the waiting */
export async function configChanged(options: ConfigWatchOptions): Promise<boolean> {
  const { read, clock, signal } = options;
  let judged = await read().catch(() => undefined);
  let before = judged;
  while (!signal.aborted) {
    await sleep(clock, lookMs, signal);
    const bytes = signal.aborted ? undefined : await read().catch(() => undefined);
    const isSettled = bytes !== undefined && isDeepStrictEqual(bytes, before);
    before = bytes;
    if (isSettled && !isDeepStrictEqual(bytes, judged)) {
      judged = bytes;
      if (isChange(options, bytes)) {
        return true;
      }
    }
  }
  return false;
}

function isChange({ current, decode, onRefused }: ConfigWatchOptions, bytes: Uint8Array): boolean {
  try {
    return !isDeepStrictEqual(decode(bytes), current);
  } catch (error) {
    onRefused(error instanceof Error ? error.message : String(error));
    return false;
  }
}
