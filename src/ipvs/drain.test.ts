/**
 * Draining: what becomes of real servers and virtual servers that are no longer wanted.
 *
 * @module
 */
import { beforeEach, describe, expect, test } from "vitest";
import type { EndpointSliceObject } from "../proxier/objects.ts";
import { endpoint, port, service, slice } from "../proxier/testing.ts";
import type { FakeClientConnection } from "./netlink/testing.ts";
import { FakeNode } from "./testing.ts";

const web = { protocol: "TCP", address: "10.96.0.10", port: 80 } as const;
const drainMs = 900_000;

let node: FakeNode;

beforeEach(() => {
  node = new FakeNode();
});

async function start(...addresses: readonly string[]): Promise<void> {
  node.cluster.put(service(), slice(addresses));
  await node.sync();
}

async function put(...objects: readonly EndpointSliceObject[]): Promise<void> {
  node.cluster.put(...objects);
  await node.sync();
}

/** Connects until the connection is to that endpoint. */
function connectTo(target: string): FakeClientConnection {
  for (let tries = 0; tries < 10; tries++) {
    const connection = node.host.ipvs.connect(web);
    if (connection?.realServer === target) {
      return connection;
    }
  }
  throw new Error(`Cannot connect to ${target}`);
}

describe("an endpoint that goes", () => {
  test("gets no new connections, and is removed once it has none", async () => {
    await start("10.244.1.1", "10.244.1.2");
    const connection = connectTo("10.244.1.1:8080");
    await put(slice(["10.244.1.2"]));
    expect(await node.host.servers()).toContain("10.244.1.1:8080 0");
    expect(await node.backend.drain()).toBe(true);
    connection.close();
    expect(await node.backend.drain()).toBe(true);
    connection.expire();
    expect(await node.backend.drain()).toBe(false);
    expect(await node.host.servers()).toBe("TCP 10.96.0.10:80 rr\n  -> 10.244.1.2:8080 1\n");
  });

  test("is removed at the deadline, whatever it does", async () => {
    await start("10.244.1.1", "10.244.1.2");
    connectTo("10.244.1.1:8080");
    await put(slice(["10.244.1.2"]));
    await node.clock.advance(drainMs - 1);
    expect(await node.backend.drain()).toBe(true);
    await node.clock.advance(1);
    expect(await node.backend.drain()).toBe(false);
    expect(await node.host.servers()).not.toContain("10.244.1.1");
  });

  test("is looked at in its turn where many drain, and changes may come in between", async () => {
    const many = Array.from({ length: 40 }, (_, index) => {
      const name = `s${index}`;
      const slices = (...addresses: readonly string[]) => slice(addresses, { name, serviceName: name });
      return { service: service({ name, clusterIP: `10.96.1.${index}` }), slices };
    });
    for (const one of many) {
      node.cluster.put(one.service, one.slices("10.244.1.1", "10.244.1.2"));
    }
    await node.sync();
    for (const one of many) {
      node.cluster.put(one.slices("10.244.1.2"));
    }
    await node.sync();
    const draining = async () => (await node.host.servers()).match(/10\.244\.1\.1:8080 0/g)?.length ?? 0;
    expect(await node.backend.drainSome()).toBe(true);
    expect(await draining()).toBe(24);
    for (const one of many.slice(0, 30)) {
      node.cluster.put(one.slices("10.244.1.1", "10.244.1.2"));
    }
    await node.sync();
    expect(await node.backend.drainSome()).toBe(true);
    expect(await node.backend.drainSome()).toBe(false);
    expect(node.backend.hasDrainWork).toBe(false);
    expect((await node.host.servers()).match(/10\.244\.1\.1:8080 1/g)).toHaveLength(30);
    expect(await draining()).toBe(0);
  });

  test("gets its weight back on the same real server when it comes back", async () => {
    await start("10.244.1.1", "10.244.1.2");
    connectTo("10.244.1.1:8080");
    await put(slice(["10.244.1.2"]));
    const before = node.host.changes;
    await put(slice(["10.244.1.1", "10.244.1.2"]));
    expect(node.host.changes - before).toBe(1);
    expect(await node.backend.drain()).toBe(false);
    expect(await node.host.servers()).toContain("10.244.1.1:8080 1");
  });

  test("is removed at once when it serves datagrams, or the scheduler does not look at weights", async () => {
    const dns = service({ ports: [port({ protocol: "UDP" })] });
    const endpoints = (...addresses: readonly string[]): EndpointSliceObject =>
      slice(addresses, { ports: [{ name: "http", protocol: "UDP", port: 8080 }] });
    node.cluster.put(dns, endpoints("10.244.1.1", "10.244.1.2"));
    await node.sync();
    await put(endpoints("10.244.1.2"));
    expect(await node.host.servers()).toBe("UDP 10.96.0.10:80 rr\n  -> 10.244.1.2:8080 1\n");

    node = new FakeNode({ backend: { scheduler: "dh" } });
    await start("10.244.1.1", "10.244.1.2");
    await put(slice(["10.244.1.2"]));
    expect(await node.host.servers()).toBe("TCP 10.96.0.10:80 dh\n  -> 10.244.1.2:8080 1\n");
  });

  test("of datagrams keeps those that it has for as long as it serves", async () => {
    const dns = service({ ports: [port({ protocol: "UDP" })] });
    const endpoints = (...some: Parameters<typeof slice>[0]) =>
      slice(some, { ports: [{ name: "http", protocol: "UDP", port: 8080 }] });
    const leaving = endpoint("10.244.1.1", { ready: false, serving: true, terminating: true });
    node.cluster.put(dns, endpoints("10.244.1.1", "10.244.1.2"));
    await node.sync();
    await put(endpoints(leaving, "10.244.1.2"));
    const list = "UDP 10.96.0.10:80 rr\n  -> 10.244.1.1:8080 0\n  -> 10.244.1.2:8080 1\n";
    expect(await node.host.servers()).toBe(list);
    await node.clock.advance(2 * drainMs);
    expect(await node.backend.drain()).toBe(false);
    expect(await node.sync("everything")).toMatchObject({ written: 0, removed: 0 });
    expect(await node.backend.audit()).toBe(false);
    expect(await node.host.servers()).toBe(list);
    await put(endpoints("10.244.1.2"));
    expect(await node.host.servers()).toBe("UDP 10.96.0.10:80 rr\n  -> 10.244.1.2:8080 1\n");
  });

  test("is removed at once when no time is given", async () => {
    node = new FakeNode({ backend: { drainMs: 0 } });
    await start("10.244.1.1", "10.244.1.2");
    await put(slice(["10.244.1.2"]));
    expect(await node.host.servers()).not.toContain("10.244.1.1");
  });

  test("goes on draining after a restart, with a new deadline", async () => {
    await start("10.244.1.1", "10.244.1.2");
    connectTo("10.244.1.1:8080");
    await put(slice(["10.244.1.2"]));
    const again = new FakeNode({ host: node.host, cluster: node.cluster });
    again.cluster.planner.touchAll();
    expect(await again.sync("everything")).toMatchObject({ written: 0, removed: 0 });
    expect(await again.backend.drain()).toBe(true);
    await again.clock.advance(drainMs);
    expect(await again.backend.drain()).toBe(false);
    expect(await node.host.servers()).not.toContain("10.244.1.1");
  });

  test("drains from a restart on if it went meanwhile, and is wanted again if it came back", async () => {
    await start("10.244.1.1", "10.244.1.2");
    await put(slice(["10.244.1.2"]));
    node.cluster.put(slice(["10.244.1.1"]));
    const again = new FakeNode({ host: node.host, cluster: node.cluster });
    await again.sync("everything");
    expect(await node.host.servers()).toContain("10.244.1.1:8080 1\n  -> 10.244.1.2:8080 0");
  });

  test("is forgotten when somebody else has removed it", async () => {
    const { IpvsClient } = await import("./netlink/client.ts");
    await start("10.244.1.1", "10.244.1.2");
    connectTo("10.244.1.1:8080");
    await put(slice(["10.244.1.2"]));
    using client = new IpvsClient(node.host.ipvs.open());
    client.deleteRealServer(web, { address: "10.244.1.1", port: 8080 });
    expect(await node.backend.drain()).toBe(false);
  });
});

