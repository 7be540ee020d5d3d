/**
 * Planning and rendering one change, without kernel and API: from an EndpointSlice that differs in one endpoint to the
 * restore text, or in ipvs mode to the answers of a kernel in memory.
 *
 * Clusters of all sizes live in one process and take turns, so that they are measured under the same conditions.
 * `planning.ts MODE SIZES ENDPOINTS` prints one figure for each size.
 *
 * @module
 */
import { IptablesBackend } from "../src/iptables/backend.ts";
import type { IptablesKernel } from "../src/iptables/kernel.ts";
import { KnownChains } from "../src/iptables/known-chains.ts";
import { FakeNode } from "../src/ipvs/testing.ts";
import type { EndpointSliceObject } from "../src/proxier/objects.ts";
import { endpoint, PlannedCluster, service, slice } from "../src/proxier/testing.ts";
import { type Figure, printFigure, summarize } from "./figure.ts";

const warmUp = 300;
const measured = 1_000;

/** A kernel that takes everything and keeps nothing. */
class NoKernel implements IptablesKernel {
  readonly rulesPerCommit = 3_000;
  bytes = 0;

  read(): Promise<KnownChains> {
    return Promise.resolve(new KnownChains());
  }

  write(chunks: Iterable<string>): Promise<void> {
    for (const chunk of chunks) {
      this.bytes += chunk.length;
    }
    return Promise.resolve();
  }

  hasChain(): Promise<boolean> {
    return Promise.resolve(true);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A cluster of some size that changes are made in. */
abstract class Subject {
  readonly services: number;
  readonly times: number[] = [];
  readonly #endpoints: number;
  #changes = 0;

  constructor(services: number, endpoints: number) {
    this.services = services;
    this.#endpoints = endpoints;
  }

  /** The first sync. */
  async begin(): Promise<void> {
    for (let index = 0; index < this.services; index++) {
      const clusterIP = `10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
      this.cluster.put(service({ name: `web-${index}`, clusterIP }), this.#slice(index, undefined));
    }
    await this.sync();
  }

  /** One change. @returns how long it took, in microseconds */
  async change(): Promise<number> {
    this.#changes += 1;
    const address = `10.250.${(this.#changes >> 8) & 255}.${this.#changes & 255}`;
    const changed = this.#slice((this.#changes * 7_919) % this.services, address);
    const startedAt = performance.now();
    this.cluster.put(changed);
    const hasWritten = await this.sync();
    const time = (performance.now() - startedAt) * 1000;
    if (!hasWritten) {
      throw new Error("Cannot measure planning: a change was not written");
    }
    return time;
  }

  protected abstract readonly cluster: PlannedCluster;

  /** @returns whether anything was written */
  protected abstract sync(): Promise<boolean>;

  #slice(index: number, first: string | undefined): EndpointSliceObject {
    const endpoints = Array.from({ length: this.#endpoints }, (_, position) => {
      const number = index * this.#endpoints + position;
      return `10.${128 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
    });
    const addresses = first === undefined ? endpoints : endpoints.with(0, first);
    return slice(
      addresses.map((address) => endpoint(address)),
      { name: `web-${index}-x`, serviceName: `web-${index}` },
    );
  }
}

class IptablesSubject extends Subject {
  protected readonly cluster = new PlannedCluster();
  readonly #kernel = new NoKernel();
  readonly #backend = new IptablesBackend(
    this.cluster.planner.plan.node,
    { layout: "lean", dropInvalid: true },
    this.#kernel,
  );

  protected async sync(): Promise<boolean> {
    const { bytes } = this.#kernel;
    const change = this.cluster.planner.take();
    await this.#backend.sync(this.cluster.planner.plan, change);
    return this.#kernel.bytes > bytes;
  }
}

class IpvsSubject extends Subject {
  readonly #node = new FakeNode();

  protected get cluster(): PlannedCluster {
    return this.#node.cluster;
  }

  protected async sync(): Promise<boolean> {
    return (await this.#node.sync()).written > 0;
  }
}

const [mode, list = "", count] = process.argv.slice(2);
const endpoints = Number(count);
const Kind = mode === "ipvs" ? IpvsSubject : IptablesSubject;
const subjects = list.split(",").map((services) => new Kind(Number(services), endpoints));
for (const subject of subjects) {
  await subject.begin();
}
for (let round = 0; round < warmUp + measured; round++) {
  for (const subject of subjects) {
    const time = await subject.change();
    if (round >= warmUp) {
      subject.times.push(time);
    }
  }
}
for (const { services, times } of subjects) {
  const kind = mode === "ipvs" ? ({ mode } as const) : {};
  const figure: Figure = {
    figure: "planning",
    ...kind,
    services,
    endpoints,
    ...summarize(times),
    unit: "us",
  };
  printFigure(figure);
}
