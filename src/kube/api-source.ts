/**
 * The Kubernetes API as a source: Services, EndpointSlices and the own Node, each followed by its own reflector.
 *
 * @module
 */
import { type Clock, type Random, systemClock } from "./clock.ts";
import { Reflector, type ReflectorStatus } from "./reflector.ts";
import type { ObjectSource, SourceHandler } from "./source.ts";
import { StringPool } from "./string-pool.ts";
import type { Transport } from "./transport.ts";
import { watchedResources } from "./watched-resource.ts";

/** What a source needs; the last two are for tests. */
export interface ApiSourceOptions {
  readonly transport: Transport;
  /** Name of the Node that the program runs on. */
  readonly nodeName: string;
  /** Whether a sudden loss of most objects has to be seen twice, see `reflector.ts`. Default true. */
  readonly confirmLosses?: boolean;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Where texts are shared, and what decoding keeps. */
  readonly pool?: StringPool;
}

/** Delivers from the Kubernetes API. */
export class ApiSource implements ObjectSource {
  readonly #options: ApiSourceOptions;
  #reflectors: readonly Reflector[] = [];

  constructor(options: ApiSourceOptions) {
    this.#options = options;
  }

  async start(handler: SourceHandler, signal: AbortSignal): Promise<void> {
    const { transport, nodeName, confirmLosses = true } = this.#options;
    const { clock = systemClock, random = Math.random } = this.#options;
    const { pool = new StringPool() } = this.#options;
    this.#reflectors = watchedResources(nodeName).map(
      (resource) => new Reflector({ resource, transport, handler, clock, random, pool, confirmLosses }),
    );
    await Promise.all(this.#reflectors.map((reflector) => reflector.run(signal)));
  }

  /** How the watches are doing, one entry for each kind; none before the start. */
  status(): readonly ReflectorStatus[] {
    return this.#reflectors.map((reflector) => reflector.status());
  }
}
