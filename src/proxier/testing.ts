/**
 * Builders and fakes for tests of the core and of what stands on it. Imported by tests only.
 *
 * @module
 */
import { type Address, type Cidr, joinHostPort, parseAddress, parseCidr } from "./address.ts";
import type { Clock } from "./clock.ts";
import { ClusterState } from "./cluster-state.ts";
import type { Endpoint } from "./endpoint.ts";
import type {
  EndpointSliceObject,
  ServiceObject,
  ServicePortObject,
  SliceEndpointObject,
  SlicePortObject,
  WatchedObject,
} from "./objects.ts";
import type { Route, ServicePlan, ServicePortPlan } from "./plan.ts";
import { FamilyPlanner, type PlannerSettings } from "./planner.ts";
import { objectKey } from "./service-port.ts";

/** A canonical address, for literals that are known to be good. */
export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) {
    throw new TypeError(`Cannot use ${JSON.stringify(text)} in a test: not an address`);
  }
  return parsed;
}

/** A network, for literals that are known to be good. */
export function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === undefined) {
    throw new TypeError(`Cannot use ${JSON.stringify(text)} in a test: not a CIDR`);
  }
  return parsed;
}

/** A TCP port 80 named `http`. */
export function port(fields: Partial<ServicePortObject> = {}): ServicePortObject {
  return { name: "http", protocol: "TCP", port: 80, nodePort: 0, ...fields };
}

/** `ns/web`, a ClusterIP Service 10.96.0.10 with one port. */
export function service(fields: Partial<ServiceObject> = {}): ServiceObject {
  return {
    kind: "Service",
    namespace: "ns",
    name: "web",
    resourceVersion: "1",
    annotations: {},
    proxyName: undefined,
    type: "ClusterIP",
    clusterIP: "10.96.0.10",
    clusterIPs: [fields.clusterIP ?? "10.96.0.10"],
    ipFamilies: ["IPv4"],
    ports: [port()],
    externalIPs: [],
    sessionAffinity: "None",
    affinityTimeoutSeconds: undefined,
    internalTrafficPolicy: "Cluster",
    externalTrafficPolicy: "Cluster",
    healthCheckNodePort: 0,
    loadBalancerSourceRanges: [],
    loadBalancerIngress: [],
    ...fields,
  };
}

/** A ready endpoint on another node. */
export function endpoint(
  ip: string | undefined,
  fields: Partial<SliceEndpointObject> = {},
): SliceEndpointObject {
  return {
    address: ip,
    ready: true,
    serving: true,
    terminating: false,
    nodeName: "elsewhere",
    zone: "",
    zoneHints: [],
    nodeHints: [],
    ...fields,
  };
}

/** A port of a slice: `http`, TCP 8080. */
export function slicePort(fields: Partial<SlicePortObject> = {}): SlicePortObject {
  return { name: "http", protocol: "TCP", port: 8080, ...fields };
}

/** A slice of `ns/web`. */
export function slice(
  endpoints: readonly (string | SliceEndpointObject)[],
  fields: Partial<EndpointSliceObject> = {},
): EndpointSliceObject {
  return {
    kind: "EndpointSlice",
    namespace: "ns",
    name: "web-1",
    resourceVersion: "1",
    serviceName: "web",
    headless: false,
    addressType: "IPv4",
    ports: [slicePort()],
    endpoints: endpoints.map((one) => (typeof one === "string" ? endpoint(one) : one)),
    triggerTime: "",
    ...fields,
  };
}

/** What becomes of {@link endpoint} with {@link slicePort}: ready, on another node. */
export function mergedEndpoint(ip: string, fields: Partial<Endpoint> = {}): Endpoint {
  return {
    address: address(ip),
    port: 8080,
    target: joinHostPort(address(ip), 8080),
    isLocal: false,
    ready: true,
    serving: true,
    terminating: false,
    nodeName: "elsewhere",
    zone: "",
    zoneHints: [],
    nodeHints: [],
    ...fields,
  };
}

/** Conditions of an endpoint that is terminating but still serves. */
export const leaving = { ready: false, serving: true, terminating: true } as const;

/** Conditions of an endpoint that can take nothing. */
export const broken = { ready: false, serving: false, terminating: false } as const;

