/**
 * Planner of one family: keeps the {@link Plan} equal to the cluster state, Service by Service.
 *
 * The cost of a change is the cost of the Services it touches: those named by the event, and those that compete
 * with them for an address. Nothing here loops over all Services except {@link FamilyPlanner.touchAll}, which is
 * for changes of the node itself.
 *
 * Invariants
 * - The Plan depends on the state only, not on the order in which it came about (claims are ordered by name).
 * - `plan.services` is one live map: read it before the next `take`, do not keep it.
 *
 * @module
 */
import { type Address, type Cidr, parseAddress } from "./address.ts";
import {
  type Claim,
  ClaimRegistry,
  claimChanges,
  claimedAddress,
  claimKey,
  claimsOf,
  describeClaim,
  type HeldClaim,
} from "./claims.ts";
import { ClusterAddresses, type ServiceAddresses } from "./cluster-addresses.ts";
import type { ClusterState } from "./cluster-state.ts";
import { sliceProblems } from "./endpoint-slices.ts";
import { mergeChanges } from "./merge-changes.ts";
import type { ObjectKey, Problem } from "./objects.ts";
import type { NodePlan, NodePortAddresses, Plan, PlanChange, ServicePlan } from "./plan.ts";
import type { ReservedAddress } from "./reserved-addresses.ts";
import { sameValue } from "./same-value.ts";
import { planService, type ServiceSettings } from "./service-planner.ts";
import { type ServicePort, type ServicePorts, servicePorts } from "./service-port.ts";
import type { NodeLocation } from "./topology.ts";

/** What does not change while the planner lives. */
export interface PlannerSettings extends ServiceSettings {
  readonly nodeName: string;
  /** The packet mark that asks for masquerade: a single bit. */
  readonly masqueradeMark: number;
  readonly localhostNodePorts: boolean;
  readonly localhostForwarder?: boolean;
  /** Networks that external and load-balancer addresses must lie in; empty allows all. */
  readonly allowedExternalAddresses: readonly Cidr[];
  /** Where external and load-balancer addresses must not lie. */
  readonly reservedAddresses?: readonly ReservedAddress[];
}

/** A taken change, and what is wrong with the Services that were looked at. */
export interface TakenChange extends PlanChange {
  /** By Service, replacing what was reported before; an empty list means that all is well now. */
  readonly problems: ReadonlyMap<ObjectKey, readonly Problem[]>;
}

/** Plans one family. */
export class FamilyPlanner {
  readonly #settings: PlannerSettings;
  readonly #state: ClusterState;
  readonly #plans = new Map<ObjectKey, ServicePlan>();
  /** Claims by Service, as last entered into the registry. */
  readonly #held = new Map<ObjectKey, readonly HeldClaim[]>();
  readonly #claims = new ClaimRegistry();
  readonly #addresses = new ClusterAddresses();
  readonly #touched = new Set<ObjectKey>();
  /** Claims that nobody gets; undefined before the first look. */
  #apiServer: ReadonlySet<string> | undefined;
  #location: NodeLocation;
  #node: NodePlan;
  #nodeTaken: NodePlan | undefined;
  #prepared: TakenChange | undefined;

