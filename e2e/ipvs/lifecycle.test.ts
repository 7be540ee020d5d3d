/**
 * What becomes of connections while things change: endpoints that go and come, schedulers, restarts, and what somebody
 * else does to the node.
 *
 * @module
 */
import { setTimeout as wait } from "node:timers/promises";
import { expect } from "vitest";
import { IpvsClient } from "../../src/ipvs/netlink/client.ts";
import { openNetlink } from "../../src/netlink/socket.ts";
import { port, service } from "../../src/proxier/testing.ts";
import type { Host } from "../harness/host.ts";
import { describeInGuest } from "./guest.ts";
import { sliceOf } from "./served-node.ts";
import { connect, type Held, hold, Stage, servers, vip } from "./stage.ts";

const web = { protocol: "TCP", address: vip, port: 80 } as const;

let stage: Stage;

/** Whether a held connection still works, a while from now. */
async function lives({ stream }: Held): Promise<boolean> {
  const before = await stream.report();
  await wait(300);
  const after = await stream.report();
  return after.broken === undefined && after.echoed > before.echoed;
}

/** Waits until it is so; gives up after five seconds. */
async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 5_000;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error("It did not become so within five seconds");
    await wait(20);
  }
}

/** Connects to the ClusterIP all the time while something is done; nothing may fail. */
async function underLoad(from: Host, work: () => Promise<void>): Promise<void> {
  const load = await from.agent.startLoad({ ip: vip, port: 80, concurrency: 2, pauseMilliseconds: 5 });
  await work();
  const { answered, failures, lastFailure } = await load.stop();
  expect({ failures, lastFailure }).toEqual({ failures: {}, lastFailure: undefined });
  expect(answered).toBeGreaterThan(5);
}

/** Puts the node into the state in which kube-proxy leaves it: one Service with two endpoints. */
async function leaveAsKubeProxy(): Promise<void> {
  const { node, here, there } = stage;
  const set = "KUBE-CLUSTER-IP";
  const rules = [
    "*nat",
    ":KUBE-SERVICES - [0:0]",
    ":KUBE-POSTROUTING - [0:0]",
    ":KUBE-MARK-MASQ - [0:0]",
    '-I PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-I OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-I POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
    `-A KUBE-SERVICES ! -s 10.244.0.0/16 -m set --match-set ${set} dst,dst -j KUBE-MARK-MASQ`,
    `-A KUBE-SERVICES -m set --match-set ${set} dst,dst -j ACCEPT`,
    "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
    "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
    "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
    "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
    "COMMIT",
    "",
  ];
  const servers = [
    `-A -t ${vip}:80 -s rr`,
    `-a -t ${vip}:80 -r ${here.ip}:8080 -m -w 1`,
    `-a -t ${vip}:80 -r ${there.ip}:8080 -m -w 1`,
    "",
  ];
  const entries = [
    `create ${set} hash:ip,port family inet hashsize 1024 maxelem 65536`,
    `add ${set} ${vip},tcp:80`,
    "",
  ];
  // What earlier tests left here.
  for (const table of ["filter", "mangle", "nat"]) {
    await node.exec(["iptables-legacy", "-t", table, "-F"]);
    await node.exec(["iptables-legacy", "-t", table, "-X"]);
  }
  await node.exec(["ipset", "destroy"]);
  await node.exec(["ipset", "restore"], { input: entries.join("\n") });
  await node.exec(["iptables-legacy-restore", "--noflush"], { input: rules.join("\n") });
  await node.exec(["ipvsadm", "-R"], { input: servers.join("\n") });
  await node.exec(["ip", "link", "del", "kube-ipvs0"], { anyStatus: true });
  await node.namespace.ip(["link add kube-ipvs0 type dummy", `addr add ${vip}/32 dev kube-ipvs0`]);
}

async function ipvsadm(): Promise<string> {
  return (await stage.node.exec(["ipvsadm", "-Sn"])).stdout;
}

function ipvs(): IpvsClient {
  return stage.node.namespace.enter(() => new IpvsClient(openNetlink("generic")));
}

