/**
 * A node of a test cluster that the product serves in ipvs mode: planner, backend and monitor as in the daemon, told
 * object by object.
 *
 * @module
 */
import type { IpvsBackend } from "../../src/ipvs/backend.ts";
import type { IpvsOptions } from "../../src/ipvs/backend-options.ts";
import { IpvsMonitor } from "../../src/ipvs/monitor.ts";
import type { RuleSettings } from "../../src/ipvs/rule-settings.ts";
import { watchRoutes } from "../../src/ipvs/watch-routes.ts";
import type { Address, Family } from "../../src/proxier/address.ts";
import type { SyncReport } from "../../src/proxier/backend.ts";
import type { Clock } from "../../src/proxier/clock.ts";
import type { EndpointSliceObject, ServiceObject } from "../../src/proxier/objects.ts";
import { address, cidr, endpoint, PlannedCluster, slice } from "../../src/proxier/testing.ts";
import type { Node, Pod } from "../harness/cluster.ts";
import { fullRules, openBackend } from "./namespace-host.ts";

/** Real time. */
export const realClock: Clock = {
  now: () => performance.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

const podNetworks: Readonly<Record<Family, string>> = { IPv4: "10.244.0.0/16", IPv6: "fd00:244::/32" };

/** How a node is to be served. */
export interface ServedOptions {
  readonly family?: Family;
  readonly rules?: Partial<RuleSettings>;
  readonly backend?: Partial<IpvsOptions>;
  /** How often everything is read back; hardly ever by default. */
  readonly auditPeriodMs?: number;
  /** Without it: a new cluster of objects. */
  readonly cluster?: PlannedCluster;
}

/** A node with one family's backend. */
export class ServedNode implements AsyncDisposable {
  readonly cluster: PlannedCluster;
  readonly backend: IpvsBackend;
  readonly #monitor: IpvsMonitor;
  readonly #watch: Disposable;
  /** Jobs one after the other, as the sync loop has them. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(node: Node, options: ServedOptions = {}) {
    const { family = "IPv4", rules, backend = {} } = options;
    const own = address((family === "IPv4" ? node.ip : node.ip6) ?? "");
    this.cluster =
      options.cluster ??
      new PlannedCluster({
        family,
        nodeName: node.name,
        detector: { kind: "cidr", cidr: cidr(podNetworks[family]) },
        nodeAddress: own,
        localhostNodePorts: false,
      });
    const host = { node: node.namespace, variant: "legacy", env: node.env } as const;
    this.backend = openBackend(
      host,
      this.cluster.planner.plan.node,
      {
        nodeName: node.name,
        reserved: { node: [own], pods: [cidr(podNetworks[family])] },
        clock: realClock,
        ...backend,
      },
      { ...fullRules, ...rules },
    );
    const monitor = new IpvsMonitor({
      backend: this.backend,
      clock: realClock,
      auditPeriodMs: options.auditPeriodMs ?? 3_600_000,
      onAudit: () => {},
      exclusively: (job) => this.#exclusively(job),
      requestSync: () => void this.sync(),
      onError: (error) => process.stderr.write(`${String(error)}\n`),
    });
    this.#monitor = monitor;
    this.#watch = node.namespace.enter(() =>
      watchRoutes({
        onEvent: (event) => monitor.noteEvent(event),
        onLost: () => monitor.noteLoss(),
        onError: (error) => process.stderr.write(`${error.message}\n`),
      }),
    );
  }

  /** Adds or replaces objects and programs them. */
  async put(...objects: readonly (ServiceObject | EndpointSliceObject)[]): Promise<SyncReport> {
    this.cluster.put(...objects);
    return await this.sync();
  }

  /** Removes objects and programs that. */
  async drop(...objects: readonly (ServiceObject | EndpointSliceObject)[]): Promise<SyncReport> {
    this.cluster.drop(...objects);
    return await this.sync();
  }

  sync(scope: "changes" | "everything" = "changes"): Promise<SyncReport> {
    return this.#exclusively(async () => {
      const change = this.cluster.planner.take();
      const report = await this.backend.sync(
        this.cluster.planner.plan,
        scope === "everything" ? scope : change,
      );
      this.#monitor.synced();
      return report;
    });
  }

  /** Stops without leaving anything tidy, as a process that is killed; the kernel keeps what it has. */
  async stop(): Promise<void> {
    this.#watch[Symbol.dispose]();
    this.#monitor.stop();
    await this.#last;
    await this.backend.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #exclusively<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#last.then(job);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

/** The slice of a Service whose endpoints are these pods, in either family. */
export function sliceOf(
  pods: readonly Pod[],
  fields: Partial<EndpointSliceObject> = {},
): EndpointSliceObject {
  const six = fields.addressType === "IPv6";
  return slice(
    pods.map((pod) => endpoint((six ? pod.ip6 : pod.ip) as Address, { nodeName: pod.node.name })),
    fields,
  );
}