  constructor(settings: PlannerSettings, state: ClusterState) {
    this.#settings = settings;
    this.#state = state;
    this.#location = { nodeName: settings.nodeName, zone: "" };
    this.#node = {
      family: settings.family,
      detector: settings.detector,
      masqueradeMark: settings.masqueradeMark,
      nodePorts: { kind: "all", loopback: settings.localhostNodePorts },
      localhostNodePorts: settings.localhostNodePorts,
      ...(settings.localhostForwarder === true ? { localhostForwarder: true } : {}),
    };
  }

  /** The Plan as of the last {@link take}. */
  get plan(): Plan {
    return { node: this.#node, services: this.#plans };
  }

  /** Whether {@link take} has anything to look at. */
  get pending(): boolean {
    return this.#prepared !== undefined || this.#touched.size > 0 || !sameValue(this.#node, this.#nodeTaken);
  }

  /** Marks a Service whose object or slices changed. */
  touch(service: ObjectKey): void {
    this.#touched.add(service);
  }

  /** Marks every Service, known or planned. */
  touchAll(): void {
    for (const key of this.#state.serviceKeys()) {
      this.#touched.add(key);
    }
    for (const key of this.#plans.keys()) {
      this.#touched.add(key);
    }
  }

  /** Sets the node's zone (`""` when unknown). @returns whether it differs, and with it possibly every Service */
  setZone(zone: string): boolean {
    if (zone === this.#location.zone) {
      return false;
    }
    this.#location = { ...this.#location, zone };
    this.touchAll();
    return true;
  }

  /** Sets the addresses on which NodePorts answer. */
  setNodePorts(nodePorts: NodePortAddresses): void {
    this.#node = { ...this.#node, nodePorts };
  }

  /**
   * Plans what is touched so far, so that the next {@link take} has less to do. To be called while something else is being
   * waited for.
   */
  prepare(): void {
    this.#prepared = this.take();
  }

  /** Folds everything that was touched into the Plan and tells what is different now. */
  take(): TakenChange {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    const taken = this.#fold();
    if (prepared === undefined) {
      return taken;
    }
    const problems = new Map([...prepared.problems, ...taken.problems]);
    return { ...mergeChanges(prepared, taken), problems };
  }

  #fold(): TakenChange {
    this.#readApiServer();
    const ports = this.#derivePorts();
    const services = new Set<ObjectKey>();
    const before = new Map<ObjectKey, ServicePlan>();
    const problems = new Map<ObjectKey, readonly Problem[]>();
    for (const key of this.#touched) {
      const derived = ports.get(key) ?? this.#portsOf(key);
      problems.set(key, this.#problemsOf(key, derived));
      const known = this.#plans.get(key);
      const planned = this.#plan(key, derived.ports);
      if (sameValue(known, planned)) {
        continue;
      }
      services.add(key);
      if (known !== undefined) {
        before.set(key, known);
      }
      if (planned === undefined) {
        this.#plans.delete(key);
      } else {
        this.#plans.set(key, planned);
      }
    }
    this.#touched.clear();
    const node = !sameValue(this.#node, this.#nodeTaken);
    this.#nodeTaken = this.#node;
    return { services, before, node, problems };
  }

  /** Ports of the touched Services, with their claims entered; Services that compete with them become touched too. */
  #derivePorts(): Map<ObjectKey, ServicePorts> {
    const ports = new Map<ObjectKey, ServicePorts>();
    for (const key of [...this.#touched]) {
      const derived = this.#portsOf(key);
      ports.set(key, derived);
      this.#enterClaims(key, derived.ports);
    }
    return ports;
  }

  #portsOf(key: ObjectKey): ServicePorts {
    const service = this.#state.service(key);
    return service === undefined
      ? { ports: [], problems: [] }
      : servicePorts(
          service,
          this.#settings.family,
          this.#settings.allowedExternalAddresses,
          this.#settings.reservedAddresses,
        );
  }

  #enterClaims(key: ObjectKey, ports: readonly ServicePort[]): void {
    const held = this.#held.get(key) ?? [];
    const wanted = heldClaims(ports);
    const { withdrawn, entered } = claimChanges(held, wanted);
    for (const claim of withdrawn) {
      this.#touchOwners(this.#claims.remove(claim.key, claim.displayName));
    }
    for (const claim of entered) {
      const { displayName, isClusterIP } = claim;
      this.#touchOwners(this.#claims.add(claim.key, { displayName, isClusterIP, service: key }));
    }
    for (const service of this.#addresses.replace(key, addressesOf(held), addressesOf(wanted))) {
      this.#touched.add(service);
    }
    if (wanted.length === 0) {
      this.#held.delete(key);
    } else {
      this.#held.set(key, wanted);
    }
  }

  #touchOwners(claimants: readonly { readonly service: ObjectKey }[]): void {
    for (const claimant of claimants) {
      this.#touched.add(claimant.service);
    }
  }

  #plan(key: ObjectKey, ports: readonly ServicePort[]): ServicePlan | undefined {
    const slices = this.#state.slicesOf(key, this.#settings.family);
    return planService(key, ports, slices, this.#location, this.#settings, (claim, port) =>
      this.#owns(claim, port),
    );
  }

  #owns(claim: Claim, port: ServicePort): boolean {
    return this.#ownerInstead(claim, port) === undefined;
  }

  /** Who has what a port claims, if it is not the port itself. */
  #ownerInstead(claim: Claim, port: ServicePort): string | undefined {
    const winner = this.#claims.winner(claim.key);
    if (winner !== undefined && winner.displayName !== port.displayName) {
      return winner.displayName;
    }
    if (claim.address === undefined || claim.kind === "ClusterIP") {
      return undefined;
    }
    if (this.#apiServer?.has(claim.key) === true) {
      return "the API server";
    }
    const owner = this.#addresses.owner(claim.address);
    return owner === port.service ? undefined : owner;
  }

  /** Where the API server answers, by the endpoints of its Service. Whoever claims that hears of a change. */
  #readApiServer(): void {
    // At first also without its Service, which may be another proxy's.
    if (this.#apiServer !== undefined && !this.#touched.has(apiService)) {
      return;
    }
    const slices = this.#state.slicesOf(apiService, this.#settings.family);
    const now = new Set(
      slices.flatMap(({ endpoints, ports }) =>
        endpoints.flatMap(({ address: text = "" }) => {
          const address = parseAddress(text);
          return address === undefined
            ? []
            : ports.flatMap(({ protocol, port }) =>
                port === undefined ? [] : claimKey(protocol, address, port),
              );
        }),
      ),
    );
    const before = this.#apiServer ?? new Set<string>();
    for (const key of [...now, ...before]) {
      if (now.has(key) !== before.has(key)) {
        this.#touchOwners(this.#claims.claimants(key));
      }
    }
    this.#apiServer = now;
  }

  #problemsOf(key: ObjectKey, derived: ServicePorts): readonly Problem[] {
    const problems = [...derived.problems];
    for (const slice of this.#state.slicesOf(key, this.#settings.family)) {
      problems.push(...sliceProblems(slice));
    }
    for (const port of derived.ports) {
      for (const claim of claimsOf(port)) {
        const owner = this.#ownerInstead(claim, port);
        if (owner !== undefined) {
          problems.push(lostClaim(key, claim, port, owner));
        }
      }
    }
    return problems;
  }
}

