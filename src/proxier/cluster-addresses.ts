/**
 * Which addresses are ClusterIPs, and which Services would have such an address for an external one.
 *
 * A ClusterIP is its Service's on every port, also on those that the Service does not have: else whoever names it as an
 * external address takes what the Service may open tomorrow.
 *
 * @module
 */
import type { Address } from "./address.ts";
import type { ObjectKey } from "./objects.ts";

/** What a Service has to do with addresses. */
export interface ServiceAddresses {
  /** One, but for a moment none. */
  readonly clusterIPs: readonly Address[];
  readonly external: readonly Address[];
}

/** The addresses of one family. The cost of a change is that of the Service's addresses, and of those who lose or win. */
export class ClusterAddresses {
  readonly #clusterIPs = new ServicesByAddress();
  readonly #external = new ServicesByAddress();

  /** Replaces what a Service has. @returns those whose external addresses are ClusterIPs now, or not any more */
  replace(service: ObjectKey, before: ServiceAddresses, after: ServiceAddresses): readonly ObjectKey[] {
    this.#external.replace(service, before.external, after.external);
    const changed = this.#clusterIPs.replace(service, before.clusterIPs, after.clusterIPs);
    return changed.flatMap((address) => this.#external.get(address));
  }

  /** The Service, the first one by name, whose ClusterIP an address is. */
  owner(address: Address): ObjectKey | undefined {
    return [...this.#clusterIPs.get(address)].sort()[0];
  }
}

/** Services by an address of theirs. */
class ServicesByAddress {
  /** Nearly every address has one Service, so it is kept bare. */
  readonly #services = new Map<Address, ObjectKey | Set<ObjectKey>>();

  get(address: Address): readonly ObjectKey[] {
    const known = this.#services.get(address);
    return known === undefined ? [] : typeof known === "string" ? [known] : [...known];
  }

  /** @returns the addresses that the Service has come to have, or has no more */
  replace(service: ObjectKey, before: readonly Address[], after: readonly Address[]): readonly Address[] {
    const left = before.filter((address) => !after.includes(address));
    const entered = after.filter((address) => !before.includes(address));
    for (const address of left) {
      this.#leave(address, service);
    }
    for (const address of entered) {
      this.#enter(address, service);
    }
    return [...left, ...entered];
  }

  #enter(address: Address, service: ObjectKey): void {
    const known = this.#services.get(address);
    if (known === undefined) {
      this.#services.set(address, service);
    } else if (typeof known === "string") {
      this.#services.set(address, new Set([known, service]));
    } else {
      known.add(service);
    }
  }

  #leave(address: Address, service: ObjectKey): void {
    const known = this.#services.get(address);
    if (known === service) {
      this.#services.delete(address);
    } else if (typeof known === "object") {
      known.delete(service);
      if (known.size === 0) {
        this.#services.delete(address);
      }
    }
  }
}
