/**
 * Load: connections made one after the other until told to stop, counted by who answered and by how they failed.
 *
 * @module
 */
import { setImmediate as nextTurn, setTimeout as wait } from "node:timers/promises";
import { openConnection } from "./agent-connections.ts";
import type { Failure, LoadReport, LoadRequest } from "./agent-protocol.ts";
import { count } from "./agent-streams.ts";

class Load {
  readonly #request: LoadRequest;
  readonly #workers: readonly Promise<void>[];
  readonly #byServer: Record<string, number> = {};
  readonly #failures: Partial<Record<Failure, number>> = {};
  #answered = 0;
  #lastFailure: string | undefined;
  #stopping = false;

  constructor(request: LoadRequest) {
    this.#request = request;
    this.#workers = Array.from({ length: request.concurrency ?? 1 }, () => this.#work());
  }

  report(): LoadReport {
    return {
      answered: this.#answered,
      byServer: this.#byServer,
      failures: this.#failures,
      lastFailure: this.#lastFailure,
    };
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#workers);
  }

  async #work(): Promise<void> {
    const pause = this.#request.pauseMilliseconds ?? 1;
    while (!this.#stopping) {
      const result = await openConnection(this.#request);
      if ("kind" in result) {
        count(this.#failures, result.kind);
        this.#lastFailure = result.detail;
      } else {
        this.#answered += 1;
        count(this.#byServer, result.greeting.server);
        result.close();
      }
      await (pause > 0 ? wait(pause) : nextTurn());
    }
  }
}

/** The loads of one agent, by number. */
export class Loads {
  readonly #loads = new Map<number, Load>();
  #last = 0;

  start(request: LoadRequest): number {
    this.#last += 1;
    this.#loads.set(this.#last, new Load(request));
    return this.#last;
  }

  report(number: number): LoadReport {
    return this.#get(number).report();
  }

  async stop(number: number): Promise<LoadReport> {
    const load = this.#get(number);
    this.#loads.delete(number);
    await load.stop();
    return load.report();
  }

  #get(number: number): Load {
    const load = this.#loads.get(number);
    if (load === undefined) throw new RangeError(`Cannot find load: there is none with number ${number}`);
    return load;
  }
}
