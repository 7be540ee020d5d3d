/**
 * Service book: makes each Service's tables, and keeps what has to be known about them afterwards: who has node ports,
 * whose addresses are not bound, which marks are taken, what is wrong.
 *
 * @module
 */
import type { Address, Family } from "../proxier/address.ts";
import type { ObjectKey, Problem } from "../proxier/objects.ts";
import type { FrontendKind, ServicePlan } from "../proxier/plan.ts";
import { sameValue } from "../proxier/same-value.ts";
import type { KnownState } from "./known-state.ts";
import type { LocalAddresses } from "./local-addresses.ts";
import type { MarkAllocator } from "./marks.ts";
import {
  noTables,
  type ServiceTables,
  serviceTables,
  type TableContext,
  type UnboundAddress,
} from "./service-tables.ts";

/** What does not change. */
export interface BookSettings {
  readonly family: Family;
  readonly nodeName: string;
  /** The scheduler of Services that ask for none. */
  readonly scheduler: string;
  /** Whether hairpin traffic is recognised by a set of all endpoints. */
  readonly hairpinSet: boolean;
}

/** The book. */
export class ServiceBook {
  readonly #settings: BookSettings;
  readonly #local: LocalAddresses;
  readonly #marks: MarkAllocator;
  readonly #onProblems: (service: ObjectKey, problems: readonly Problem[]) => void;
  readonly #withNodePorts = new Set<ObjectKey>();
  readonly #unbound = new Map<Address, Set<ObjectKey>>();
  readonly #unboundOf = new Map<ObjectKey, readonly Address[]>();
  readonly #marked = new Map<ObjectKey, readonly string[]>();
  readonly #problems = new Map<ObjectKey, readonly Problem[]>();
  readonly #lacking = new Set<string>();
  /** Marks that nobody needs, but whose virtual server may be there still. */
  readonly #idleMarks = new Set<string>();
  /** Marks that were found in the kernel, by destination. */
  readonly #adopted = new Map<string, number>();
  #nodePortAddresses: readonly Address[] = [];

  /** @param onProblems told what is wrong with a Service now; replaces what was said before */
  constructor(
    settings: BookSettings,
    local: LocalAddresses,
    marks: MarkAllocator,
    onProblems: (service: ObjectKey, problems: readonly Problem[]) => void,
  ) {
    this.#settings = settings;
    this.#local = local;
    this.#marks = marks;
    this.#onProblems = onProblems;
  }

