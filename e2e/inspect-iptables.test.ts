/**
 * `kube-sluice ipvsadm` in iptables mode: rules in the kernel, in both variants and layouts, and real connections through them.
 *
 * Everything is in one network namespace: the node is its own client, and endpoints are addresses of its own.
 *
 * @module
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ipvsadm } from "../src/cli/ipvsadm.ts";
import { renderPlan } from "../src/iptables/render-plan.ts";
import type { Layout } from "../src/iptables/settings.ts";
import type { Variant } from "../src/iptables/tools.ts";
import { deleteFlows, dumpFlows } from "../src/netlink/conntrack.ts";
import type { FlowKey } from "../src/netlink/flow-key.ts";
import {
  addEntryRequest,
  createSetRequest,
  destroySetRequest,
  type SetDefinition,
} from "../src/netlink/ipset.ts";
import { openNetlink } from "../src/netlink/socket.ts";
import { type Family, families } from "../src/proxier/address.ts";
import { address, PlannedCluster, port, service, slice, slicePort } from "../src/proxier/testing.ts";
import { runCommand } from "./harness/command.ts";
import { describeOnKernel } from "./harness/requirements.ts";
import { flush, inOwnNamespace, neededPrograms } from "./iptables-host.ts";

const addresses = {
  IPv4: { node: "192.168.0.2", vip: "10.96.0.10", endpoints: ["10.244.1.5", "10.244.1.6"], bits: 32 },
  IPv6: { node: "fd00::2", vip: "fd00:10:96::a", endpoints: ["fd00:244::5", "fd00:244::6"], bits: 128 },
} as const;

async function run(...args: readonly string[]): Promise<string> {
  let stdout = "";
  const print = (piece: Uint8Array): void => {
    stdout += new TextDecoder().decode(piece);
  };
  const status = await ipvsadm([...args], { print, warn: (text) => expect(text).toBe("") });
  expect(status).toBe(0);
  return stdout;
}

function tools(variant: Variant, family: Family): string {
  return `${family === "IPv4" ? "iptables" : "ip6tables"}-${variant}-restore`;
}

/** TCP with a node port, UDP, and one Service without endpoints. */
function rulesOf(family: Family, layout: Layout): string {
  const { node, vip, endpoints } = addresses[family];
  const ports = [
    port({ name: "http", port: 80, nodePort: 30_080 }),
    port({ name: "dns", port: 53, protocol: "UDP" }),
  ];
  const slicePorts = [
    slicePort({ name: "http", port: 8080 }),
    slicePort({ name: "dns", port: 8053, protocol: "UDP" }),
  ];
  const addressType = family;
  const common = { ipFamilies: [family] };
  const empty = family === "IPv4" ? "10.96.0.11" : "fd00:10:96::b";
  const cluster = new PlannedCluster({
    family,
    nodeAddress: address(node),
    localhostNodePorts: family === "IPv4",
    detector: undefined,
  }).put(
    service({ ...common, name: "web", type: "NodePort", clusterIP: vip, clusterIPs: [vip], ports }),
    slice([...endpoints], { serviceName: "web", addressType, ports: slicePorts }),
    service({ ...common, name: "empty", clusterIP: empty, clusterIPs: [empty] }),
  );
  cluster.planner.take();
  return renderPlan(cluster.planner.plan, { layout, dropInvalid: false }).text;
}

async function listen(host: string): Promise<Server> {
  const server = createServer((socket) => socket.on("error", () => undefined).pipe(socket));
  server.listen({ host, port: 8080 });
  await once(server, "listening");
  return server;
}

async function connect(host: string, number = 80): Promise<Socket> {
  const socket = createConnection({ host, port: number });
  socket.write("x".repeat(1000));
  await once(socket, "data");
  return socket;
}

async function sendUdp(host: string): Promise<void> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  await new Promise((resolve) => socket.send("x", 53, host, resolve));
  socket.close();
}

function end(text: string, number: number): string {
  return text.includes(":") ? `[${text}]:${number}` : `${text}:${number}`;
}

/** Takes all flows out of the namespace's conntrack. */
async function forgetFlows(): Promise<void> {
  using connection = openNetlink("netfilter");
  for (const family of families) {
    const keys: FlowKey[] = [];
    await dumpFlows(connection, { family, onFlow: (flow) => keys.push(flow.key()) });
    await deleteFlows(connection, keys);
  }
}

/** Sums of the last two columns of a virtual server's real servers. */
function connectionsOf(list: string, server: string): readonly [number, number] {
  const lines = list.split("\n");
  const from = lines.findIndex((line) => line.includes(`${server} `)) + 1;
  expect(from).toBeGreaterThan(0);
  let [active, inactive] = [0, 0];
  for (const line of lines.slice(from)) {
    if (!line.startsWith("  ->")) break;
    const [more = 0, others = 0] = line.trim().split(/\s+/).slice(-2).map(Number);
    active += more;
    inactive += others;
  }
  return [active, inactive];
}

