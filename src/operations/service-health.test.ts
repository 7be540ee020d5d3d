/**
 * Tests of the Services' health-check ports as a value: replies byte by byte, the difference, and random histories.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type HealthCheckListener, ServiceHealthPorts, serviceHealthReply } from "./service-health.ts";

const body = (endpoints: number, healthy: boolean): string =>
  `{\n\t"service": {\n\t\t"namespace": "ns",\n\t\t"name": "svc"\n\t},\n\t"localEndpoints": ${endpoints},\n\t"serviceProxyHealthy": ${healthy}\n}`;

test.each([
  [0, true, 503],
  [1, true, 200],
  [7, true, 200],
  [7, false, 503],
  [0, false, 503],
])(
  "serviceHealthReply() for %d endpoints and a healthy proxy %s has status %d",
  (endpoints, healthy, status) => {
    expect(serviceHealthReply("ns/svc", endpoints, healthy)).toEqual({
      status,
      headers: {
        "Content-Type": "application/json",
        "X-Content-Type-Options": "nosniff",
        "X-Load-Balancing-Endpoint-Weight": String(endpoints),
      },
      body: body(endpoints, healthy),
    });
  },
);

/** Does what is pending, except for ports that cannot be bound. @returns what was done */
function settle(
  ports: ServiceHealthPorts,
  open: Set<string>,
  refused: ReadonlySet<number> = new Set(),
): string[] {
  const text = (one: HealthCheckListener): string => `${one.service} ${one.host} ${one.port}`;
  const done: string[] = [];
  for (const work of ports.pending()) {
    for (const one of work.close) {
      expect(open.delete(text(one))).toBe(true);
      ports.closed(one);
      done.push(`close ${text(one)}`);
    }
    if (work.open.some((one) => refused.has(one.port))) {
      continue;
    }
    for (const one of work.open) {
      expect(open.has(text(one))).toBe(false);
      open.add(text(one));
      ports.opened(one);
      done.push(`open ${text(one)}`);
    }
  }
  return done;
}

describe("ServiceHealthPorts", () => {
  test("opens a listener per address and closes it with the Service", () => {
    const ports = new ServiceHealthPorts(["10.0.0.1", "10.0.0.2"]);
    const open = new Set<string>();
    ports.set("ns/a", { port: 30001, localEndpoints: 0 });
    ports.set("ns/b", undefined);
    expect(settle(ports, open)).toEqual(["open ns/a 10.0.0.1 30001", "open ns/a 10.0.0.2 30001"]);
    expect(ports.pending()).toEqual([]);
    ports.set("ns/a", undefined);
    expect(settle(ports, open)).toEqual(["close ns/a 10.0.0.1 30001", "close ns/a 10.0.0.2 30001"]);
    expect(ports.reply("ns/a", true)).toBeUndefined();
  });

  test("leaves a listener alone when only the number of endpoints changes", () => {
    const ports = new ServiceHealthPorts(["0.0.0.0"]);
    ports.set("ns/svc", { port: 30001, localEndpoints: 0 });
    settle(ports, new Set());
    ports.set("ns/svc", { port: 30001, localEndpoints: 2 });
    expect(ports.pending()).toEqual([]);
    expect(ports.reply("ns/svc", true)).toMatchObject({ status: 200, body: body(2, true) });
    expect(ports.reply("ns/svc", false)).toMatchObject({ status: 503, body: body(2, false) });
  });

  test("closes and opens when the port number changes", () => {
    const ports = new ServiceHealthPorts(["0.0.0.0"]);
    const open = new Set<string>();
    ports.set("ns/a", { port: 30001, localEndpoints: 1 });
    settle(ports, open);
    ports.set("ns/a", { port: 30002, localEndpoints: 1 });
    expect(settle(ports, open)).toEqual(["close ns/a 0.0.0.0 30001", "open ns/a 0.0.0.0 30002"]);
  });

  test("goes on wanting what could not be opened", () => {
    const ports = new ServiceHealthPorts(["0.0.0.0"]);
    const open = new Set<string>();
    ports.set("ns/a", { port: 30001, localEndpoints: 1 });
    ports.set("ns/b", { port: 30002, localEndpoints: 1 });
    expect(settle(ports, open, new Set([30001]))).toEqual(["open ns/b 0.0.0.0 30002"]);
    expect(settle(ports, open)).toEqual(["open ns/a 0.0.0.0 30001"]);
  });

  test("setHosts() opens on new addresses, closes on lost ones and keeps the rest", () => {
    const ports = new ServiceHealthPorts(["10.0.0.1", "10.0.0.2"]);
    const open = new Set<string>();
    ports.set("ns/a", { port: 30001, localEndpoints: 1 });
    settle(ports, open);
    ports.setHosts(["10.0.0.2", "10.0.0.3"]);
    expect(settle(ports, open)).toEqual(["close ns/a 10.0.0.1 30001", "open ns/a 10.0.0.3 30001"]);
  });

  test("ends at the same listeners by any road", () => {
    const service = fc.constantFrom("ns/a", "ns/b", "ns/c");
    const health = fc.option(
      fc.record({ port: fc.integer({ min: 30000, max: 30003 }), localEndpoints: fc.nat(3) }),
      { nil: undefined },
    );
    const hosts = fc.uniqueArray(fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3"));
    const step = fc.oneof(
      fc.tuple(fc.constant("set" as const), service, health),
      fc.tuple(fc.constant("hosts" as const), hosts),
      fc.tuple(fc.constant("settle" as const), fc.uniqueArray(fc.integer({ min: 30000, max: 30003 }))),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30, size: "max" }), (steps) => {
        const ports = new ServiceHealthPorts([]);
        const open = new Set<string>();
        const wanted = new Map<string, number>();
        let current: readonly string[] = [];
        for (const one of steps) {
          if (one[0] === "hosts") {
            current = one[1];
            ports.setHosts(one[1]);
          } else if (one[0] === "settle") {
            settle(ports, open, new Set(one[1]));
          } else {
            ports.set(one[1], one[2]);
            wanted.delete(one[1]);
            if (one[2] !== undefined) {
              wanted.set(one[1], one[2].port);
            }
          }
        }
        settle(ports, open);
        const expected = [...wanted].flatMap(([name, port]) =>
          current.map((host) => `${name} ${host} ${port}`),
        );
        expect([...open].sort()).toEqual(expected.sort());
        expect(ports.pending()).toEqual([]);
      }),
    );
  });
});
