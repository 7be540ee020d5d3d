/**
 * @module
 */
import { expect, test } from "vitest";
import { FakeClock } from "../proxier/testing.ts";
import { LocalhostForwarder } from "./forwarder.ts";
import { ConnectionLimit, type PortOptions } from "./port-listener.ts";
import { changed, nodePort, servicePlan } from "./testing.ts";

/** A forwarder whose ports only write down what is done to them. */
class Bench {
  readonly clock = new FakeClock();
  readonly events: string[] = [];
  readonly options = new Map<string, PortOptions>();
  /** Called when the last connection of a closed port has ended. */
  readonly endings: (() => void)[] = [];
  readonly forwarder: LocalhostForwarder;

  constructor(family: "IPv4" | "IPv6" = "IPv4") {
    this.forwarder = new LocalhostForwarder({
      family,
      clock: this.clock,
      limit: new ConnectionLimit(1),
      onFailure: ({ displayName }, host, error) =>
        this.events.push(`told of ${displayName} on ${host}: ${error.message}`),
      listen: (protocol, options) => {
        const name = `${protocol} ${options.host}:${options.port}`;
        this.events.push(`open ${name}`);
        this.options.set(name, options);
        return {
          changed: () => this.events.push(`changed ${name}`),
          close: (onEnd) => {
            this.events.push(`close ${name}`);
            this.endings.push(onEnd ?? (() => {}));
          },
          abort: () => this.events.push(`abort ${name}`),
        };
      },
    });
  }

  apply(...args: Parameters<typeof changed>): readonly string[] {
    const { plan, change } = changed(...args);
    this.forwarder.applyChange(plan, change);
    return this.events.splice(0);
  }
}

const web = servicePlan("ns/web", nodePort(30_080, ["10.0.0.1:80"]));

test("opens, changes and closes ports with their Service", () => {
  const bench = new Bench();
  expect(bench.apply([web])).toEqual(["open TCP 127.0.0.1:30080"]);
  expect(bench.apply([servicePlan("ns/web", nodePort(30_080, ["10.0.0.2:80"]))])).toEqual([
    "changed TCP 127.0.0.1:30080",
  ]);
  const [candidate] = bench.options.get("TCP 127.0.0.1:30080")?.balancer.candidates(0) ?? [];
  expect(candidate?.target).toBe("10.0.0.2:80");
  expect(bench.apply([], ["ns/web"])).toEqual(["close TCP 127.0.0.1:30080"]);
  expect(bench.apply([], ["ns/web"])).toEqual([]);
});

test("closes a port whose last endpoint has gone, and opens it again", () => {
  const bench = new Bench("IPv6");
  bench.apply([web]);
  expect(bench.apply([servicePlan("ns/web", nodePort(30_080, []))])).toEqual(["close TCP ::1:30080"]);
  expect(bench.apply([web])).toEqual(["open TCP ::1:30080"]);
});

test("Services may exchange their ports", () => {
  const bench = new Bench();
  const other = servicePlan("ns/other", nodePort(30_081, ["10.0.0.1:80"]));
  bench.apply([web, other]);
  const events = bench.apply([
    servicePlan("ns/web", nodePort(30_081, ["10.0.0.1:80"])),
    servicePlan("ns/other", nodePort(30_080, ["10.0.0.1:80"])),
  ]);
  expect(events).toEqual([
    "close TCP 127.0.0.1:30080",
    "close TCP 127.0.0.1:30081",
    "open TCP 127.0.0.1:30081",
    "open TCP 127.0.0.1:30080",
  ]);
});

test("a port that cannot be had is told of once, and tried again", async () => {
  const bench = new Bench();
  bench.apply([web]);
  const fail = (): void => bench.options.get("TCP 127.0.0.1:30080")?.onFailure(new Error("in use"));
  fail();
  expect(bench.events.splice(0)).toEqual([
    "close TCP 127.0.0.1:30080",
    "told of ns/web:http on 127.0.0.1: in use",
  ]);
  await bench.clock.advance(30_000);
  fail();
  expect(bench.events.splice(0)).toEqual(["open TCP 127.0.0.1:30080", "close TCP 127.0.0.1:30080"]);
  await bench.clock.advance(30_000);
  bench.options.get("TCP 127.0.0.1:30080")?.onListening();
  fail();
  expect(bench.events.at(-1)).toBe("told of ns/web:http on 127.0.0.1: in use");
});

test("a port that its Service gave up is not tried again", async () => {
  const bench = new Bench();
  bench.apply([web]);
  bench.options.get("TCP 127.0.0.1:30080")?.onFailure(new Error("in use"));
  expect(bench.apply([], ["ns/web"]).filter((event) => event.startsWith("open"))).toEqual([]);
  await bench.clock.advance(60_000);
  expect(bench.events).toEqual([]);
});

test("when it ends, everything does", () => {
  const bench = new Bench();
  bench.apply([web]);
  bench.forwarder.close();
  expect(bench.events.splice(0)).toEqual(["abort TCP 127.0.0.1:30080"]);
  expect(bench.apply([web])).toEqual([]);
});

test("when it ends, so do the connections of ports that were given up before", () => {
  const bench = new Bench();
  const other = servicePlan("ns/other", nodePort(30_081, ["10.0.0.1:80"]));
  bench.apply([web, other]);
  bench.apply([], ["ns/web", "ns/other"]);
  const [endOfWeb] = bench.endings;
  endOfWeb?.();
  bench.forwarder.close();
  expect(bench.events).toEqual(["abort TCP 127.0.0.1:30081"]);
});
