/**
 * Clients that a mechanism of affinity remembers, as values that another mechanism can take over.
 *
 * @module
 */
import type { Address } from "../proxier/address.ts";
import type { ObjectKey, Protocol } from "../proxier/objects.ts";
import type { Plan } from "../proxier/plan.ts";

/** One client of one Service port. */
export interface RememberedClient {
  readonly service: ObjectKey;
  /** Display name of the Service port. */
  readonly port: string;
  readonly protocol: Protocol;
  /** The endpoint, as in the Plan. */
  readonly target: string;
  readonly client: Address;
  /** How long the record lasts without a new connection. */
  readonly secondsLeft: number;
}

/** What a mechanism remembers. */
export interface AffinityMemory {
  /** Everything that it remembers of the Plan's Services; of a client that it knows twice, the newer record. */
  read?(plan: Plan): Promise<readonly RememberedClient[]>;
  /** These are about to be written: to be called before the mechanism is prepared. */
  expect?(clients: readonly RememberedClient[]): void;
  /** Takes over what another mechanism remembered, as far as its endpoints are there. Rejects when it cannot. */
  write?(clients: readonly RememberedClient[], plan: Plan): Promise<void>;
}
