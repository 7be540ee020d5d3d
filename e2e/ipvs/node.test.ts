/**
 * A node in ipvs mode with real pods, real connections and a real kernel.
 *
 * @module
 */
import { expect } from "vitest";
import { port, service } from "../../src/proxier/testing.ts";
import type { Host } from "../harness/host.ts";
import { describeInGuest } from "./guest.ts";
import { ServedNode, sliceOf } from "./served-node.ts";
import { connect, Stage, servers, vip } from "./stage.ts";

const VIP6 = "fd00:10:96::10";
/** The node's address among its pods. */
const gateway = "10.244.1.1";

let stage: Stage;

/**
 * What Felix does in ipvs mode with packets that will be sent on: in filter INPUT it marks them with the sender's
 * endpoint, in its own bits, and in filter OUTPUT it applies the sender's policy to what is so marked. Without its sets.
 */
async function writeFelix(how: "-I" | "-A"): Promise<void> {
  const { node } = stage;
  const rules = [
    "*filter",
    ...["INPUT", "OUTPUT", "forward-check", "set-endpoint-mark", "from-endpoint"].map(
      (name) => `:cali-${name} - [0:0]`,
    ),
    "-A cali-INPUT -j cali-forward-check",
    "-A cali-INPUT -m mark ! --mark 0x0/0xfff00000 -j RETURN",
    "-A cali-forward-check -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
    `-A cali-forward-check ! -d ${node.ip} -g cali-set-endpoint-mark`,
    "-A cali-forward-check -p tcp -m multiport --dports 30000:32767 -g cali-set-endpoint-mark",
    "-A cali-set-endpoint-mark -j MARK --set-xmark 0x1b300000/0xfff00000",
    "-A cali-OUTPUT -m mark ! --mark 0x0/0xfff00000 -j cali-from-endpoint",
    `${how} INPUT -j cali-INPUT`,
    `${how} OUTPUT -j cali-OUTPUT`,
    "COMMIT",
    "",
  ];
  await node.exec(["iptables-legacy-restore", "-w", "5", "--noflush"], { input: rules.join("\n") });
}

async function removeFelix(): Promise<void> {
  const { node } = stage;
  const text = (await node.exec(["iptables-legacy-save", "-t", "filter"])).stdout;
  const rules = text
    .split("\n")
    .filter((line) => !(line.includes("cali-") || line.startsWith("#")))
    .map((line) => line.replace(/ \[\d+:\d+\]$/, ""));
  await node.exec(["iptables-legacy-restore", "-w", "5"], { input: `${rules.join("\n")}\n` });
}

/** How many packets Felix has found to come from an endpoint. */
async function packetsOfEndpoints(): Promise<number> {
  const { stdout } = await stage.node.exec(["iptables-legacy-save", "-c", "-t", "filter"]);
  return Number(/^\[(\d+):\d+\] .*-j cali-from-endpoint$/m.exec(stdout)?.[1]);
}