/** The Service of the API server itself, in every cluster. */
const apiService: ObjectKey = "default/kubernetes";

function heldClaims(ports: readonly ServicePort[]): readonly HeldClaim[] {
  return ports.flatMap((port) =>
    claimsOf(port).map((claim) => ({
      key: claim.key,
      displayName: port.displayName,
      isClusterIP: claim.kind === "ClusterIP",
    })),
  );
}

function addressesOf(held: readonly HeldClaim[]): ServiceAddresses {
  const pick = (isClusterIP: boolean): readonly Address[] => {
    const some = held.filter((claim) => claim.isClusterIP === isClusterIP);
    return [...new Set(some.flatMap(({ key }) => claimedAddress(key) ?? []))];
  };
  return { clusterIPs: pick(true), external: pick(false) };
}

const claimFields = {
  ClusterIP: "spec.clusterIP",
  ExternalIP: "spec.externalIPs",
  LoadBalancer: "status.loadBalancer.ingress",
  NodePort: "spec.ports[].nodePort",
} as const;

function lostClaim(key: ObjectKey, claim: Claim, port: ServicePort, winner: string): Problem {
  return {
    kind: "Service",
    object: key,
    field: claimFields[claim.kind],
    message: `${describeClaim(claim, port.protocol)} belongs to ${winner}: ${port.displayName} does not get it`,
  };
}
