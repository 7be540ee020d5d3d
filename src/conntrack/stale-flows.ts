/**
 * Stale flows: which tracked UDP flows contradict what the Plan wants now.
 *
 * A tracked flow keeps its translation for as long as packets come, whatever the rules say. TCP ends by itself; a UDP
 * client that keeps its port would talk to a dead endpoint for ever, or to nobody if its flow began before the Service
 * had rules. Such flows are named here so that the next packet is decided anew.
 *
 * Pure. Only the frontends that a change touched are looked at. A flow is matched by address and port, a NodePort flow by
 * port if it goes to an address of this node or was translated. Kept are flows to every endpoint that still serves,
 * also when no new flow would go there: policies and topology do not break what is under way.
 *
 * @module
 */
import type { Address, Family } from "../proxier/address.ts";
import { addressBytes, parseAddress } from "../proxier/address.ts";
import type { Plan, PlanChange, ServicePlan, ServicePortPlan } from "../proxier/plan.ts";

/** What is asked of a flow. */
export interface TrackedFlow {
  readonly protocol: number;
  readonly originalDestinationPort: number;
  readonly replySourcePort: number;
  /** Bits of the conntrack status (IPS_*). */
  readonly status: number;
  /** 32 bits of an address, most significant first; one word for IPv4, four for IPv6. */
  addressWord(address: "originalDestination" | "replySource", index: number): number;
}

/** IPS_DST_NAT: the destination was translated. */
const destinationTranslated = 0x20;

/** Protocol number of UDP. */
export const udp = 17;

/** What holds for flows to one frontend. */
interface Wanted {
  /** Endpoints that serve now. Empty: nobody does. */
  readonly serving: ReadonlySet<string>;
  /** Endpoints that served before the change, as far as known: flows to others are not ours to judge when nobody serves. */
  readonly served: ReadonlySet<string>;
}

/** The frontends of one change. */
export class StaleFlows {
  readonly #family: Family;
  readonly #localAddresses: () => readonly Address[];
  #local: ReadonlySet<string> | undefined;
  readonly #byAddress = new Map<number, Map<string, Wanted>>();
  readonly #byNodePort = new Map<number, Wanted>();

  /** @param localAddresses gives the addresses of this node; asked once, and only when a flow goes to a node port's number */
  constructor(family: Family, localAddresses: () => readonly Address[]) {
    this.#family = family;
    this.#localAddresses = localAddresses;
  }

  /** Whether no frontend is under suspicion. */
  get isEmpty(): boolean {
    return this.#byAddress.size === 0 && this.#byNodePort.size === 0;
  }

  /**
   * Adds the UDP frontends of the Services that a change touched. Frontends that nobody owns any more count as served by
   * nobody.
   */
  add(plan: Plan, change: PlanChange): this {
    for (const key of change.services) {
      const before = change.before.get(key);
      // What is gone first: a frontend may have passed to another Service in the same change.
      this.#addService(before, served(before), true);
    }
    for (const key of change.services) {
      this.#addService(plan.services.get(key), served(change.before.get(key)), false);
    }
    return this;
  }

  /**
   * Adds the frontends of an earlier change. Where this one speaks of the same, its word on who serves now stands, and
   * whoever served before either of them has served.
   */
  addOlder(older: StaleFlows): void {
    for (const [port, addresses] of older.#byAddress) {
      const own = this.#byAddress.get(port) ?? new Map<string, Wanted>();
      for (const [address, wanted] of addresses) {
        own.set(address, merged(wanted, own.get(address)));
      }
      this.#byAddress.set(port, own);
    }
    for (const [port, wanted] of older.#byNodePort) {
      this.#byNodePort.set(port, merged(wanted, this.#byNodePort.get(port)));
    }
  }