const tests = {
  "pods, the node and a client reach a ClusterIP, masqueraded where they must be": async () => {
    const { served, node, client, here, there } = stage;
    await served.put(service(), sliceOf([there]));
    expect(await connect(here, vip)).toBe(`pod2-1 from ${here.ip}`);
    expect(await connect(client, vip)).toBe(`pod2-1 from ${node.ip}`);
    expect(await connect(node, vip)).toBe(`pod2-1 from ${node.ip}`);
  },

  "a pod reaches itself through its Service, in both ways to recognise that": async () => {
    const { served, here } = stage;
    await served.put(service(), sliceOf([here]));
    expect(await connect(here, vip)).toMatch(/^pod1-1 from /);
    await stage.restart({ rules: { hairpin: "set" } });
    expect(await connect(here, vip)).toMatch(/^pod1-1 from /);
  },

  "nothing but the Service's port is reached through its address, and it answers ping": async () => {
    const { served, node, client, here } = stage;
    await served.put(service(), sliceOf([here]));
    await node.agent.listen({ tcp: [2222] });
    try {
      expect(await connect(client, node.ip, 2222)).toMatch(/^node1 from/);
      expect(await connect(client, vip, 2222)).toBe("rejected");
      expect(await connect(here, vip, 2222)).toBe("rejected");
      expect(await connect(node, vip, 2222)).toBe("rejected");
    } finally {
      await node.agent.unlisten({ tcp: [2222] });
    }
    const ping = (host: Host) =>
      host.exec(["busybox", "ping", "-c", "1", "-W", "2", vip], { anyStatus: true });
    expect((await ping(client)).status).toBe(0);
    expect((await ping(here)).status).toBe(0);
  },

  "serves with DROP as the policy of INPUT and FORWARD": async () => {
    const { served, node, client, here, here2 } = stage;
    const policy = (target: string) =>
      Promise.all(
        ["INPUT", "FORWARD"].map((chain) => node.exec(["iptables-legacy", "-w", "5", "-P", chain, target])),
      );
    const ports = [port({ nodePort: 30_080 })];
    await served.put(service({ type: "NodePort", ports }), sliceOf([here]));
    await policy("DROP");
    try {
      // Masquerade takes the address of the device towards the pod.
      expect(await connect(client, vip)).toBe(`pod1-1 from ${gateway}`);
      expect(await connect(client, node.ip, 30_080)).toBe(`pod1-1 from ${gateway}`);
      expect(await connect(here2, vip)).toBe(`pod1-1 from ${here2.ip}`);
      expect(await connect(client, node.ip, 30_081)).toBe("timeout");
    } finally {
      await policy("ACCEPT");
    }
  },

  "under the Local policy a client keeps its address, and pods and the node reach all endpoints":
    async () => {
      const { served, node, client, here2, here, there } = stage;
      const fields = {
        type: "LoadBalancer",
        externalTrafficPolicy: "Local",
        ports: [port({ nodePort: 30_080 })],
        loadBalancerIngress: [{ ip: "203.0.113.1", ipMode: "" }],
      };
      await served.put(service(fields), sliceOf([here, there]));
      for (const [ip, to] of [
        ["203.0.113.1", 80],
        [node.ip, 30_080],
      ] as const) {
        expect(new Set(await servers(client, 4, ip, to))).toEqual(new Set(["pod1-1"]));
        expect(await connect(client, ip, to)).toBe(`pod1-1 from ${client.ip}`);
        expect(new Set(await servers(here2, 4, ip, to))).toEqual(new Set(["pod1-1", "pod2-1"]));
        expect(new Set(await servers(node, 4, ip, to))).toEqual(new Set(["pod1-1", "pod2-1"]));
        expect(await connect(node, ip, to)).toMatch(new RegExp(`^pod[12]-1 from (${node.ip}|${gateway})$`));
      }
      await served.put(sliceOf([there]));
      expect(await connect(client, "203.0.113.1")).toBe("timeout");
      expect(await connect(here2, "203.0.113.1")).toBe(`pod2-1 from ${here2.ip}`);
      expect(await connect(node, "203.0.113.1")).toBe(`pod2-1 from ${node.ip}`);
    },

  "a client of a Service with affinity gets the same endpoint by all addresses of the Service": async () => {
    const { served, node, client, here2, here, there } = stage;
    for (const number of [1, 2, 3, 4, 5]) {
      const to = 30_080 + number;
      const sticky = service({
        name: `sticky-${number}`,
        clusterIP: `10.96.0.${20 + number}`,
        type: "LoadBalancer",
        sessionAffinity: "ClientIP",
        ports: [port({ nodePort: to })],
        loadBalancerIngress: [{ ip: `203.0.113.${number}`, ipMode: "" }],
      });
      const endpoints = sliceOf([here, there], { name: `s-${number}`, serviceName: `sticky-${number}` });
      await served.put(sticky, endpoints);
      for (const host of [client, here2]) {
        const names = [
          ...(await servers(host, 2, `10.96.0.${20 + number}`)),
          ...(await servers(host, 2, node.ip, to)),
          ...(await servers(host, 2, `203.0.113.${number}`)),
        ];
        expect([...new Set(names)]).toEqual([expect.stringMatching(/^pod[12]-1$/)]);
      }
    }
  },

  "with affinity and the Local policy, pods and the node reach all endpoints, each sender its own":
    async () => {
      const { served, node, client, here2, here, there } = stage;
      const fields = {
        type: "NodePort",
        externalTrafficPolicy: "Local",
        sessionAffinity: "ClientIP",
        ports: [port({ nodePort: 30_080 })],
      };
      await served.put(service(fields), sliceOf([here, there]));
      for (const host of [here2, node]) {
        const names = await servers(host, 4, node.ip, 30_080);
        expect([...new Set(names)]).toEqual([expect.stringMatching(/^pod[12]-1$/)]);
      }
      expect(new Set(await servers(client, 4, node.ip, 30_080))).toEqual(new Set(["pod1-1"]));
      await served.put(sliceOf([there]));
      for (const host of [here2, node]) {
        expect(await connect(host, node.ip, 30_080)).toMatch(/^pod2-1 from /);
      }
    },

  "beside Calico, in either order, everything is served, but where its mark comes last pods reach what others do":
    async () => {
      const { served, node, client, here2, here, there } = stage;
      const balancer = "203.0.113.1";
      const fields = {
        type: "LoadBalancer",
        externalTrafficPolicy: "Local",
        ports: [port({ nodePort: 30_080 })],
        loadBalancerIngress: [{ ip: balancer, ipMode: "" }],
      };
      await served.put(service(fields), sliceOf([here, there]));
      for (const { how, reached, seen } of [
        // In front it marks the packet last, and IPVS does not know the mark that is left.
        { how: "-I", reached: ["pod1-1"], seen: true },
        // Behind, it does not get to see what is accepted.
        { how: "-A", reached: ["pod1-1", "pod2-1"], seen: false },
      ] as const) {
        await writeFelix(how);
        try {
          expect(await connect(client, vip)).toMatch(/^pod[12]-1 from /);
          expect(await connect(client, balancer)).toBe(`pod1-1 from ${client.ip}`);
          expect(await connect(client, node.ip, 30_080)).toBe(`pod1-1 from ${client.ip}`);
          expect(new Set(await servers(node, 4, balancer))).toEqual(new Set(["pod1-1", "pod2-1"]));
          const before = await packetsOfEndpoints();
          expect(new Set(await servers(here2, 4, vip))).toEqual(new Set(["pod1-1", "pod2-1"]));
          expect((await packetsOfEndpoints()) > before).toBe(seen);
          expect(new Set(await servers(here2, 4, balancer))).toEqual(new Set(reached));
        } finally {
          await removeFelix();
        }
      }
      await stage.restart({ rules: { acceptServices: false } });
      await writeFelix("-A");
      try {
        const before = await packetsOfEndpoints();
        expect(new Set(await servers(here2, 4, vip))).toEqual(new Set(["pod1-1", "pod2-1"]));
        expect(await packetsOfEndpoints()).toBeGreaterThan(before);
      } finally {
        await removeFelix();
      }
    },

  "source ranges hold for clients, pods and the node": async () => {
    const { served, node, client, here, here2 } = stage;
    const fields = (...loadBalancerSourceRanges: readonly string[]) => ({
      type: "LoadBalancer",
      loadBalancerIngress: [{ ip: "203.0.113.1", ipMode: "" }],
      loadBalancerSourceRanges,
    });
    await served.put(service(fields("198.51.100.0/24")), sliceOf([here]));
    for (const host of [client, here2, node])
      expect(await connect(host, "203.0.113.1")).toMatch(/timeout|failed/);
    expect(await connect(client, vip)).toMatch(/^pod1-1/);
    await served.put(service(fields("198.51.100.0/24", `${client.ip}/32`, `${node.ip}/32`)));
    expect(await connect(client, "203.0.113.1")).toMatch(/^pod1-1/);
    expect(await connect(node, "203.0.113.1")).toMatch(/^pod1-1/);
    expect(await connect(here2, "203.0.113.1")).toBe("timeout");
  },

  "a Service without endpoints refuses at once, one without endpoints here is silent": async () => {
    const { served, node, client, here, there } = stage;
    await served.put(service(), sliceOf([]));
    const rejected: string[] = [];
    for (const host of [client, here, node]) rejected.push(`${host.name} ${await connect(host, vip)}`);
    expect(rejected).toEqual(["client rejected", "pod1-1 rejected", "node1 rejected"]);
    await served.put(service({ internalTrafficPolicy: "Local" }), sliceOf([there]));
    for (const host of [client, here]) expect(await connect(host, vip)).toBe("timeout");
  },

  "IPv6 is served the same": async () => {
    const { node, client, here, here2, there } = stage;
    await using six = new ServedNode(node, { family: "IPv6" });
    const fields = {
      clusterIP: VIP6,
      clusterIPs: [VIP6],
      ipFamilies: ["IPv6"],
      type: "NodePort",
      ports: [port({ nodePort: 30_080 })],
      externalTrafficPolicy: "Local",
    };
    await six.put(service(fields), sliceOf([here, there], { addressType: "IPv6" }));
    await node.agent.listen({ tcp: [2222] });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(new Set(await servers(here2, 4, VIP6))).toEqual(new Set(["pod1-1", "pod2-1"]));
    expect(await connect(client, VIP6)).toMatch(new RegExp(`^pod[12]-1 from (${node.ip6}|fd00:244:1::1)$`));
    expect(await connect(client, VIP6, 2222)).toBe("rejected");
    expect(await connect(client, node.ip6 ?? "", 30_080)).toBe(`pod1-1 from ${client.ip6}`);
    expect(new Set(await servers(here2, 4, node.ip6, 30_080))).toEqual(new Set(["pod1-1", "pod2-1"]));
    await node.agent.unlisten({ tcp: [2222] });
    await six.drop(service(fields));
    await six.sync("everything");
  },
};

describeInGuest({
  name: "ipvs mode on a node",
  file: import.meta.url,
  seconds: 240,
  tests,
  prepare: () => {
    stage = new Stage();
  },
});
