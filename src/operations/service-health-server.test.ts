/**
 * Tests of the Services' health-check servers: real sockets on loopback, and a fake opener for what cannot be bound.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { ServiceHealth } from "../proxier/plan.ts";
import { type ListenAddress, type Listener, openListener } from "./http-listener.ts";
import type { HttpHandler } from "./http-message.ts";
import {
  type HealthCheckPortFailure,
  ServiceHealthServer,
  type ServiceHealthServerOptions,
} from "./service-health-server.ts";
import { changeOf, planOf, rawRequest, servicePlan } from "./testing.ts";

/** Applies a change after which exactly the given Services among `named` exist. */
function apply(
  server: ServiceHealthServer,
  named: readonly string[],
  present: Record<string, ServiceHealth>,
): Promise<void> {
  const plan = planOf(Object.entries(present).map(([key, health]) => servicePlan(key, { health })));
  return server.applyChange(plan, changeOf(...named));
}

/** Opens nothing; remembers what is open, and its handlers. */
class FakeOpener {
  readonly open = new Map<string, HttpHandler>();
  readonly log: string[] = [];
  readonly refused = new Set<string>();

  readonly listen = (handler: HttpHandler, { host, port }: ListenAddress): Promise<Listener> => {
    const key = `${host}:${port}`;
    if (this.refused.has(key) || this.open.has(key)) {
      return Promise.reject(new Error(`Cannot listen on ${key}: EADDRINUSE`));
    }
    this.open.set(key, handler);
    this.log.push(`open ${key}`);
    const close = (): Promise<void> => {
      this.open.delete(key);
      this.log.push(`close ${key}`);
      return Promise.resolve();
    };
    return Promise.resolve({ address: { host, port }, close });
  };
}

function serverWith(
  opener: FakeOpener,
  part: Partial<ServiceHealthServerOptions> = {},
): { server: ServiceHealthServer; failures: HealthCheckPortFailure[]; errors: unknown[] } {
  const failures: HealthCheckPortFailure[] = [];
  const errors: unknown[] = [];
  const server = new ServiceHealthServer({
    family: "IPv4",
    nodeName: "node-1",
    hosts: undefined,
    isProxyHealthy: () => true,
    onFailure: (failure) => failures.push(failure),
    onError: (error) => errors.push(error),
    open: opener.listen,
    ...part,
  });
  return { server, failures, errors };
}

test("ServiceHealthServer answers any path on the wire as kube-proxy does", async () => {
  let healthy = true;
  let port = 0;
  const { server } = serverWith(new FakeOpener(), {
    hosts: ["127.0.0.1"],
    isProxyHealthy: () => healthy,
    open: async (handler, { host }, options) => {
      const listener = await openListener(handler, { host, port: 0 }, options);
      port = listener.address.port;
      return listener;
    },
  });
  await apply(server, ["ns/svc"], { "ns/svc": { port: 30001, localEndpoints: 2 } });
  const answer = await rawRequest(port, "/any?path", { method: "POST" });
  const [head = "", body] = answer.split("\r\n\r\n");
  expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(head).toContain(
    "\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\nX-Load-Balancing-Endpoint-Weight: 2\r\n",
  );
  expect(body).toBe(
    '{\n\t"service": {\n\t\t"namespace": "ns",\n\t\t"name": "svc"\n\t},\n\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}',
  );
  healthy = false;
  expect(await rawRequest(port, "/")).toMatch(
    /^HTTP\/1\.1 503 [\s\S]*Weight: 2\r\n[\s\S]*"serviceProxyHealthy": false\n}$/,
  );
  await server.close();
  await expect(rawRequest(port, "/")).rejects.toThrow();
});

test.each([
  ["IPv4", "0.0.0.0:30001"],
  ["IPv6", ":::30001"],
] as const)("ServiceHealthServer listens on all addresses of %s without a list", async (family, address) => {
  const opener = new FakeOpener();
  const { server } = serverWith(opener, { family });
  await apply(server, ["ns/a"], { "ns/a": { port: 30001, localEndpoints: 1 } });
  expect([...opener.open.keys()]).toEqual([address]);
});

