/**
 * The mode of a node is changed while the program runs and traffic goes on: nobody notices, and nothing is left.
 *
 * @module
 */
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect } from "vitest";
import { Daemon } from "../daemon/daemon.ts";
import { eventually } from "../daemon/eventually.ts";
import { Manifests } from "../daemon/manifests.ts";
import { type ApiObject, type ServiceShape, withPods } from "../daemon/objects.ts";
import { type Client, type Cluster, createCluster, type Node } from "../harness/cluster.ts";
import { describeInGuest } from "./guest.ts";
import { connect, vip } from "./stage.ts";
import { Traffic } from "./traffic.ts";

const switches = 10;
const nodePort = 30_080;

const web: ServiceShape = {
  name: "web",
  clusterIP: vip,
  ports: [{ port: 80, targetPort: 8080, nodePort }],
  spec: { type: "NodePort" },
};
const web6: ServiceShape = {
  name: "web6",
  clusterIP: "fd00:10:96::a",
  ports: [{ port: 80, targetPort: 8080 }],
};
const dns: ServiceShape = {
  name: "dns",
  clusterIP: "10.96.0.11",
  ports: [{ port: 53, targetPort: 8080, protocol: "UDP" }],
};
const sticky: ServiceShape = {
  name: "sticky",
  clusterIP: "10.96.0.12",
  ports: [{ port: 53, targetPort: 8080, protocol: "UDP" }],
  spec: { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } } },
};
const empty: ServiceShape = { name: "empty", clusterIP: "10.96.0.13", ports: [{ port: 80 }] };

let cluster: Cluster;
let node: Node;
let client: Client;
let manifests: Manifests;

type Mode = "iptables" | "ipvs";

function others(): readonly ApiObject[] {
  return [web6, dns, sticky].flatMap((shape) => withPods(shape, cluster.pods));
}

function objects(): readonly ApiObject[] {
  return [...others(), ...withPods(web, cluster.pods), ...withPods(empty, [])];
}

function prepare(): void {
  beforeAll(async () => {
    cluster = await createCluster({ nodes: 2, podsPerNode: 1, ipv6: true, variant: "legacy" });
    node = cluster.node(0);
    client = cluster.client;
    await Promise.all(cluster.pods.map((pod) => pod.agent.listen({ tcp: [8080], udp: [8080] })));
    for (const prefix of ["10.96.0.0/16", "fd00:10:96::/112"]) {
      await cluster.routeClient(prefix, node);
    }
    manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
    manifests.set(objects());
  });
  afterAll(() => cluster.remove());
}

/** Settings of a mode. What ends with a connection shall not take minutes here. */
function settings(mode: Mode, drainTimeout = "15m") {
  const periods = { syncPeriod: "1s", minSyncPeriod: "10ms" };
  return {
    mode,
    iptables: periods,
    ipvs: periods,
    sluice: { iptables: { variant: "legacy" }, ipvs: { drainTimeout } },
  };
}

function start(mode: Mode, drainTimeout?: string): Promise<Daemon> {
  return Daemon.start(node, { from: { manifests: manifests.path }, config: settings(mode, drainTimeout) });
}

async function switchTo(daemon: Daemon, mode: Mode, drainTimeout?: string): Promise<void> {
  const mark = daemon.log.mark();
  daemon.configure(settings(mode, drainTimeout));
  await daemon.configured(mark);
}

/** What went wrong; warnings about the configuration are no concern here. */
function errors({ log }: Daemon): readonly unknown[] {
  return log.complaints().filter(({ level }) => level === "error");
}

const builtIn = /^-A (INPUT|OUTPUT|FORWARD|PREROUTING|POSTROUTING) /;

/** The first address of a network. */
function gatewayOf(cidr: string): string {
  return cidr.replace(/(0)?\/\d+$/, "1");
}

/**
 * All that a mode leaves in the kernel, as far as it does not change by itself. In a built-in chain each jump stands where it
 * was inserted, and endpoints are in an order of the node's.
 */
