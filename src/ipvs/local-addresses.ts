/**
 * What this node's own addresses mean for ipvs mode: which take node ports, and which must not be bound to kube-ipvs0.
 *
 * Pure.
 *
 * @module
 */
import {
  type Address,
  type Cidr,
  cidrContains,
  endpointAddressProblem,
  type Family,
  familyOf,
  isLoopback,
} from "../proxier/address.ts";
import type { FrontendKind, NodePortAddresses } from "../proxier/plan.ts";

/** Addresses that are never bound, whatever is on the interfaces. */
export interface ReservedAddresses {
  /** Of the Node object. */
  readonly node: readonly Address[];
  /** Networks of pods. */
  readonly pods: readonly Cidr[];
}

/** This node's addresses, as they are on its interfaces now. */
export class LocalAddresses {
  readonly #family: Family;
  readonly #reserved: ReservedAddresses;
  #elsewhere: ReadonlySet<Address> = new Set();

  constructor(family: Family, reserved: ReservedAddresses) {
    this.#family = family;
    this.#reserved = reserved;
  }

  /**
   * Takes the addresses of all interfaces but kube-ipvs0.
   *
   * @returns those that came or went
   */
  replace(addresses: Iterable<Address>): ReadonlySet<Address> {
    const before = this.#elsewhere;
    const after = new Set([...addresses].filter((address) => familyOf(address) === this.#family));
    this.#elsewhere = after;
    return new Set([...before, ...after].filter((address) => before.has(address) !== after.has(address)));
  }

  /** Addresses on interfaces other than kube-ipvs0. */
  get all(): ReadonlySet<Address> {
    return this.#elsewhere;
  }

  /** Whether the address is on an interface other than kube-ipvs0. */
  has(address: Address): boolean {
    return this.#elsewhere.has(address);
  }

  /** Why a frontend's address must not be bound to kube-ipvs0; undefined when it may be. */
  bindingProblem(address: Address, kind: FrontendKind): string | undefined {
    const special = endpointAddressProblem(address);
    if (special !== undefined) {
      return `it is ${special}`;
    }
    if (this.#reserved.node.includes(address)) {
      return "it is an address of this node";
    }
    if (this.#elsewhere.has(address)) {
      return "it is on another interface of this node";
    }
    // The API server gives ClusterIPs out: a pod network that holds them too is only described too widely.
    const network =
      kind === "ClusterIP"
        ? undefined
        : this.#reserved.pods.find((cidr) => cidr.prefix > 0 && cidrContains(cidr, address));
    return network === undefined ? undefined : `it lies in the pod network ${network.text}`;
  }

  /** The addresses that take node ports, sorted: of those that the Plan admits the ones that can. */
  nodePortAddresses(admitted: NodePortAddresses): readonly Address[] {
    const candidates = admitted.kind === "all" ? this.#elsewhere : new Set(admitted.addresses);
    return [...candidates]
      .filter((address) => this.#elsewhere.has(address) && takesNodePorts(address))
      .sort();
  }
}

/** IPVS refuses packets of loopback addresses to endpoints elsewhere; link-local ones mean nothing to others. */
function takesNodePorts(address: Address): boolean {
  return !(isLoopback(address) || address.startsWith("169.254.") || /^fe[89ab][0-9a-f]:/.test(address));
}