test("applyChange() leaves listeners of unchanged ports alone and follows the counts", async () => {
  const opener = new FakeOpener();
  const { server } = serverWith(opener);
  await apply(server, ["ns/a", "ns/b"], {
    "ns/a": { port: 30001, localEndpoints: 1 },
    "ns/b": { port: 30002, localEndpoints: 1 },
  });
  await apply(server, ["ns/a"], { "ns/a": { port: 30001, localEndpoints: 0 } });
  expect(opener.log).toEqual(["open 0.0.0.0:30001", "open 0.0.0.0:30002"]);
  expect(opener.open.get("0.0.0.0:30001")?.({} as never)).toMatchObject({ status: 503 });
  expect(opener.open.get("0.0.0.0:30002")?.({} as never)).toMatchObject({ status: 200 });
});

test("applyChange() frees every port before it opens any, so that Services can exchange theirs", async () => {
  const opener = new FakeOpener();
  const { server, failures } = serverWith(opener);
  const both = ["ns/a", "ns/b"];
  await apply(server, both, {
    "ns/a": { port: 30001, localEndpoints: 1 },
    "ns/b": { port: 30002, localEndpoints: 1 },
  });
  await apply(server, both, {
    "ns/a": { port: 30002, localEndpoints: 1 },
    "ns/b": { port: 30001, localEndpoints: 1 },
  });
  expect(failures).toEqual([]);
  expect(opener.open.get("0.0.0.0:30002")?.({} as never)).toMatchObject({
    body: expect.stringContaining('"name": "a"'),
  });
});

test("applyChange() reports a port that it cannot open, opens the others, and tries again at the next sync", async () => {
  const opener = new FakeOpener();
  const { server, failures } = serverWith(opener, { hosts: ["10.0.0.1", "10.0.0.2"] });
  opener.refused.add("10.0.0.2:30001");
  await apply(server, ["ns/a", "ns/b"], {
    "ns/a": { port: 30001, localEndpoints: 1 },
    "ns/b": { port: 30002, localEndpoints: 1 },
  });
  expect([...opener.open.keys()]).toEqual(["10.0.0.1:30002", "10.0.0.2:30002"]);
  expect(failures).toEqual([
    {
      service: "ns/a",
      port: 30001,
      note: 'node node-1 failed to start healthcheck "ns/a" on port 30001: Cannot listen on 10.0.0.2:30001: EADDRINUSE',
      error: new Error("Cannot listen on 10.0.0.2:30001: EADDRINUSE"),
    },
  ]);
  await apply(server, [], {});
  expect(failures).toHaveLength(2);
  opener.refused.clear();
  await apply(server, [], {});
  expect(failures).toHaveLength(2);
  expect(opener.open.has("10.0.0.1:30001")).toBe(true);
  expect(opener.open.has("10.0.0.2:30001")).toBe(true);
});

test("setHosts() follows the node's addresses", async () => {
  const opener = new FakeOpener();
  const { server } = serverWith(opener, { hosts: ["10.0.0.1"] });
  await apply(server, ["ns/a"], { "ns/a": { port: 30001, localEndpoints: 1 } });
  await server.setHosts(["10.0.0.2"]);
  expect([...opener.open.keys()]).toEqual(["10.0.0.2:30001"]);
  await server.setHosts(undefined);
  expect([...opener.open.keys()]).toEqual(["0.0.0.0:30001"]);
});

test("setHosts() with the same addresses touches nothing, whatever the order of calls", async () => {
  const opener = new FakeOpener();
  const { server } = serverWith(opener, { hosts: ["10.0.0.1"] });
  await apply(server, ["ns/a"], { "ns/a": { port: 30001, localEndpoints: 1 } });
  const before = opener.open.get("10.0.0.1:30001");
  await server.setHosts(["10.0.0.1"]);
  expect(opener.open.get("10.0.0.1:30001")).toBe(before);
});

test("a request that arrives when its Service is gone gets an empty 200 and is reported", async () => {
  const opener = new FakeOpener();
  const { server, errors } = serverWith(opener);
  await apply(server, ["ns/a"], { "ns/a": { port: 30001, localEndpoints: 1 } });
  const late = opener.open.get("0.0.0.0:30001");
  await apply(server, ["ns/a"], {});
  expect(late?.({} as never)).toEqual({ status: 200, headers: {}, body: "" });
  expect(errors).toHaveLength(1);
});

test("close() closes everything, and nothing is opened afterwards", async () => {
  const opener = new FakeOpener();
  const { server } = serverWith(opener);
  const present = { "ns/a": { port: 30001, localEndpoints: 1 } };
  const opening = apply(server, ["ns/a"], present);
  await Promise.all([
    opening,
    server.close(),
    apply(server, ["ns/b"], { "ns/b": { port: 30002, localEndpoints: 1 } }),
  ]);
  expect([...opener.open.keys()]).toEqual([]);
});
