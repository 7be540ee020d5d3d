/**
 * Chooses the endpoint of each new connection: in turn, or the client's last one with affinity.
 *
 * Pure. All clients of localhost have its address, so affinity keeps one endpoint for all of them.
 *
 * @module
 */
import type { PoolEndpoint } from "../proxier/pool-endpoint.ts";
import type { Backends } from "./local-ports.ts";

/** The choice for one port. */
export class Balancer {
  #backends: Backends;
  #turn = 0;
  #last: { readonly target: string; readonly untilMs: number } | undefined;

  constructor(backends: Backends) {
    this.#backends = backends;
  }

  /** From now on choices are among these. */
  set backends(backends: Backends) {
    this.#backends = backends;
  }

  /** Whether a UDP client may go on talking to an endpoint that was chosen earlier. */
  serves(target: string): boolean {
    return this.#backends.serving.has(target);
  }

  /**
   * The endpoints to try, the first one first, each once. With affinity the one that answered last comes first.
   *
   * @param nowMs monotonic
   */
  candidates(nowMs: number): readonly PoolEndpoint[] {
    const { endpoints } = this.#backends;
    const start = this.#turn % endpoints.length;
    this.#turn = start + 1;
    const inTurn = [...endpoints.slice(start), ...endpoints.slice(0, start)];
    const last = this.#last;
    if (last === undefined || last.untilMs < nowMs) {
      return inTurn;
    }
    const isLast = ({ target }: PoolEndpoint): boolean => target === last.target;
    return [...inTurn.filter(isLast), ...inTurn.filter((one) => !isLast(one))];
  }

  /** A new connection has come about with this endpoint. */
  connected({ target }: PoolEndpoint, nowMs: number): void {
    const { affinityMs } = this.#backends;
    this.#last = affinityMs > 0 ? { target, untilMs: nowMs + affinityMs } : undefined;
  }
}