const tests = {
  "a connection outlives its endpoint's removal, new ones go elsewhere, and it is whole when the endpoint returns":
    async () => {
      const { served, client, here, there } = stage;
      await served.put(service(), sliceOf([here, there]));
      const held = await hold(client);
      const [gone, left] = held.server === "pod1-1" ? [here, there] : [there, here];
      await served.put(sliceOf([left]));
      expect(new Set(await servers(client, 6))).toEqual(new Set([left.name]));
      expect(await lives(held)).toBe(true);
      await served.put(sliceOf([here, there]));
      expect(new Set(await servers(client, 6))).toEqual(new Set([gone.name, left.name]));
      expect(await lives(held)).toBe(true);
      await held.stream.release();
    },

  "a connection outlives its Service while it drains, and new ones are refused": async () => {
    const { served, client, here } = stage;
    await served.put(service(), sliceOf([here]));
    const held = await hold(client);
    await served.drop(service());
    for (const host of [client, stage.here2, stage.node])
      expect(await connect(host, vip)).toMatch(/rejected|refused/);
    expect(await lives(held)).toBe(true);
    await held.stream.release();
  },

  "what drains is gone at the deadline, with its connections": async () => {
    await stage.restart({ backend: { drainMs: 1_500 } });
    const { served, client, here, there } = stage;
    await served.put(service(), sliceOf([here, there]));
    const held = await hold(client);
    await served.put(sliceOf([held.server === "pod1-1" ? there : here]));
    await wait(1_600);
    expect(await served.backend.drain()).toBe(false);
    await eventually(async () => (await held.stream.report()).broken !== undefined);
  },

  "datagrams go to another endpoint at once": async () => {
    const { served, client, here, there } = stage;
    const dns = service({ ports: [port({ protocol: "UDP" })] });
    const endpoints = (...pods: Parameters<typeof sliceOf>[0]) =>
      sliceOf(pods, { ports: [{ name: "http", protocol: "UDP", port: 8080 }] });
    await served.put(dns, endpoints(here, there));
    const held = await hold(client, "UDP");
    const left = held.server === "pod1-1" ? there : here;
    await served.put(endpoints(left));
    await eventually(async () => (await held.stream.report()).lastServer === left.name);
    await held.stream.release();
  },

  "no connection fails while the scheduler, affinity and weights of a Service change": async () => {
    const { served, client, here, there } = stage;
    await served.put(service(), sliceOf([here, there]));
    const held = await hold(client);
    await underLoad(client, async () => {
      for (const scheduler of ["lc", "sh", "sed", "mh", "wrr", "rr"]) {
        const annotations = { "sluice.io/ipvs-scheduler": scheduler, "sluice.io/weights": "node=node2:3" };
        await served.put(service({ annotations, sessionAffinity: scheduler === "lc" ? "ClientIP" : "None" }));
        await wait(100);
      }
    });
    expect(await lives(held)).toBe(true);
    await held.stream.release();
  },

  "no connection fails while endpoints come and go": async () => {
    const { served, client, here, there } = stage;
    await served.put(service(), sliceOf([here, there]));
    await underLoad(client, async () => {
      for (let round = 0; round < 10; round++) {
        await served.put(sliceOf([here]));
        await wait(50);
        await served.put(sliceOf([here, there]));
        await wait(50);
        await served.put(sliceOf([there]));
        await wait(50);
      }
    });
  },

  "a restart writes nothing and breaks nothing": async () => {
    const { served, client, here, there } = stage;
    const fields = { type: "NodePort", ports: [port({ nodePort: 30_080 })], externalTrafficPolicy: "Local" };
    await served.put(service(fields), sliceOf([here, there]));
    const before = await ipvsadm();
    await underLoad(client, async () => {
      for (let round = 0; round < 5; round++) {
        await stage.restart();
        expect(await stage.served.sync("everything")).toMatchObject({ written: 0, removed: 0, bytes: 0 });
      }
    });
    expect(await ipvsadm()).toBe(before);
  },

  "an address that somebody takes away is back within a second, and so is the whole device": async () => {
    const { served, node, client, here } = stage;
    await served.put(service(), sliceOf([here]));
    const isBound = async (): Promise<boolean> =>
      (await node.exec(["ip", "-o", "addr", "show"])).stdout.includes(` ${vip}/32 `);
    for (const line of [`addr del ${vip}/32 dev kube-ipvs0`, "link del kube-ipvs0"]) {
      const start = performance.now();
      await node.namespace.ip([line]);
      await eventually(isBound);
      expect(performance.now() - start).toBeLessThan(1_000);
      expect(await connect(client, vip)).toMatch(/^pod1-1/);
    }
  },

  "a full sync repairs virtual servers, real servers and sets": async () => {
    const { served, node, client, here, there } = stage;
    await served.put(service(), sliceOf([here, there]));
    const before = await ipvsadm();
    using other = ipvs();
    for (const harm of [
      () => other.deleteVirtualServer(web),
      () => other.deleteRealServer(web, { address: here.ip, port: 8080 }),
      () => other.editVirtualServer({ ...web, scheduler: "wlc" }),
    ]) {
      harm();
      expect(await served.sync("everything")).toMatchObject({ quarantined: [] });
      expect((await ipvsadm()).split("\n").toSorted()).toEqual(before.split("\n").toSorted());
    }
    await node.exec(["ipset", "flush", "KUBE-CLUSTER-IP"]);
    expect(await connect(client, vip)).toBe("rejected");
    expect((await served.sync("everything")).repaired).toBe(1);
    expect(await connect(client, vip)).toMatch(/^pod/);
  },

  "a node is taken over from kube-proxy while it serves": async () => {
    const { served, node, client, here, there } = stage;
    await served.stop();
    await leaveAsKubeProxy();
    expect(await connect(client, vip)).toMatch(/^pod/);
    served.cluster.put(service(), sliceOf([here, there]));
    await underLoad(client, async () => {
      await stage.restart();
      await wait(300);
    });
    expect((await ipvsadm()).split("\n").filter((line) => line.includes(`-r ${here.ip}:8080`))).toEqual([
      `-a -t ${vip}:80 -r ${here.ip}:8080 -m -w 1`,
    ]);
    const rules = (await node.exec(["iptables-legacy-save"])).stdout;
    expect(rules).toContain("-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW -j KUBE-SLUICE-REFUSE");
    expect(await stage.served.sync("everything")).toMatchObject({ written: 0, removed: 0 });
  },

  "Debian's tools read back what was meant": async () => {
    const { served, node, here, there } = stage;
    const fields = {
      type: "LoadBalancer",
      externalTrafficPolicy: "Local",
      loadBalancerIngress: [{ ip: "203.0.113.1", ipMode: "" }],
      loadBalancerSourceRanges: ["198.51.100.0/24"],
      sessionAffinity: "ClientIP",
      annotations: { "sluice.io/ipvs-scheduler": "sh", "sluice.io/weights": "node=node2:3" },
    };
    await served.put(service(fields), sliceOf([here, there]));
    const lines = (await ipvsadm()).trim().split("\n");
    const mark = lines.find((line) => line.startsWith("-A -f"))?.split(" ")[2] ?? "";
    const setup = "-s sh -p 10800 -b sh-fallback";
    expect(lines.toSorted()).toEqual(
      [
        // By mark there is no persistence: the kernel would not translate the port.
        `-A -f ${mark} -s sh -b sh-fallback`,
        `-a -f ${mark} -r ${here.ip}:8080 -m -w 1`,
        `-a -f ${mark} -r ${there.ip}:8080 -m -w 3`,
        `-A -t ${vip}:80 ${setup}`,
        `-a -t ${vip}:80 -r ${here.ip}:8080 -m -w 1`,
        `-a -t ${vip}:80 -r ${there.ip}:8080 -m -w 3`,
        `-A -t 203.0.113.1:80 ${setup}`,
        `-a -t 203.0.113.1:80 -r ${here.ip}:8080 -m -w 1`,
      ].toSorted(),
    );
    const sets = (await node.exec(["ipset", "save"])).stdout
      .split("\n")
      .filter((line) => line.startsWith("add"));
    expect(sets.toSorted()).toEqual(
      [
        `add KUBE-CLUSTER-IP ${vip},tcp:80`,
        `add KUBE-IPVS-IPS ${vip}`,
        "add KUBE-IPVS-IPS 203.0.113.1",
        "add KUBE-LOAD-BALANCER 203.0.113.1,tcp:80",
        "add KUBE-LOAD-BALANCER-FW 203.0.113.1,tcp:80",
        "add KUBE-LOAD-BALANCER-LOCAL 203.0.113.1,tcp:80",
        "add KUBE-LOAD-BALANCER-SOURCE-CIDR 203.0.113.1,tcp:80,198.51.100.0/24",
        `add KUBE-SLUICE-MARK 203.0.113.1,tcp:80 skbmark 0x${Number(mark).toString(16)}`,
        "add KUBE-SLUICE-NODE-IP 10.244.1.1",
        `add KUBE-SLUICE-NODE-IP ${node.ip}`,
      ].toSorted(),
    );
    const { stdout } = await node.exec(["ip", "-o", "addr", "show", "dev", "kube-ipvs0"]);
    expect([...stdout.matchAll(/inet ([0-9./]+) scope global/g)].map(([, text]) => text)).toEqual([
      `${vip}/32`,
      "203.0.113.1/32",
    ]);
    const link = (await node.exec(["ip", "-o", "link", "show", "dev", "kube-ipvs0"])).stdout;
    expect(link).toContain("<BROADCAST,NOARP>");
  },
};

describeInGuest({
  name: "ipvs mode over time",
  file: import.meta.url,
  seconds: 300,
  programs: ["ipvsadm", "ipset"],
  tests,
  prepare: () => {
    stage = new Stage();
  },
});
