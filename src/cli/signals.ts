/**
 * The signals that the daemon takes.
 *
 * As the first process of a container it has no default for any of them: what has no handler is ignored by the kernel.
 *
 * @module
 */

/** A process, as far as signals go. */
export interface SignalSource {
  on(signal: "SIGTERM" | "SIGINT" | "SIGHUP", listener: () => void): unknown;
}

/** What signals ask for. */
export interface DaemonSignals {
  /** Aborts at the first SIGTERM or SIGINT. */
  readonly ending: AbortSignal;
  /** Calls this one back at each SIGHUP from now on. Until there is one, SIGHUP means nothing. */
  onHangUp(callback: () => void): void;
}

/** Numbers of signal(7), the same on all architectures that Node runs on. */
const endingSignals = { SIGTERM: 15, SIGINT: 2 } as const;

/**
 * Takes the signals of a process from now on.
 *
 * @param exit ends the process at once: for whoever sends a second one
 */
export function takeSignals(source: SignalSource, exit: (status: number) => void): DaemonSignals {
  const controller = new AbortController();
  let hungUp = (): void => {};
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    source.on(signal, () => {
      if (controller.signal.aborted) {
        exit(128 + endingSignals[signal]);
      }
      controller.abort();
    });
  }
  source.on("SIGHUP", () => hungUp());
  return {
    ending: controller.signal,
    onHangUp: (callback) => {
      hungUp = callback;
    },
  };
}
