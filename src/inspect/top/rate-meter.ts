/**
 * Rates of Services: what two looks at the table differ by, per second.
 *
 * Pure. Virtual servers of one Service port are taken together. Counters that begin anew, because a rule was written
 * again or a server was added, count from 0. What the kernel does not count stays absent.
 *
 * IPVS counts per virtual server. In iptables a real server's connections are those of its list, which several virtual
 * servers share: there the largest of them is taken. Bytes are there those of open connections, so that what a
 * connection moved just before its end is missed.
 *
 * @module
 */

import { addressAndPort } from "../../ipvs/netlink/virtual-server.ts";
import {
  type RealServerRow,
  type ServiceTable,
  serviceNameText,
  type VirtualServerRow,
} from "../service-table.ts";
import { sum } from "./numbers.ts";

/** One look at the kernel. */
export interface Sample {
  readonly table: ServiceTable;
  /** When, in milliseconds of any steady clock. */
  readonly atMs: number;
}

/** What there is of a Service port, or of one of its endpoints. */
export interface Load {
  /** New connections per second. */
  readonly newPerSecond?: number;
  /** Connections in state ESTABLISHED. */
  readonly active?: number;
  readonly inactive?: number;
  /** Both directions. */
  readonly bytesPerSecond?: number;
}

/** An endpoint of a Service port. */
export interface EndpointLoad extends Load {
  /** `address:port`. */
  readonly name: string;
  readonly pod?: string;
  readonly weight: number;
  /** Its part of the connections made since the first look, 0 to 1. Absent while there are none. */
  readonly share?: number;
}

/** A Service port. */
export interface ServiceLoad extends Load {
  /** `namespace/name:port`, or protocol, address and port where no name is known. */
  readonly name: string;
  /** Protocol, address and port of its virtual servers. */
  readonly frontends: readonly string[];
  readonly scheduler: string;
  readonly isPersistent: boolean;
  readonly endpoints: readonly EndpointLoad[];
  /**
   * How many times as many connections as its weight entitles it to the busiest endpoint has got since the first look; 1 is
   * even. Absent while there are too few to tell.
   */
  readonly skew?: number;
}

/** All of a node. */
export interface NodeLoad {
  readonly services: readonly ServiceLoad[];
  readonly total: Load;
  /** Between this look and the one before; 0 at the first. */
  readonly seconds: number;
}

/** Fewer connections for each endpoint say nothing about how evenly they are spread. */
const leastPerEndpoint = 10;

/** Takes looks at the table in order, gives rates. */
export class RateMeter {
  #before: { readonly counters: ReadonlyMap<string, number>; readonly atMs: number } | undefined;
  /** Connections of each endpoint since the first look. */
  #since = new Map<string, number>();

  /** The first look has no rates. */
  add({ table, atMs }: Sample): NodeLoad {
    const seconds = this.#before === undefined ? 0 : (atMs - this.#before.atMs) / 1000;
    const look = new Look(table.source === "ipvs", this.#before?.counters, seconds, this.#since);
    for (const row of table.virtualServers) {
      look.add(row);
    }
    this.#before = { counters: look.counters, atMs };
    const services = look.services();
    this.#since = look.since;
    return { services, total: totalOf(services), seconds };
  }
}

interface Gathering {
  newConnections: number | undefined;
  active: number | undefined;
  inactive: number | undefined;
  bytes: number | undefined;
}

interface EndpointGathering extends Gathering {
  readonly pod: string | undefined;
  weight: number;
}

interface ServiceGathering extends Gathering {
  readonly first: VirtualServerRow;
  readonly frontends: string[];
  readonly endpoints: Map<string, EndpointGathering>;
}

class Look {
  readonly counters = new Map<string, number>();
  readonly since = new Map<string, number>();
  readonly #isIpvs: boolean;
  readonly #before: ReadonlyMap<string, number> | undefined;
  readonly #seconds: number;
  readonly #sinceBefore: ReadonlyMap<string, number>;
  readonly #services = new Map<string, ServiceGathering>();

  constructor(
    isIpvs: boolean,
    before: ReadonlyMap<string, number> | undefined,
    seconds: number,
    sinceBefore: ReadonlyMap<string, number>,
  ) {
    this.#isIpvs = isIpvs;
    this.#before = before;
    this.#seconds = seconds;
    this.#sinceBefore = sinceBefore;
  }

