/**
 * Follows the configuration file.
 *
 * It is looked at when something happens in its folder, and every few seconds in any case, whichever way it is replaced:
 * kubelet swaps a link, editors write in place or rename. It counts once it has been the same twice. A file that is away,
 * or wrong, changes nothing.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import type { ConfigWarning } from "../config/config-warning.ts";
import type { LoadedConfig } from "../config/load-config.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import type { Clock } from "../kube/clock.ts";
import { sleep } from "../proxier/clock.ts";

/** Time between two looks when nobody says that something happened, in milliseconds. */
const lookMs = 2_000;

/** Time in which a file that has changed must not change again. */
const settleMs = 200;

/** What is followed. */
export interface ConfigWatchOptions {
  /** What was read of it at the start, and what is odd about it, which has been told. */
  readonly current: LoadedConfig;
  /** Rejects when the file cannot be read. */
  readonly read: () => Promise<Uint8Array>;
  /** @throws Error that says what is wrong with the file */
  readonly decode: (bytes: Uint8Array) => LoadedConfig;
  /** The file holds other settings. */
  readonly onChange: (config: ProxyConfig) => void;
  /** What is odd about the file and was not odd about the one before. */
  readonly onWarnings: (warnings: readonly ConfigWarning[]) => void;
  /** The file is wrong; told once for each content. */
  readonly onRefused: (reason: string) => void;
  /** The file cannot be read any more; told once until it can. */
  readonly onAway: (reason: string) => void;
  /** Waits so long, or until something happened in the file's folder. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly clock: Pick<Clock, "after">;
  readonly signal: AbortSignal;
}

/** Tells of every change until the signal aborts. */
export async function followConfig(options: ConfigWatchOptions): Promise<void> {
  const { wait, clock, signal, onChange, onWarnings, onRefused } = options;
  let { config: accepted, warnings: told } = options.current;
  let judged: Uint8Array | undefined;
  let isAway = false;
  while (!signal.aborted) {
    const bytes = await readOr(options, (reason) => {
      if (!isAway) {
        options.onAway(reason);
      }
      return undefined;
    });
    isAway = bytes === undefined;
    if (bytes !== undefined && !isDeepStrictEqual(bytes, judged)) {
      await sleep(clock, settleMs, signal);
      if (!signal.aborted && isDeepStrictEqual(bytes, await readOr(options, () => undefined))) {
        judged = bytes;
        const loaded = judge(options, bytes, onRefused);
        if (loaded !== undefined) {
          const news = loaded.warnings.filter((one) => !told.some((other) => isDeepStrictEqual(one, other)));
          told = loaded.warnings;
          if (news.length > 0) {
            onWarnings(news);
          }
          if (!isDeepStrictEqual(loaded.config, accepted)) {
            accepted = loaded.config;
            onChange(loaded.config);
          }
        }
      }
      // One that is being written is looked at again soon.
      continue;
    }
    await wait(lookMs, signal);
  }
}

async function readOr(
  { read }: ConfigWatchOptions,
  otherwise: (reason: string) => undefined,
): Promise<Uint8Array | undefined> {
  try {
    const bytes = await read();
    // Whoever writes in place empties it first.
    return bytes.length === 0 ? otherwise("the file is empty") : bytes;
  } catch (error) {
    return otherwise(error instanceof Error ? error.message : String(error));
  }
}

function judge(
  { decode }: ConfigWatchOptions,
  bytes: Uint8Array,
  onRefused: (reason: string) => void,
): LoadedConfig | undefined {
  try {
    return decode(bytes);
  } catch (error) {
    onRefused(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}