  /** Whether the flow contradicts the Plan. */
  isStale(flow: TrackedFlow): boolean {
    if (flow.protocol !== udp) {
      return false;
    }
    const port = flow.originalDestinationPort;
    const byAddress = this.#byAddress.get(port);
    const byNodePort = this.#byNodePort.get(port);
    if (byAddress === undefined && byNodePort === undefined) {
      return false;
    }
    const destination = this.#id(flow, "originalDestination");
    const wanted = byAddress?.get(destination) ?? this.#nodePort(flow, byNodePort, destination);
    return wanted !== undefined && contradicts(flow, wanted, this.#id(flow, "replySource"));
  }

  #nodePort(flow: TrackedFlow, wanted: Wanted | undefined, destination: string): Wanted | undefined {
    const ours = (flow.status & destinationTranslated) !== 0 || this.#isLocal(destination);
    return ours ? wanted : undefined;
  }

  #addService(
    service: ServicePlan | undefined,
    servedBefore: ReadonlyMap<string, Set<string>>,
    gone: boolean,
  ): void {
    for (const port of service?.ports ?? []) {
      if (port.protocol !== "UDP") {
        continue;
      }
      const wanted: Wanted = {
        serving: new Set(gone ? [] : port.serving.map(targetId)),
        served: servedBefore.get(port.displayName) ?? new Set(),
      };
      // Nothing served and nothing serves: there is nothing to compare with.
      if (wanted.serving.size > 0 || wanted.served.size > 0) {
        this.#addFrontends(port, wanted);
      }
    }
  }

  #addFrontends(port: ServicePortPlan, wanted: Wanted): void {
    for (const { address, port: number } of port.frontends) {
      if (address === undefined) {
        this.#byNodePort.set(number, wanted);
        continue;
      }
      const addresses = this.#byAddress.get(number) ?? new Map<string, Wanted>();
      addresses.set(addressId(address), wanted);
      this.#byAddress.set(number, addresses);
    }
  }

  #isLocal(id: string): boolean {
    this.#local ??= new Set(this.#localAddresses().map(addressId));
    return this.#local.has(id);
  }

  #id(flow: TrackedFlow, address: "originalDestination" | "replySource"): string {
    let id = String(flow.addressWord(address, 0));
    if (this.#family === "IPv6") {
      for (let index = 1; index < 4; index++) {
        id += `,${flow.addressWord(address, index)}`;
      }
    }
    return id;
  }
}

/** As many endpoints of a frontend are remembered, the latest: changes may wait for long where flows cannot be read. */
const mostServed = 10_000;

function merged(older: Wanted, newer: Wanted | undefined): Wanted {
  return newer === undefined
    ? older
    : { serving: newer.serving, served: new Set([...newer.served, ...older.served].slice(0, mostServed)) };
}

function contradicts(flow: TrackedFlow, wanted: Wanted, source: string): boolean {
  const target = `${source}:${flow.replySourcePort}`;
  return wanted.serving.size > 0 ? !wanted.serving.has(target) : wanted.served.has(target);
}

function served(service: ServicePlan | undefined): ReadonlyMap<string, Set<string>> {
  return new Map(
    (service?.ports ?? [])
      .filter((port) => port.protocol === "UDP")
      .map((port) => [port.displayName, new Set(port.serving.map(targetId))]),
  );
}

/** The words of an address as text, as {@link TrackedFlow.addressWord} gives them. */
function addressId(address: Address): string {
  const bytes = addressBytes(address);
  const words: number[] = [];
  for (let at = 0; at < bytes.length; at += 4) {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(at, at + 4);
    words.push(((a << 24) | (b << 16) | (c << 8) | d) >>> 0);
  }
  return words.join(",");
}

/** `ip:port` or `[ip]:port` with the address by its words. */
function targetId(target: string): string {
  const at = target.lastIndexOf(":");
  const address = parseAddress(target.slice(0, at).replace(/^\[|\]$/g, ""));
  return address === undefined ? "" : `${addressId(address)}:${target.slice(at + 1)}`;
}
