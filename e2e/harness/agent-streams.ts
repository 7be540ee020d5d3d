/**
 * Connections that the agent keeps open, with data flowing, and how they fare.
 *
 * @module
 */
import { type Connection, openConnection, outcomeOf } from "./agent-connections.ts";
import type { HoldRequest, Outcome, StreamReport } from "./agent-protocol.ts";

/** Adds one to `counts[key]`. */
export function count<Key extends string>(counts: Partial<Record<Key, number>>, key: Key): void {
  counts[key] = (counts[key] ?? 0) + 1;
}

class Stream {
  readonly #connection: Connection;
  readonly #timer: NodeJS.Timeout;
  readonly #byServer: Record<string, number> = {};
  readonly #errors: Record<string, number> = {};
  #sent = 0;
  #echoed = 0;
  #lastServer: string;
  #broken: string | undefined;

  constructor(connection: Connection, intervalMilliseconds: number) {
    this.#connection = connection;
    this.#lastServer = connection.greeting.server;
    connection.watch({
      greeted: ({ server }) => {
        this.#echoed += 1;
        this.#lastServer = server;
        count(this.#byServer, server);
      },
      failed: (code) => count(this.#errors, code),
      ended: (reason) => {
        this.#broken = reason;
        clearInterval(this.#timer);
      },
    });
    this.#timer = setInterval(() => {
      this.#sent += 1;
      connection.ping();
    }, intervalMilliseconds);
  }

  report(): StreamReport {
    return {
      sent: this.#sent,
      echoed: this.#echoed,
      byServer: this.#byServer,
      lastServer: this.#lastServer,
      errors: this.#errors,
      broken: this.#broken,
    };
  }

  release(): void {
    clearInterval(this.#timer);
    this.#connection.close();
  }
}

/** The streams of one agent, by number. */
export class Streams {
  readonly #streams = new Map<number, Stream>();
  #last = 0;

  async hold(request: HoldRequest): Promise<{ readonly outcome: Outcome; readonly stream?: number }> {
    const opened = await openConnection(request);
    if ("kind" in opened) return { outcome: opened };
    this.#last += 1;
    this.#streams.set(this.#last, new Stream(opened, request.intervalMilliseconds ?? 20));
    return { outcome: outcomeOf(opened), stream: this.#last };
  }

  report(number: number): StreamReport {
    return this.#get(number).report();
  }

  release(number: number): StreamReport {
    const stream = this.#get(number);
    this.#streams.delete(number);
    const report = stream.report();
    stream.release();
    return report;
  }

  #get(number: number): Stream {
    const stream = this.#streams.get(number);
    if (stream === undefined) throw new RangeError(`Cannot find stream: there is none with number ${number}`);
    return stream;
  }
}
