/**
 * Profiles of this process, in V8's own formats: Chrome's developer tools open them.
 *
 * This file is an edge: it looks into the running program.
 *
 * @module
 */
import { Session } from "node:inspector/promises";
import { getHeapSnapshot } from "node:v8";

/** Takes profiles. */
export interface Profiler {
  /** What the program computes while `wait` waits, as text for a file `*.cpuprofile`. */
  cpu(wait: () => Promise<void>): Promise<string>;
  /** What is in memory now, for a file `*.heapsnapshot`. The program does nothing else until the first bytes are there. */
  heap(): AsyncIterable<Uint8Array>;
}

/** Of this process. */
export const ownProfiler: Profiler = {
  cpu: async (wait) => {
    const session = new Session();
    session.connect();
    try {
      await session.post("Profiler.enable");
      await session.post("Profiler.start");
      await wait();
      const { profile } = await session.post("Profiler.stop");
      return JSON.stringify(profile);
    } finally {
      session.disconnect();
    }
  },
  heap: () => getHeapSnapshot(),
};