  /** Tables of a Service; without a plan it is gone. */
  tables(service: ObjectKey, plan: ServicePlan | undefined): ServiceTables {
    const tables = plan === undefined ? noTables : serviceTables(plan, this.#context());
    const hasNodePort = plan?.ports.some(({ frontends }) =>
      frontends.some(({ kind }) => kind === "NodePort"),
    );
    if (hasNodePort === true) {
      this.#withNodePorts.add(service);
    } else {
      this.#withNodePorts.delete(service);
    }
    this.#noteMarks(service, tables.marked);
    this.#noteProblems(service, tables.unbound, plan);
    return tables;
  }

  /** What the node as a whole wants. */
  nodeTables(): ServiceTables {
    const entries = this.#nodePortAddresses.map((address) => {
      return { role: "nodeAddress", entry: { type: "hash:ip", address } } as const;
    });
    return { ...noTables, entries };
  }

  /** Sets the addresses that take node ports. @returns whether they differ */
  setNodePorts(addresses: readonly Address[]): boolean {
    const differs = !sameValue(addresses, this.#nodePortAddresses);
    this.#nodePortAddresses = addresses;
    return differs;
  }

  /** Services with node ports. */
  withNodePorts(): Iterable<ObjectKey> {
    return this.#withNodePorts;
  }

  /** Services that want an address bound that must not be. */
  unboundOwners(address: Address): Iterable<ObjectKey> {
    return this.#unbound.get(address) ?? [];
  }

  /** The kernel has no such scheduler: Services that ask for it get the default. @returns whether that is new */
  lack(scheduler: string): boolean {
    const isNew = scheduler !== this.#settings.scheduler && !this.#lacking.has(scheduler);
    if (isNew) {
      this.#lacking.add(scheduler);
    }
    return isNew;
  }

  /** Takes the marks that the kernel's set has: Service ports that get theirs from now on keep them. */
  adoptMarks(known: KnownState): void {
    this.#adopted.clear();
    for (const [text, entry] of known.entries("mark")) {
      if (entry.type === "hash:ip,port" && entry.mark !== undefined) {
        this.#adopted.set(text, entry.mark);
      }
    }
  }

  /** Gives back marks that nobody needs. @param isFree whether the mark's virtual server is gone */
  releaseMarks(isFree: (mark: number) => boolean): void {
    for (const name of this.#idleMarks) {
      const mark = this.#marks.take(name);
      if (mark === undefined || isFree(mark)) {
        this.#marks.release(name);
        this.#idleMarks.delete(name);
      }
    }
  }

  #context(): TableContext {
    return {
      family: this.#settings.family,
      nodeName: this.#settings.nodeName,
      defaultScheduler: this.#settings.scheduler,
      isLacking: (scheduler) => this.#lacking.has(scheduler),
      nodePortAddresses: this.#nodePortAddresses,
      hairpinSet: this.#settings.hairpinSet,
      markOf: (port, destinations) => this.#markOf(port, destinations),
      bindingProblem: (address, kind) => this.#local.bindingProblem(address, kind),
    };
  }

  #markOf(port: string, destinations: readonly string[]): number | undefined {
    for (const destination of destinations) {
      const mark = this.#adopted.get(destination);
      if (mark !== undefined && this.#marks.keep(port, mark)) {
        break;
      }
    }
    return this.#marks.take(port);
  }

  #noteMarks(service: ObjectKey, names: readonly string[]): void {
    for (const name of this.#marked.get(service) ?? []) {
      if (!names.includes(name)) {
        this.#idleMarks.add(name);
      }
    }
    for (const name of names) {
      this.#idleMarks.delete(name);
    }
    if (names.length === 0) {
      this.#marked.delete(service);
    } else {
      this.#marked.set(service, names);
    }
  }

  #noteProblems(service: ObjectKey, unbound: readonly UnboundAddress[], plan: ServicePlan | undefined): void {
    const before = this.#problems.get(service) ?? [];
    const problems = [
      ...unbound.map((one) => unboundProblem(service, one)),
      ...this.#schedulerProblems(service, plan),
    ];
    this.#noteUnbound(service, unbound);
    if (problems.length === 0) {
      this.#problems.delete(service);
    } else {
      this.#problems.set(service, problems);
    }
    if (!sameValue(before, problems)) {
      this.#onProblems(service, problems);
    }
  }

  #noteUnbound(service: ObjectKey, unbound: readonly UnboundAddress[]): void {
    const addresses = unbound.map(({ address }) => address);
    for (const address of this.#unboundOf.get(service) ?? []) {
      const services = this.#unbound.get(address);
      if (!addresses.includes(address) && services?.delete(service) === true && services.size === 0) {
        this.#unbound.delete(address);
      }
    }
    for (const address of addresses) {
      const services = this.#unbound.get(address) ?? new Set();
      this.#unbound.set(address, services.add(service));
    }
    if (addresses.length === 0) {
      this.#unboundOf.delete(service);
    } else {
      this.#unboundOf.set(service, addresses);
    }
  }

  #schedulerProblems(service: ObjectKey, plan: ServicePlan | undefined): readonly Problem[] {
    const names = new Set(plan?.ports.map(({ scheduler }) => scheduler?.name));
    return [...names].flatMap((name) =>
      name === undefined || !this.#lacking.has(name)
        ? []
        : [
            {
              kind: "Service",
              object: service,
              field: "metadata.annotations",
              message: `this node's kernel has no scheduler ${name}: ${this.#settings.scheduler} is used`,
            } as const,
          ],
    );
  }
}

const fields: Readonly<Record<FrontendKind, string>> = {
  ClusterIP: "spec.clusterIP",
  ExternalIP: "spec.externalIPs",
  LoadBalancer: "status.loadBalancer.ingress",
  NodePort: "spec.ports[].nodePort",
};

function unboundProblem(service: ObjectKey, { address, kind, reason }: UnboundAddress): Problem {
  const message = `${address} is not bound to kube-ipvs0: ${reason}`;
  return { kind: "Service", object: service, field: fields[kind], message };
}