/** Where an endpoint is when it is on the node of {@link plannerSettings}. */
export const here = { nodeName: "here" } as const;

/** Settings of an IPv4 planner on node `here` with pods in 10.244.0.0/16. */
export function plannerSettings(fields: Partial<PlannerSettings> = {}): PlannerSettings {
  return {
    family: "IPv4",
    nodeName: "here",
    detector: { kind: "cidr", cidr: cidr("10.244.0.0/16") },
    masqueradeAll: false,
    masqueradeMark: 0x4000,
    nodeAddress: address("192.168.0.2"),
    localhostNodePorts: true,
    allowedExternalAddresses: [],
    ...fields,
  };
}

/** Who sends a packet: a pod that the detector knows, this node itself, or anybody else. */
export type Sender = "pod" | "node" | "outside";

/** What the first route that matches does to the sender's packets, e.g. `local`, `cluster masquerade`, `drop`. */
export function fate(routes: readonly Route[], sender: Sender): string {
  const verdict = routes.find(({ from }) => from === "any" || from === sender)?.verdict;
  if (verdict === undefined) {
    return "no route";
  }
  if (verdict.kind !== "forward") {
    return verdict.kind;
  }
  const { pool, masquerade } = verdict;
  const translated = masquerade === "always" || (masquerade === "unless-pod" && sender !== "pod");
  return translated ? `${pool} masquerade` : pool;
}

/** A state and a planner fed together. */
export class PlannedCluster {
  readonly state: ClusterState;
  readonly planner: FamilyPlanner;

  constructor(fields: Partial<PlannerSettings> = {}, state: ClusterState = new ClusterState()) {
    this.state = state;
    this.planner = new FamilyPlanner(plannerSettings(fields), state);
  }

  /** Adds or replaces objects. */
  put(...objects: readonly WatchedObject[]): this {
    for (const object of objects) {
      this.#touch(
        object.kind === "Service"
          ? this.state.upsertService(object)
          : object.kind === "EndpointSlice"
            ? this.state.upsertSlice(object)
            : [],
      );
    }
    return this;
  }

  /** Removes objects by what they are called. */
  drop(...objects: readonly (ServiceObject | EndpointSliceObject)[]): this {
    for (const object of objects) {
      const key = objectKey(object);
      this.#touch(object.kind === "Service" ? this.state.removeService(key) : this.state.removeSlice(key));
    }
    return this;
  }

  /** Folds everything in and returns what is planned for a Service. */
  service(key = "ns/web"): ServicePlan | undefined {
    this.planner.take();
    return this.planner.plan.services.get(key);
  }

  /** Folds everything in and returns what is planned for a Service's only port, or for the one of that name. */
  port(key = "ns/web", name?: string): ServicePortPlan {
    const ports = this.service(key)?.ports ?? [];
    const found = ports.filter((one) => name === undefined || one.displayName === `${key}:${name}`);
    const [first] = found;
    if (first === undefined || found.length > 1) {
      throw new TypeError(`Cannot pick one port of ${key}: ${found.length} of ${ports.length} match`);
    }
    return first;
  }

  #touch(keys: readonly string[]): void {
    for (const key of keys) {
      this.planner.touch(key);
    }
  }
}

/** A clock that moves when told to. */
export class FakeClock implements Clock {
  #now = 0;
  #timers: { readonly at: number; readonly callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  /** Number of calls that wait for their time. */
  get waiting(): number {
    return this.#timers.length;
  }

  /** @throws {RangeError} Real timers would take the delay for another. */
  after(delayMs: number, callback: () => void): () => void {
    if (!Number.isFinite(delayMs) || delayMs < 0) {
      throw new RangeError(`Cannot set a timer: the delay ${delayMs} is not a time from now`);
    }
    const timer = { at: this.#now + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  /** Moves on, firing timers in order; after each, pending promises get to run. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      const [next] = this.#timers.toSorted((a, b) => a.at - b.at);
      if (next === undefined || next.at > until) {
        break;
      }
      this.#timers = this.#timers.filter((one) => one !== next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await settle();
    }
    this.#now = until;
    await settle();
  }
}

/** Lets everything run that waits for promises only. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    await Promise.resolve();
  }
}
