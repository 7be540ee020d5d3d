/**
 * The seam to where the kernel remembers clients: lists of the `recent` match, and ipsets.
 *
 * @module
 */

/** A set that a rule will name. */
export interface AffinitySet {
  readonly name: string;
  /** The list of the `recent` match that held the same clients before, if there is one. */
  readonly list: string;
  readonly timeoutSeconds: number;
}

/** A client in a set. */
export interface SetClient {
  readonly address: string;
  readonly timeoutSeconds: number;
}

/** What the affinity keeper needs of a host. */
export interface AffinityStore {
  /** Clients that the kernel keeps per `recent` list (`ip_list_tot`). */
  readonly recentLimit: number;
  /** Clients that a set of ours keeps for certain. */
  readonly setLimit: number;
  /** Whether sets can be used: by the kernel, and in rules. */
  readonly hasSets: boolean;
  /**
   * Creates the sets that are missing, with the clients of the lists that they replace. Sets that are there stay as they
   * are.
   *
   * @throws KernelError
   */
  ensure(sets: readonly AffinitySet[]): void;
  /** Names of all sets of affinity in this family. */
  list(): Promise<readonly string[]>;
  /**
   * Removes sets. One that a rule still names stays, but forgets its clients.
   *
   * @returns those that stayed
   */
  destroy(names: readonly string[]): readonly string[];
  /** Number of clients in a `recent` list; 0 when there is no such list. */
  countRecent(list: string): number;
  /** Closes what is open. */
  close(): void;
}

/** Where clients that another mode remembered are put. */
export interface ClientDoor {
  /** Notes clients in a `recent` list, as if they had just connected. Without the list nothing happens. */
  noteRecent(list: string, clients: readonly string[]): void;
  /**
   * Adds clients to a set.
   *
   * @throws KernelError
   */
  addToSet(name: string, clients: readonly SetClient[]): void;
}