describeOnKernel("ipvsadm in iptables mode", { programs: [...neededPrograms] }, () => {
  inOwnNamespace();

  let listeners: readonly Server[] = [];

  beforeAll(async () => {
    const lines = [
      "link set lo up",
      "link add d0 type veth peer name d1",
      "link set d0 up",
      "link set d1 up",
    ];
    for (const family of families) {
      const { node, endpoints, bits } = addresses[family];
      const option = family === "IPv6" ? " nodad" : "";
      lines.push(`address add ${node}/${bits === 32 ? 24 : 64} dev d0${option}`);
      for (const one of endpoints) lines.push(`address add ${one}/${bits} dev lo${option}`);
      lines.push(`${family === "IPv6" ? "-6 " : ""}route add default dev d0`);
    }
    for (const line of lines) await runCommand(["ip", ...line.split(" ")]);
    writeFileSync("/proc/sys/net/netfilter/nf_conntrack_acct", "1");
    listeners = await Promise.all(families.flatMap((family) => addresses[family].endpoints.map(listen)));
  });

  afterAll(() => {
    for (const listener of listeners) listener.close();
  });

  test("a node without rules has an empty table, and looking makes none", async () => {
    expect(await run("-Ln")).toMatch(/^Virtual servers of iptables-nft\nProt .*\n {2}-> .*\n$/);
    expect(await run("-Lnc")).toMatch(/^iptables-nft connection entries\npro expire .*\n$/);
    expect((await runCommand(["nft", "list", "tables"])).stdout).toBe("");
    expect(readFileSync("/proc/thread-self/net/ip_tables_names", "utf8")).toBe("");
  });

  test("clients that sets remember are counted", async () => {
    using connection = openNetlink("netfilter");
    const set: SetDefinition = { name: "KUBE-SEP-B", type: "hash:ip", family: "IPv4", timeoutSeconds: 900 };
    const clients = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map((client) =>
      addEntryRequest(set.name, { type: "hash:ip", address: client, timeoutSeconds: 900 }),
    );
    const answers = connection.transact([createSetRequest(set), ...clients]);
    expect(answers.filter(({ error }) => error !== undefined)).toEqual([]);
    const input = `*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-A - [0:0]
:KUBE-SEP-B - [0:0]
-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m comment --comment "ns/web cluster IP" -m tcp --dport 80 -j KUBE-SVC-A
-A KUBE-SVC-A -m set --match-set KUBE-SEP-B src -j KUBE-SEP-B
-A KUBE-SVC-A -j KUBE-SEP-B
-A KUBE-SEP-B -j SET --add-set KUBE-SEP-B src --exist --timeout 900
-A KUBE-SEP-B -p tcp -j DNAT --to-destination 10.244.1.5:8080
COMMIT
`;
    await runCommand([tools("nft", "IPv4"), "--noflush"], { input });
    const list = await run("-Ln", "--persistent-conn");
    expect(list).toContain("TCP  10.96.0.10:80 random persistent 900\n");
    expect(list).toMatch(/ 10\.244\.1\.5:8080 +1 +3 +0 +0 *\n/);
    await runCommand(["nft", "flush", "ruleset"]);
    expect(connection.transact([destroySetRequest(set.name)])[0]?.error).toBeUndefined();
  });

  const cases: readonly (readonly [Variant, Layout])[] = [
    ["nft", "lean"],
    ["nft", "endpoint-chains"],
    ["legacy", "lean"],
  ];

  describe.each(cases)("%s, %s", (variant, layout) => {
    beforeAll(async () => {
      for (const family of families) {
        const input = rulesOf(family, layout);
        await runCommand([tools(variant, family), "-w", "5", "--noflush"], { input });
      }
    });

    afterAll(async () => {
      await forgetFlows();
      for (const family of families) await flush({ variant, family });
      if (variant === "nft") await runCommand(["nft", "flush", "ruleset"]);
    });

    test("shows the rules, and connections where they are", async () => {
      const sockets: Socket[] = [];
      for (const family of families) {
        const { node, vip } = addresses[family];
        for (let count = 0; count < 3; count++) sockets.push(await connect(vip));
        sockets.push(await connect(node, 30_080));
        const closed = await connect(vip);
        closed.end();
        await once(closed, "close");
        await sendUdp(vip);
      }
      const list = await run("-L", "-n", "--names");
      expect(list).toContain(`Virtual servers of iptables-${variant}\n`);
      for (const family of families) {
        const { vip } = addresses[family];
        const any = family === "IPv4" ? "0.0.0.0" : "::";
        expect(list).toContain(`TCP  ${end(vip, 80)} random  ns/web:http ClusterIP\n`);
        expect(list).toContain(`TCP  ${end(any, 30_080)} random  ns/web:http NodePort\n`);
        expect(list).toMatch(/random \(reject\) {2}ns\/empty/);
        expect(connectionsOf(list, end(vip, 80))).toEqual([3, 1]);
        expect(connectionsOf(list, end(any, 30_080))).toEqual([1, 0]);
        expect(connectionsOf(list, end(vip, 53))).toEqual([0, 1]);

        const stats = await run("-Ln", "--stats", "-t", end(vip, 80));
        const [, conns, , , inBytes] = (stats.split("\n")[2] ?? "").trim().split(/\s+/).slice(1);
        expect(Number(conns)).toBe(4);
        expect(Number(inBytes)).toBeGreaterThan(3000);
        const connections = await run("-Lnc", "--address", vip);
        expect(connections.match(/ ESTABLISHED /g)).toHaveLength(3);
        expect(connections).toMatch(/^TCP \d+:\d\d +TIME_WAIT /m);
      }
      for (const socket of sockets) socket.destroy();
    });

    test("rates are those of the second in which it looks", async () => {
      const { vip } = addresses.IPv4;
      const stop = new AbortController();
      const busy = (async () => {
        while (!stop.signal.aborted) (await connect(vip)).destroy();
      })();
      const rates = await run("-Ln", "--rate", "-t", end(vip, 80));
      stop.abort();
      await busy;
      const [, cps, packets] = (rates.split("\n")[2] ?? "").trim().split(/\s+/).slice(1);
      expect(Number(cps)).toBeGreaterThan(0);
      expect(Number(packets)).toBeGreaterThan(0);
    });
  });
});