  add(row: VirtualServerRow): void {
    const frontend = frontendText(row);
    const name = row.service === undefined ? frontend : serviceNameText(row.service);
    const service = this.#service(name, row);
    service.frontends.push(frontend);
    service.newConnections = plus(
      service.newConnections,
      this.#grown(`${frontend} c`, row.totals?.connections, true),
    );
    service.bytes = plus(service.bytes, this.#grown(`${frontend} b`, bytesOf(row), this.#isIpvs));
    for (const server of row.realServers) {
      this.#addServer(service, frontend, server);
    }
  }

  #addServer(service: ServiceGathering, frontend: string, server: RealServerRow): void {
    const end = addressAndPort(server.address, server.port);
    const key = `${frontend} ${end}`;
    const endpoint = endpointOf(service, end, server);
    const made = this.#grown(`${key} c`, server.totals?.connections, true);
    endpoint.newConnections = this.#isIpvs
      ? plus(endpoint.newConnections, made)
      : larger(endpoint.newConnections, made);
    endpoint.bytes = plus(endpoint.bytes, this.#grown(`${key} b`, bytesOf(server), this.#isIpvs));
    endpoint.active = plus(endpoint.active, server.activeConnections);
    endpoint.inactive = plus(endpoint.inactive, server.inactiveConnections);
    endpoint.weight = Math.max(endpoint.weight, server.weight);
  }

  services(): readonly ServiceLoad[] {
    return [...this.#services].map(([name, service]) => this.#serviceLoad(name, service));
  }

  #serviceLoad(name: string, service: ServiceGathering): ServiceLoad {
    const made = [...service.endpoints].map(([end, { newConnections = 0 }]) => {
      const key = `${name} ${end}`;
      const since = (this.#sinceBefore.get(key) ?? 0) + newConnections;
      this.since.set(key, since);
      return since;
    });
    const all = sum(made);
    const endpoints = [...service.endpoints].map(
      ([end, endpoint], index): EndpointLoad => ({
        name: end,
        ...(endpoint.pod === undefined ? {} : { pod: endpoint.pod }),
        weight: endpoint.weight,
        ...(all === 0 ? {} : { share: (made[index] ?? 0) / all }),
        ...this.#load(endpoint),
      }),
    );
    const skew = skewOf(endpoints, all);
    return {
      name,
      frontends: service.frontends,
      scheduler: service.first.scheduler,
      isPersistent: service.first.persistence !== undefined,
      endpoints,
      ...(skew === undefined ? {} : { skew }),
      ...this.#load({
        ...service,
        active: totalIfKnown(endpoints.map(({ active }) => active)),
        inactive: totalIfKnown(endpoints.map(({ inactive }) => inactive)),
      }),
    };
  }

  #load({ newConnections, active, inactive, bytes }: Gathering): Load {
    return {
      ...(newConnections === undefined ? {} : { newPerSecond: newConnections / this.#seconds }),
      ...(active === undefined ? {} : { active }),
      ...(inactive === undefined ? {} : { inactive }),
      ...(bytes === undefined ? {} : { bytesPerSecond: bytes / this.#seconds }),
    };
  }

  #service(name: string, first: VirtualServerRow): ServiceGathering {
    const known = this.#services.get(name);
    if (known !== undefined) {
      return known;
    }
    const made: ServiceGathering = { first, frontends: [], endpoints: new Map(), ...nothing };
    this.#services.set(name, made);
    return made;
  }

  /** By how much a counter has grown since the last look. */
  #grown(key: string, value: number | bigint | undefined, beginsAnew: boolean): number | undefined {
    if (value === undefined) {
      return undefined;
    }
    const now = Number(value);
    this.counters.set(key, now);
    if (this.#before === undefined || this.#seconds <= 0) {
      return undefined;
    }
    const before = this.#before.get(key) ?? 0;
    if (now >= before) {
      return now - before;
    }
    return beginsAnew ? now : 0;
  }
}

const nothing: Gathering = {
  newConnections: undefined,
  active: undefined,
  inactive: undefined,
  bytes: undefined,
};

function endpointOf(service: ServiceGathering, end: string, { pod }: RealServerRow): EndpointGathering {
  const known = service.endpoints.get(end);
  if (known !== undefined) {
    return known;
  }
  const made: EndpointGathering = { pod, weight: 0, ...nothing };
  service.endpoints.set(end, made);
  return made;
}

/** Protocol, address and port of a virtual server, or its firewall mark. */
export function frontendText(row: VirtualServerRow): string {
  return "firewallMark" in row
    ? `FWM ${row.firewallMark}`
    : `${row.protocol} ${addressAndPort(row.address, row.port)}`;
}

function bytesOf({ totals }: Pick<RealServerRow, "totals">): number | undefined {
  return totals?.incomingBytes === undefined && totals?.outgoingBytes === undefined
    ? undefined
    : Number(totals.incomingBytes ?? 0) + Number(totals.outgoingBytes ?? 0);
}

function skewOf(endpoints: readonly EndpointLoad[], connections: number): number | undefined {
  const weights = sum(endpoints.map(({ weight }) => weight));
  const entitled = endpoints.filter(({ weight }) => weight > 0);
  if (entitled.length === 0 || connections < leastPerEndpoint * entitled.length) {
    return undefined;
  }
  return Math.max(...entitled.map(({ share = 0, weight }) => (share * weights) / weight));
}

function totalOf(services: readonly ServiceLoad[]): Load {
  const total = (field: keyof Load): Load => {
    const value = totalIfKnown(services.map((service) => service[field]));
    return value === undefined ? {} : { [field]: value };
  };
  return { ...total("newPerSecond"), ...total("active"), ...total("inactive"), ...total("bytesPerSecond") };
}

/** The sum of those that are known; undefined when none is. */
function totalIfKnown(values: readonly (number | undefined)[]): number | undefined {
  return values.reduce(plus, undefined);
}

function plus(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : a + b;
}

function larger(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);
}
