/**
 * Planning and rendering one change, without kernel and API: from an EndpointSlice that differs in one endpoint to the
 * restore text.
 *
 * Clusters of all sizes live in one process and take turns, so that they are measured under the same conditions.
 * `planning.ts SIZES ENDPOINTS` prints one figure for each size.
 *
 * @module
 */
import { IptablesBackend } from "../src/iptables/backend.ts";
import type { IptablesKernel } from "../src/iptables/kernel.ts";
import { KnownChains } from "../src/iptables/known-chains.ts";
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

class Subject {
  readonly services: number;
  readonly times: number[] = [];
  readonly #endpoints: number;
  readonly #cluster = new PlannedCluster();
  readonly #kernel = new NoKernel();
  readonly #backend: IptablesBackend;
  #changes = 0;

  constructor(services: number, endpoints: number) {
    this.services = services;
    this.#endpoints = endpoints;
    for (let index = 0; index < services; index++) {
      const clusterIP = `10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
      this.#cluster.put(service({ name: `web-${index}`, clusterIP }), this.#slice(index, undefined));
    }
    const { node } = this.#cluster.planner.plan;
    this.#backend = new IptablesBackend(node, { layout: "lean", dropInvalid: true }, this.#kernel);
  }

  /** The first sync. */
  async begin(): Promise<void> {
    const change = this.#cluster.planner.take();
    await this.#backend.sync(this.#cluster.planner.plan, change);
  }

  /** One change. @returns how long it took, in microseconds */
  async change(): Promise<number> {
    this.#changes += 1;
    const address = `10.250.${(this.#changes >> 8) & 255}.${this.#changes & 255}`;
    const changed = this.#slice((this.#changes * 7_919) % this.services, address);
    const bytesBefore = this.#kernel.bytes;
    const startedAt = performance.now();
    this.#cluster.put(changed);
    const change = this.#cluster.planner.take();
    await this.#backend.sync(this.#cluster.planner.plan, change);
    const time = (performance.now() - startedAt) * 1000;
    if (this.#kernel.bytes === bytesBefore) {
      throw new Error("Cannot measure planning: a change was not written");
    }
    return time;
  }

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

const sizes = (process.argv[2] ?? "").split(",").map(Number);
const endpoints = Number(process.argv[3]);
const subjects = sizes.map((services) => new Subject(services, endpoints));
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
  const figure: Figure = { figure: "planning", services, endpoints, ...summarize(times), unit: "us" };
  printFigure(figure);
}
