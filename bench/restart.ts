/**
 * Restart: a second daemon on what the first has left. What it reads, it leaves alone.
 *
 * @module
 */
import type { Daemon } from "./daemon.ts";
import type { NodeContext } from "./node-context.ts";

/** Measures, and ends the daemon. */
export async function measureRestart(context: NodeContext): Promise<void> {
  const daemon: Daemon = context.startDaemon();
  const { at, elapsedMs, bytes, written } = await daemon.ready();
  context.print({ figure: "restart-bytes", value: bytes, unit: "bytes", detail: { written } });
  context.print({
    figure: "restart",
    value: at - daemon.startedAt,
    unit: "ms",
    detail: { syncMs: elapsedMs },
  });
  await daemon.stop();
}
