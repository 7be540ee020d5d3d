/**
 * Drain book: which real servers get no new connections any more and wait for their old ones to end, and until when.
 *
 * Pure. The kernel holds all that matters of it (weight 0), so after a restart the book is made anew, with new deadlines.
 *
 * @module
 */

const none: ReadonlyMap<string, number> = new Map();

/** The book. */
export class DrainBook {
  readonly #servers = new Map<string, Map<string, number>>();

  /** Number of real servers that drain. */
  get size(): number {
    let size = 0;
    for (const deadlines of this.#servers.values()) {
      size += deadlines.size;
    }
    return size;
  }

  has(server: string, target: string): boolean {
    return this.#servers.get(server)?.has(target) === true;
  }

  /** Notes that a real server drains. One that does already keeps its deadline. */
  add(server: string, target: string, deadline: number): void {
    const deadlines = this.#servers.get(server) ?? new Map<string, number>();
    this.#servers.set(server, deadlines);
    if (!deadlines.has(target)) {
      deadlines.set(target, deadline);
    }
  }

  /** Forgets a real server: it is gone, or wanted again. */
  delete(server: string, target: string): void {
    const deadlines = this.#servers.get(server);
    deadlines?.delete(target);
    if (deadlines?.size === 0) {
      this.#servers.delete(server);
    }
  }

  /** Forgets a virtual server. */
  deleteServer(server: string): void {
    this.#servers.delete(server);
  }

  /** Virtual servers of which something drains now. */
  servers(): readonly string[] {
    return [...this.#servers.keys()];
  }

  /** When each real server has to go whatever it still does, by `ip:port`, on the clock's scale. */
  deadlines(server: string): ReadonlyMap<string, number> {
    return this.#servers.get(server) ?? none;
  }
}
