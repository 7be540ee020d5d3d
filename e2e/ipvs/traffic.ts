/**
 * Traffic of all kinds to some Services, from everywhere, while something happens: what became of it.
 *
 * @module
 */
import { eventually } from "../daemon/eventually.ts";
import type { Protocol } from "../harness/agent-protocol.ts";
import type { Host } from "../harness/host.ts";
import type { HeldStream, RunningLoad } from "../harness/remote-agent.ts";

/** Who sends, and where to. */
export interface Path {
  readonly from: Host;
  readonly ip: string;
  readonly port: number;
  /** TCP unless told. */
  readonly protocol?: Protocol;
}

interface Load {
  readonly name: string;
  readonly load: RunningLoad;
}

interface Stream {
  readonly name: string;
  readonly stream: HeldStream;
}

/** Connections that are made one after the other, and others that are kept open, all with data flowing. */
export class Traffic {
  readonly #loads: readonly Load[];
  readonly #streams: readonly Stream[];

  private constructor(loads: readonly Load[], streams: readonly Stream[]) {
    this.#loads = loads;
    this.#streams = streams;
  }

  /** @param loads a new connection, or socket, for each request; @param streams one that is kept */
  static async start(loads: readonly Path[], streams: readonly Path[]): Promise<Traffic> {
    return new Traffic(
      await Promise.all(
        loads.map(async ({ from, ...path }) => ({
          name: nameOf("load", from, path),
          load: await from.agent.startLoad({ ...path, pauseMilliseconds: 50 }),
        })),
      ),
      await Promise.all(
        streams.map(async ({ from, ...path }) => ({
          name: nameOf("stream", from, path),
          stream: await from.agent.hold({ ...path, intervalMilliseconds: 100 }),
        })),
      ),
    );
  }

  /** Waits until everybody has been answered so often since this was called. */
  async flows(often = 3): Promise<void> {
    for (const { name, load } of this.#loads) {
      const { answered } = await load.report();
      await eventually(name, async () => {
        const report = await load.report();
        return report.answered >= answered + often || Object.keys(report.failures).length > 0;
      });
    }
  }

  /** Ends it. @returns what went wrong */
  async stop(): Promise<readonly string[]> {
    const wrong: string[] = [];
    for (const { name, load } of this.#loads) {
      const { failures, lastFailure } = await load.stop();
      if (Object.keys(failures).length > 0) {
        wrong.push(`${name}: ${JSON.stringify(failures)} ${lastFailure}`);
      }
    }
    for (const { name, stream } of this.#streams) {
      // The last line may still be on its way: a report is taken until nothing is missing.
      const report = await eventually(
        "the echo",
        async () => {
          const now = await stream.report();
          return now.broken !== undefined || now.sent - now.echoed <= 1 ? now : undefined;
        },
        { timeoutMilliseconds: 2_000 },
      ).catch(() => stream.report());
      await stream.release();
      const missing = report.sent - report.echoed;
      if (report.broken !== undefined || missing > 1 || Object.keys(report.errors).length > 0) {
        wrong.push(`${name}: ${JSON.stringify(report)}`);
      }
    }
    return wrong;
  }
}

function nameOf(kind: string, from: Host, { ip, port, protocol = "TCP" }: Omit<Path, "from">): string {
  return `${protocol} ${kind} from ${from.name} to ${ip}:${port}`;
}
