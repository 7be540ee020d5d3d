/**
 * Audits: what they find, what they leave alone while changes go on, and that they hold up nobody.
 *
 * @module
 */
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import type { ServiceObject } from "../proxier/objects.ts";
import { port, service, slice } from "../proxier/testing.ts";
import { roundsForAll } from "./audit.ts";
import { IpvsClient } from "./netlink/client.ts";
import { type FakeHost, FakeNode } from "./testing.ts";

const web = { protocol: "TCP", address: "10.96.0.10", port: 80 } as const;
const nodePort = { type: "NodePort", ports: [port({ nodePort: 30_080 })], externalTrafficPolicy: "Local" };

let node: FakeNode;

function numbered(index: number): ServiceObject {
  return service({ name: `s${index}`, clusterIP: `10.96.${1 + (index >> 8)}.${index & 255}` });
}

function endpointsOf(index: number, ...last: readonly number[]): ReturnType<typeof slice> {
  return slice(
    last.map((one) => `10.244.1.${one}`),
    { name: `s${index}-1`, serviceName: `s${index}` },
  );
}

function deviceOf(host: FakeHost): number {
  return [...host.route.links.values()].find(({ name }) => name === "kube-ipvs0")?.index ?? 0;
}

/** A turn of the event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What somebody else may do to a node that serves `ns/web` with a node port. */
const harms: Readonly<Record<string, (host: FakeHost, client: IpvsClient) => void>> = {
  "deletes a virtual server": (_, client) => client.deleteVirtualServer(web, { tolerant: true }),
  "edits a virtual server": (_, client) => {
    if (client.findVirtualServer(web) !== undefined) {
      client.editVirtualServer({ ...web, scheduler: "wlc" });
    }
  },
  "adds a virtual server to an address of ours": (_, client) =>
    client.addVirtualServer({ ...web, port: 81, scheduler: "rr" }, { tolerant: true }),
  "adds a real server": (_, client) => {
    if (client.findVirtualServer(web) !== undefined) {
      const real = { address: "10.9.9.9", port: 9, forwarding: "masquerade", weight: 0 } as const;
      client.addRealServer(web, real, { tolerant: true });
    }
  },
  "flushes IPVS": (_, client) => client.flush(),
  "empties a set": (host) => host.ipset.sets.get("KUBE-CLUSTER-IP")?.entries.clear(),
  "adds an entry": (host) => {
    const entry = { type: "hash:ip,port", address: "10.96.7.7", port: 7, protocol: 6 } as const;
    host.ipset.sets.get("KUBE-CLUSTER-IP")?.entries.set("10.96.7.7,tcp:7", entry);
  },
  "changes a mark": (host) => {
    const entries = host.ipset.sets.get("KUBE-SLUICE-MARK")?.entries;
    for (const [text, entry] of entries ?? []) {
      entries?.set(text, { ...entry, mark: 7 } as typeof entry);
    }
  },
  "destroys a set": (host) => {
    host.tables.IPv4.flush();
    host.ipset.sets.delete("KUBE-IPVS-IPS");
  },
  "takes an address away": (host) => {
    if (host.bound().includes("10.96.0.10")) {
      host.removeAddress("10.96.0.10");
    }
  },
  "adds an address": (host) => {
    if (deviceOf(host) !== 0 && !host.bound().includes("10.96.77.77")) {
      host.addAddress(deviceOf(host), "10.96.77.77");
    }
  },
  "deletes the device": (host) => {
    const device = deviceOf(host);
    host.route.links.delete(device);
    for (const text of host.bound()) {
      host.removeAddress(text);
    }
    const { addresses } = host.route;
    addresses.splice(0, addresses.length, ...addresses.filter((one) => one.interfaceIndex !== device));
  },
  "edits a chain": (host) => host.tables.IPv4.edit("nat", "KUBE-SERVICES", () => []),
  "flushes iptables": (host) => host.tables.IPv4.flush(),
};

beforeEach(async () => {
  node = new FakeNode({ backend: { drainMs: 0 } });
  node.cluster.put(service(nodePort), slice(["10.244.1.1", "10.244.1.2"]), numbered(1), endpointsOf(1, 5));
  await node.sync();
});

async function state(): Promise<string> {
  return `${await node.host.dump()}${node.host.tables.IPv4.save()}`;
}

