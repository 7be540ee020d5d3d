/**
 * @module
 */
import { expect, test } from "vitest";
import { RateMeter } from "../inspect/top/rate-meter.ts";
import { tableOf, virtualServer } from "../inspect/top/testing.ts";
import { ServiceTraffic } from "./service-traffic.ts";

class Subject {
  limit = 10;
  nowMs = 0;
  looks = 0;
  failures: unknown[] = [];
  broken = false;
  /** Connections of each Service so far. */
  counts: Record<string, number> = {};
  readonly #meter = new RateMeter();
  readonly traffic: ServiceTraffic = new ServiceTraffic({
    limit: () => this.limit,
    now: () => this.nowMs,
    onFailure: (error) => this.failures.push(error),
    look: () => {
      this.looks += 1;
      if (this.broken) {
        return Promise.reject(new Error("no permission"));
      }
      const rows = Object.entries(this.counts).map(([name, connections], index) =>
        virtualServer(name, `10.96.0.${index}`, connections, { 1: { connections, active: 2 } }),
      );
      return Promise.resolve(this.#meter.add({ table: tableOf("ipvs", ...rows), atMs: this.nowMs }));
    },
  });

  /** Values by name and labels. */
  async scrape(afterMs: number): Promise<ReadonlyMap<string, number>> {
    this.nowMs += afterMs;
    await this.traffic.refresh();
    const lines = (await this.traffic.registry.metrics()).split("\n");
    const samples = lines.filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      samples.map((line) => [
        line.slice(0, line.lastIndexOf(" ")),
        Number(line.slice(line.lastIndexOf(" "))),
      ]),
    );
  }
}

const connections = (name: string): string =>
  `kube_sluice_service_connections_total{service_port="ns/${name}:http"}`;

test("ServiceTraffic counts from the first scrape on, and reads the kernel no more often than needed", async () => {
  const subject = new Subject();
  subject.counts = { web: 1_000 };
  expect((await subject.scrape(0)).get(connections("web"))).toBe(0);
  subject.counts = { web: 1_007 };
  expect((await subject.scrape(5_000)).get(connections("web"))).toBe(0);
  expect(subject.looks).toBe(1);
  const later = await subject.scrape(20_000);
  expect(later.get(connections("web"))).toBe(7);
  expect(later.get('kube_sluice_service_active_connections{service_port="ns/web:http"}')).toBe(2);
  subject.counts = { web: 1_010 };
  expect((await subject.scrape(60_000)).get(connections("web"))).toBe(10);
});

test("ServiceTraffic keeps to the limit, and gives what became free to others", async () => {
  const subject = new Subject();
  subject.limit = 2;
  subject.counts = { a: 0, b: 0, c: 0 };
  const first = await subject.scrape(0);
  expect(first.has(connections("c"))).toBe(false);
  expect(first.get("kube_sluice_service_ports_left_out")).toBe(1);
  subject.counts = { b: 3, c: 0 };
  const second = await subject.scrape(20_000);
  expect(second.has(connections("a"))).toBe(false);
  expect(second.get(connections("b"))).toBe(3);
  expect(second.has(connections("c"))).toBe(true);
  expect(second.get("kube_sluice_service_ports_left_out")).toBe(0);
});

test("ServiceTraffic follows a limit that is lowered", async () => {
  const subject = new Subject();
  subject.counts = { a: 0, b: 0, c: 0 };
  await subject.scrape(0);
  subject.limit = 1;
  const later = await subject.scrape(20_000);
  expect([..."abc"].filter((name) => later.has(connections(name)))).toEqual(["a"]);
  expect(later.get("kube_sluice_service_ports_left_out")).toBe(2);
});

test("ServiceTraffic has no series and reads nothing where it is not wanted", async () => {
  const subject = new Subject();
  subject.counts = { web: 0 };
  await subject.scrape(0);
  subject.limit = 0;
  expect((await subject.scrape(20_000)).has(connections("web"))).toBe(false);
  expect(subject.looks).toBe(1);
});

test("ServiceTraffic keeps what it had when the kernel cannot be read", async () => {
  const subject = new Subject();
  subject.counts = { web: 0 };
  await subject.scrape(0);
  subject.broken = true;
  expect((await subject.scrape(20_000)).has(connections("web"))).toBe(true);
  expect(subject.failures).toEqual([new Error("no permission")]);
});