describe("a virtual server that goes", () => {
  test("stays for its connections, with its address, and refuses new ones", async () => {
    await start("10.244.1.1");
    const connection = connectTo("10.244.1.1:8080");
    node.cluster.drop(service());
    await node.sync();
    expect(node.host.ipvs.connect(web)).toBeUndefined();
    expect(await node.host.dump()).toBe(
      [
        "TCP 10.96.0.10:80 rr",
        "  -> 10.244.1.1:8080 0",
        "KUBE-IPVS-IPS 10.96.0.10",
        "KUBE-SLUICE-DRAINING 10.96.0.10,tcp:80",
        "KUBE-SLUICE-NODE-IP 192.168.0.2",
        "10.96.0.10",
        "",
      ].join("\n"),
    );
    connection.close();
    connection.expire();
    expect(await node.backend.drain()).toBe(false);
    expect(await node.host.dump()).toBe("KUBE-SLUICE-NODE-IP 192.168.0.2\n\n");
  });

  test("keeps its address while another port of the Service needs it", async () => {
    const ports = [port(), port({ name: "more", port: 81 })];
    const endpoints = slice(["10.244.1.1"], {
      ports: [
        { name: "http", protocol: "TCP", port: 8080 },
        { name: "more", protocol: "TCP", port: 8081 },
      ],
    });
    node.cluster.put(service({ ports }), endpoints);
    await node.sync();
    node.cluster.put(service());
    await node.sync();
    expect(await node.backend.drain()).toBe(false);
    expect(node.host.bound()).toEqual(["10.96.0.10"]);
    expect(await node.host.servers()).toBe("TCP 10.96.0.10:80 rr\n  -> 10.244.1.1:8080 1\n");
  });

  test("is what it was when the Service comes back", async () => {
    await start("10.244.1.1");
    const good = await node.host.dump();
    connectTo("10.244.1.1:8080");
    node.cluster.drop(service());
    await node.sync();
    node.cluster.put(service());
    await node.sync();
    expect(await node.host.dump()).toBe(good);
    expect(await node.backend.drain()).toBe(false);
  });

  test("lets the refusal stand before its own connections end when the last endpoint goes", async () => {
    await start("10.244.1.1");
    connectTo("10.244.1.1:8080");
    await put(slice([]));
    expect(node.host.entries()).toContain("KUBE-SLUICE-CLUSTER-IP-REJECT 10.96.0.10,tcp:80");
    expect(node.host.bound()).toEqual(["10.96.0.10"]);
    await put(slice(["10.244.1.1"]));
    expect(node.host.entries().filter((one) => /REJECT|DRAINING/.test(one))).toEqual([]);
  });

  test("goes on draining after a restart", async () => {
    node.cluster.put(
      service({ type: "NodePort", ports: [port({ nodePort: 30_080 })] }),
      slice(["10.244.1.1"]),
    );
    await node.sync();
    const connection = node.host.ipvs.connect({ ...web, address: "192.168.0.2", port: 30_080 });
    node.cluster.drop(service());
    await node.sync();
    await node.backend.drain();
    const again = new FakeNode({ host: node.host, cluster: node.cluster });
    await again.sync("everything");
    expect(await node.host.servers()).toBe("TCP 192.168.0.2:30080 rr\n  -> 10.244.1.1:8080 0\n");
    expect(await again.backend.drain()).toBe(true);
    connection?.close();
    connection?.expire();
    expect(await again.backend.drain()).toBe(false);
    expect(await node.host.dump()).toBe("KUBE-SLUICE-NODE-IP 192.168.0.2\n\n");
  });
});