describe("IpvsBackend.audit()", () => {
  test("finds nothing before the first sync, and where nothing is wrong; writes nothing", async () => {
    expect(await new FakeNode().backend.audit()).toBe(false);
    const before = await state();
    expect(await node.backend.audit()).toBe(false);
    expect(await state()).toBe(before);
    expect(await node.sync()).toMatchObject({ written: 0, removed: 0, repaired: 0 });
  });

  test.each(Object.keys(harms))(
    "finds it when somebody %s; the next sync of changes repairs it",
    async (what) => {
      const good = await state();
      using client = new IpvsClient(node.host.ipvs.open());
      harms[what]?.(node.host, client);
      expect(await state()).not.toBe(good);
      expect(await node.backend.audit()).toBe(true);
      const report = await node.sync();
      expect(report).toMatchObject({ quarantined: [] });
      expect(report.repaired).toBe(report.written + report.removed);
      expect(await state()).toBe(good);
      expect(await node.backend.audit()).toBe(false);
      expect(await node.sync("everything")).toMatchObject({ written: 0, removed: 0 });
    },
  );

  test("leaves alone what is not ours", async () => {
    using client = new IpvsClient(node.host.ipvs.open());
    client.addVirtualServer({ protocol: "TCP", address: "192.168.0.2", port: 443, scheduler: "wlc" });
    client.addVirtualServer({ firewallMark: 7, family: "IPv4", scheduler: "wlc" });
    expect(await node.backend.audit()).toBe(false);
  });

  test("asks nobody for real servers that the table's text shows as known, but for a few in turn", async () => {
    for (let index = 2; index < 100; index++) {
      node.cluster.put(numbered(index), endpointsOf(index, 1, 2));
    }
    await node.sync();
    const asked: number[] = [];
    for (let round = 0; round < roundsForAll; round++) {
      const before = node.host.realServerReads;
      expect(await node.backend.audit()).toBe(false);
      asked.push(node.host.realServerReads - before);
    }
    const servers = (await node.host.servers()).match(/^\S/gm)?.length;
    expect(asked.reduce((sum, one) => sum + one)).toBe(servers);
    expect(Math.max(...asked)).toBeLessThan(30);
  });

  test("reads no text where no virtual server is known", async () => {
    const empty = new FakeNode();
    await empty.sync();
    let reads = 0;
    empty.host.tableText = () => {
      reads += 1;
      return "";
    };
    expect(await empty.backend.audit()).toBe(false);
    expect(reads).toBe(0);
    empty.cluster.put(numbered(1), endpointsOf(1, 5));
    await empty.sync();
    expect(await empty.backend.audit()).toBe(false);
    expect(reads).toBe(1);
  });

  test("finds thresholds, of which the text says nothing, within so many audits", async () => {
    using client = new IpvsClient(node.host.ipvs.open());
    const real = { address: "10.244.1.1", port: 8080, forwarding: "masquerade", weight: 1 } as const;
    client.editRealServer(web, { ...real, upperThreshold: 5 });
    let audits = 1;
    while (!(await node.backend.audit())) {
      audits += 1;
      expect(audits).toBeLessThanOrEqual(roundsForAll);
    }
    expect(await node.sync()).toMatchObject({ repaired: 1 });
    expect((await client.listRealServers(web)).map((one) => one.upperThreshold)).toEqual([
      undefined,
      undefined,
    ]);
  });

  test.each([
    ["is not there", () => ""],
    ["ends early", (text: string) => text.slice(0, text.length / 2)],
    ["makes no sense", (text: string) => text.replaceAll("TCP", "ABC")],
    ["is that of an hour ago", (_: string, old: string) => old],
  ])("does its work where the text %s", async (_, change) => {
    const old = node.host.ipvs.table();
    using client = new IpvsClient(node.host.ipvs.open());
    node.host.tableText = () => change(node.host.ipvs.table(), old);
    expect(await node.backend.audit()).toBe(false);
    client.deleteVirtualServer(web);
    expect(await node.backend.audit()).toBe(true);
    expect(await node.sync()).toMatchObject({ repaired: 3 });
    expect(await node.backend.audit()).toBe(false);
  });

  test("repairs what it found and nothing else", async () => {
    using client = new IpvsClient(node.host.ipvs.open());
    client.deleteRealServer(web, { address: "10.244.1.1", port: 8080 });
    node.cluster.put(numbered(2), endpointsOf(2, 6));
    expect(await node.backend.audit()).toBe(true);
    const before = node.host.changes;
    expect(await node.sync()).toMatchObject({ written: 6, repaired: 1, full: false });
    expect(node.host.changes - before).toBe(6);
  });

  test("does not repair what was changed on purpose since", async () => {
    using client = new IpvsClient(node.host.ipvs.open());
    client.deleteVirtualServer(web);
    expect(await node.backend.audit()).toBe(true);
    node.cluster.drop(service(nodePort));
    await node.sync();
    expect(await node.host.servers()).not.toContain("10.96.0.10");
    expect(await node.backend.audit()).toBe(false);
  });

  test("takes no change for drift that is made while it reads, and holds none up", async () => {
    for (let index = 2; index < 300; index++) {
      node.cluster.put(numbered(index), endpointsOf(index, 1, 2));
    }
    await node.sync();
    let over = false;
    const audit = node.backend.audit().finally(() => {
      over = true;
    });
    let syncs = 0;
    for (; !over; syncs++) {
      const index = 2 + ((syncs * 37) % 298);
      switch (syncs % 4) {
        case 0:
          node.cluster.put(endpointsOf(index, 2, 3));
          break;
        case 1:
          node.cluster.drop(numbered(index));
          break;
        case 2:
          node.cluster.put(numbered(1_000 + syncs), endpointsOf(1_000 + syncs, 9));
          break;
        default:
          node.cluster.put(service({ name: `s${index}`, sessionAffinity: "ClientIP" }));
      }
      await node.sync();
      await turn();
    }
    expect(syncs).toBeGreaterThan(10);
    expect(await audit).toBe(false);
    expect(await node.sync()).toMatchObject({ written: 0, removed: 0 });
    expect(await node.sync("everything")).toMatchObject({ written: 0, removed: 0 });
  });

  test("counts for nothing when everything was read anew meanwhile", async () => {
    using client = new IpvsClient(node.host.ipvs.open());
    client.deleteVirtualServer(web);
    const audit = node.backend.audit();
    await node.sync("everything");
    expect(await audit).toBe(false);
    expect(await node.sync()).toMatchObject({ written: 0, removed: 0 });
  });

  test("with whatever goes on beside it, the kernel ends as if nobody had harmed it", async () => {
    type Step = "audit" | "change" | "remove" | "sync" | "turn" | keyof typeof harms;
    const anyStep = fc.constantFrom<Step>(
      "audit",
      "audit",
      "change",
      "change",
      "remove",
      "sync",
      "sync",
      "turn",
      "turn",
      // Without the Service nothing tells that this virtual server is not somebody else's.
      ...Object.keys(harms).filter((one) => one !== "adds a virtual server to an address of ours"),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 30, size: "max" }), async (steps) => {
        const wild = new FakeNode({ backend: { drainMs: 0 } });
        const calm = new FakeNode({ backend: { drainMs: 0 } });
        using client = new IpvsClient(wild.host.ipvs.open());
        for (const one of [wild, calm]) {
          one.cluster.put(service(nodePort), slice(["10.244.1.1"]));
          await one.sync();
        }
        const audits: Promise<unknown>[] = [];
        let endpoint = 1;
        for (const step of steps) {
          switch (step) {
            case "audit":
              audits.push(wild.backend.audit().catch(() => undefined));
              break;
            case "change":
              endpoint += 1;
              for (const one of [wild, calm]) {
                one.cluster.put(service(nodePort), slice([`10.244.1.${endpoint % 7}`, "10.244.2.1"]));
              }
              break;
            case "remove":
              for (const one of [wild, calm]) {
                one.cluster.drop(service(nodePort));
              }
              break;
            case "sync":
              await wild.sync().catch(() => undefined);
              break;
            case "turn":
              await turn();
              break;
            default:
              harms[step]?.(wild.host, client);
          }
        }
        await Promise.all(audits);
        await wild.sync().catch(() => undefined);
        await wild.sync("everything");
        const again = await wild.backend.audit();
        await calm.sync();
        await calm.sync("everything");
        await wild.backend.drain();
        await calm.backend.drain();
        expect(await wild.host.dump()).toBe(await calm.host.dump());
        expect(again).toBe(false);
      }),
      { numRuns: 30 },
    );
  });
});

describe("IpvsBackend.noteFlush()", () => {
  test("has the next sync write the rules that are gone", async () => {
    const good = await state();
    node.host.tables.IPv4.flush();
    expect(await node.sync()).toMatchObject({ written: 0 });
    node.backend.noteFlush();
    const { written, repaired } = await node.sync();
    expect(written).toBeGreaterThan(10);
    expect(repaired).toBe(written);
    expect(await state()).toBe(good);
  });
});