async function left(of: Node = node): Promise<Readonly<Record<string, readonly string[]>>> {
  const lines = async (...argv: readonly string[]): Promise<readonly string[]> =>
    (await of.exec(argv, { anyStatus: true, timeoutSeconds: 60 })).stdout
      .replaceAll(of.ip, "NODE")
      .replaceAll(of.ip6 ?? "none", "NODE6")
      // The gateway of the node's own pods takes node ports as well.
      .replaceAll(gatewayOf(of.addresses.podCidr), "GATEWAY")
      .replaceAll(gatewayOf(of.addresses.podCidr6 ?? "none"), "GATEWAY6")
      .split("\n")
      // The marker tells by its port how often the objects have changed.
      .filter((line) => !/10\.111\.0\.1|fd00:10:111::1/.test(line));
  const rules = async (tool: string): Promise<readonly string[]> => {
    const all = (await lines(tool))
      // kubelet's chains stay, also the one that iptables mode has a rule in.
      .filter((line) => /^[:*-]/.test(line) && !/KUBE-(IPTABLES-HINT|FIREWALL)/.test(line))
      .map((line) => line.replace(/ \[.*/, ""));
    return [
      ...all.filter((line) => !builtIn.test(line)),
      ...all.filter((line) => builtIn.test(line)).toSorted(),
    ];
  };
  return {
    IPv4: await rules("iptables-legacy-save"),
    IPv6: await rules("ip6tables-legacy-save"),
    servers: (await lines("ipvsadm", "-Sn")).toSorted(),
    sets: (await lines("ipset", "save"))
      .map((line) => line.replace(/ hashsize \d+| initval \S+/g, ""))
      .toSorted(),
    links: (await lines("ip", "-o", "link")).flatMap((line) => /kube-ipvs0.*(UP|DOWN)/.exec(line)?.[0] ?? []),
    addresses: (await lines("ip", "-o", "addr", "show", "dev", "kube-ipvs0"))
      .map((line) => line.replace(/^\d+: /, ""))
      .toSorted(),
  };
}

/** What each mode leaves on a node that never had the other one. */
const fresh: Partial<Record<Mode, Awaited<ReturnType<typeof left>>>> = {};

async function becomes(mode: Mode): Promise<void> {
  const isClean = async (): Promise<boolean> => JSON.stringify(await left()) === JSON.stringify(fresh[mode]);
  await eventually(`nothing but ${mode} mode`, isClean).catch(() => undefined);
  expect(await left()).toEqual(fresh[mode]);
}

const refused = "The new configuration is refused: the old one stays in force";

const tests = {
  "each mode leaves something else": async () => {
    for (const [mode, of] of [
      ["iptables", node],
      ["ipvs", cluster.node(1)],
    ] as const) {
      const options = { from: { manifests: manifests.path }, config: settings(mode) };
      await using daemon = await Daemon.start(of, options);
      fresh[mode] = await left(of);
      await daemon.stop();
    }
    expect(fresh.iptables).not.toEqual(fresh.ipvs);
  },

  "ten switches under traffic cost no connection, no stream and no datagram": async () => {
    await using daemon = await start("iptables");
    const pod = node.pod("pod1-1");
    const traffic = await Traffic.start(
      [
        { from: client, ip: web.clusterIP, port: 80 },
        { from: client, ip: node.ip, port: nodePort },
        { from: client, ip: web6.clusterIP, port: 80 },
        { from: pod, ip: web.clusterIP, port: 80 },
        { from: node, ip: web.clusterIP, port: 80 },
        { from: node, ip: "127.0.0.1", port: nodePort },
        { from: pod, ip: sticky.clusterIP, port: 53, protocol: "UDP" },
      ],
      [
        { from: client, ip: web.clusterIP, port: 80 },
        { from: client, ip: node.ip, port: nodePort },
        { from: pod, ip: web.clusterIP, port: 80 },
        { from: node, ip: web.clusterIP, port: 80 },
        { from: node, ip: "127.0.0.1", port: nodePort },
        { from: client, ip: dns.clusterIP, port: 53, protocol: "UDP" },
        { from: client, ip: sticky.clusterIP, port: 53, protocol: "UDP" },
      ],
    );
    for (let count = 1; count <= switches; count++) {
      await switchTo(daemon, count % 2 === 1 ? "ipvs" : "iptables");
      await traffic.flows();
    }
    expect(await traffic.stop()).toEqual([]);
    expect((await daemon.get(10_249, "/proxyMode")).body).toBe("iptables");
    const count = 'kube_sluice_mode_switches_total{from="ipvs",to="iptables",result="switched"}';
    expect(await daemon.metric(count)).toBe(String(switches / 2));
    expect(errors(daemon)).toEqual([]);
  },

  "nothing of the other mode is left, as on a node that never had it": async () => {
    // Ended connections are remembered for two minutes; here nobody waits for them.
    await using daemon = await start("iptables", "1s");
    await becomes("iptables");
    for (const mode of ["ipvs", "iptables"] as const) {
      await switchTo(daemon, mode, "1s");
      await becomes(mode);
    }
    expect(errors(daemon)).toEqual([]);
  },

  "clients stay with their endpoints, and a Service that goes while IPVS drains is gone": async () => {
    await using daemon = await start("ipvs");
    const askSticky = async (): Promise<string> => {
      const outcome = await client.agent.connect({ ip: sticky.clusterIP, port: 53, protocol: "UDP" });
      return outcome.kind === "answered" ? outcome.greeting.server : outcome.kind;
    };
    const first = await askSticky();
    const stream = await client.agent.hold({ ip: web.clusterIP, port: 80 });
    await switchTo(daemon, "iptables");
    for (let count = 0; count < 8; count++) {
      expect(await askSticky()).toBe(first);
    }
    const mark = daemon.log.mark();
    manifests.set([...others(), ...withPods(empty, [])]);
    await daemon.synced(mark, ["IPv4"]);
    await eventually("the refusal", async () => !(await connect(client, web.clusterIP)).includes("pod"));
    expect((await stream.release()).broken).toBeUndefined();
    manifests.set(objects());
  },

  "a switch that fails goes back, and a newer wish calls one off": async () => {
    await using daemon = await start("iptables", "1s");
    await becomes("iptables");
    const mark = daemon.log.mark();
    daemon.configure({ ...settings("ipvs", "1s"), ipvs: { scheduler: "none-such" } });
    await eventually("the refusal", () => daemon.log.find(refused, mark).length > 0);
    expect(daemon.log.find(refused, mark)[0]?.["reason"]).toContain("none-such");
    expect(await connect(client, vip)).toMatch(/^pod/);
    daemon.configure(settings("ipvs", "1s"));
    await eventually("the switch", () => daemon.log.find("Switching to another mode", mark).length > 1);
    daemon.configure(settings("iptables", "1s"));
    // Called off, or, where it had been committed, switched back.
    const isOver = (): boolean =>
      daemon.log.find("The change of the configuration is called off", mark).length > 0 ||
      daemon.log.find("Switched to another mode", mark).length > 1;
    await eventually("the end of it", isOver);
    await becomes("iptables");
    expect((await daemon.get(10_249, "/proxyMode")).body).toBe("iptables");
    expect(await connect(client, vip)).toMatch(/^pod/);
  },

  "killed at any moment of a switch, the next start ends in its mode alone": async () => {
    for (const [from, to, next] of [
      ["iptables", "ipvs", "iptables"],
      ["iptables", "ipvs", "ipvs"],
      ["ipvs", "iptables", "iptables"],
    ] as const) {
      const daemon = await start(from, "1s");
      const load = await client.agent.startLoad({ ip: vip, port: 80, pauseMilliseconds: 20 });
      const mark = daemon.log.mark();
      daemon.configure(settings(to, "1s"));
      await eventually("the switch", () => daemon.log.find("Switching to another mode", mark).length > 0);
      await wait(Math.random() * 2_000);
      await daemon.stop("SIGKILL");
      await using after = await start(next, "1s");
      const { failures } = await load.stop();
      expect(failures).toEqual({});
      await becomes(next);
      await after.stop();
    }
  },
};

describeInGuest({
  name: "a live switch of the mode",
  file: import.meta.url,
  seconds: 300,
  programs: ["ipvsadm", "ipset"],
  tests,
  prepare,
});
