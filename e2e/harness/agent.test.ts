/**
 * @module
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Client, type Cluster, createCluster, type Node, type Pod } from "./cluster.ts";
import { describeOnKernel } from "./requirements.ts";

const PORT = 8080;
const CLOSED = 8081;
const SILENT = 8082;
const REJECTED = 8083;
const PROHIBITED = 8084;
/** For what takes milliseconds, unless the machine is busy with something else. */
const PATIENT = { timeout: 10_000 };

describeOnKernel("Agent", { programs: ["iptables-nft"], plugins: ["bridge", "host-local"] }, () => {
  let cluster: Cluster;
  let client: Client;
  let node: Node;
  let pod: Pod;

  beforeAll(async () => {
    cluster = await createCluster({ nodes: 1, podsPerNode: 1, ipv6: true });
    client = cluster.client;
    node = cluster.node(0);
    pod = node.pod("pod1-1");
    await cluster.routeClient(node.addresses.podCidr, node);
    await cluster.routeClient(node.addresses.podCidr6 ?? "", node);
    await pod.agent.listen({ tcp: [PORT], udp: [PORT] });
    const filter = [
      "*filter",
      `-A FORWARD -p tcp --dport ${SILENT} -j DROP`,
      `-A FORWARD -p udp --dport ${SILENT} -j DROP`,
      `-A FORWARD -p tcp --dport ${REJECTED} -j REJECT`,
      `-A FORWARD -p tcp --dport ${PROHIBITED} -j REJECT --reject-with icmp-admin-prohibited`,
      "COMMIT",
      "",
    ];
    await node.exec(["iptables-nft-restore"], { input: filter.join("\n") });
  });
  afterAll(() => cluster?.remove());

  test.each(["TCP", "UDP"] as const)("connect() asks for an answer of a size, by %s", async (protocol) => {
    expect(await client.agent.connect({ ip: pod.ip, port: PORT, protocol, bytes: 20_000 })).toMatchObject({
      kind: "answered",
      greeting: { server: "pod1-1", from: { ip: client.ip }, received: 20_000 },
    });
  });

  test("connect() tells who answered and which addresses it saw", async () => {
    for (const [ip, from] of [
      [pod.ip, client.ip],
      [pod.ip6 ?? "", client.ip6],
    ] as const) {
      const outcome = await client.agent.connect({ ip, port: PORT });
      expect(outcome).toMatchObject({
        kind: "answered",
        greeting: { server: "pod1-1", from: { ip: from }, to: { ip, port: PORT } },
      });
      if (outcome.kind === "answered") expect(outcome.greeting.from).toEqual(outcome.local);
      expect(await client.agent.connect({ ip, port: PORT, protocol: "UDP" })).toMatchObject({
        kind: "answered",
        greeting: { server: "pod1-1", from: { ip: from } },
        local: { ip: from },
      });
    }
  });

  test("connect() uses source addresses and ports that it is given, also such as the machine does not have", async () => {
    await cluster.giveClientPrefix("198.51.100.0/24");
    await cluster.giveClientPrefix("2001:db8:51::/64");
    for (const protocol of ["TCP", "UDP"] as const) {
      for (const [ip, from, fromPort] of [
        [pod.ip, "198.51.100.77", 5555],
        [pod.ip6 ?? "", "2001:db8:51::77", 5556],
      ] as const) {
        const outcome = await client.agent.connect({ ip, port: PORT, protocol, from, fromPort });
        expect(outcome).toMatchObject({ greeting: { from: { ip: from, port: fromPort } } });
      }
    }
  });

  test("connect() tells the ways to fail apart", async () => {
    const outcome = async (port: number, protocol: "TCP" | "UDP" = "TCP"): Promise<string> => {
      const result = await client.agent.connect({
        ip: pod.ip,
        port,
        protocol,
        timeoutMilliseconds: port === SILENT ? 100 : 5000,
      });
      return result.kind === "answered" ? result.kind : `${result.kind}: ${result.detail}`;
    };
    expect(await outcome(CLOSED)).toBe("refused: ECONNREFUSED");
    expect(await outcome(CLOSED, "UDP")).toBe("rejected: ECONNREFUSED");
    expect(await outcome(SILENT)).toBe("timeout: no answer");
    expect(await outcome(SILENT, "UDP")).toBe("timeout: no answer");
    expect(await outcome(REJECTED)).toBe("rejected: ICMP 3/3");
    expect(await outcome(PROHIBITED)).toBe("unreachable: ICMP 3/13");
    await client.namespace.ip(["route add unreachable 9.9.9.9"]);
    expect(await client.agent.connect({ ip: "9.9.9.9", port: 80 })).toMatchObject({ kind: "unreachable" });
    pod.spawn(["busybox", "nc", "-l", "-p", "8085", "-e", "true"], { stdio: "ignore" });
    await expect.poll(() => outcome(8085), PATIENT).toMatch(/^closed: /);
  });

  test("connect() to a nonsensical address is an error, not an outcome", async () => {
    await expect(client.agent.connect({ ip: "nowhere", port: 80 })).rejects.toThrow(/nowhere/);
  });

  test("hold() keeps a stream open, tells when it stalls and when it breaks", async () => {
    await pod.agent.listen({ tcp: [9000] });
    const stream = await client.agent.hold({ ip: pod.ip, port: 9000, intervalMilliseconds: 2 });
    expect(stream.outcome).toMatchObject({ kind: "answered", greeting: { server: "pod1-1" } });
    await expect
      .poll(async () => (await stream.report()).byServer["pod1-1"] ?? 0, PATIENT)
      .toBeGreaterThan(10);

    const rule = ["FORWARD", "-p", "tcp", "--dport", "9000", "-j", "DROP"];
    await node.exec(["iptables-nft", "-I", ...rule]);
    const stalled = await stream.report();
    await expect.poll(async () => (await stream.report()).sent, PATIENT).toBeGreaterThan(stalled.sent + 10);
    expect((await stream.report()).echoed).toBeLessThanOrEqual(stalled.sent);
    await node.exec(["iptables-nft", "-D", ...rule]);
    // What was sent in vain is sent again by TCP.
    await expect.poll(async () => (await stream.report()).echoed, PATIENT).toBeGreaterThan(stalled.sent + 10);
    expect((await stream.report()).broken).toBeUndefined();

    await pod.agent.unlisten({ tcp: [9000] });
    await expect.poll(async () => (await stream.report()).broken, PATIENT).toBe("ECONNRESET");
    expect(await stream.release()).toMatchObject({ broken: "ECONNRESET", lastServer: "pod1-1" });
    await expect(stream.report()).rejects.toThrow(/stream/);
  });

  test("retire() ends serving once nobody is connected", async () => {
    await pod.agent.listen({ tcp: [9003] });
    const stream = await client.agent.hold({ ip: pod.ip, port: 9003, intervalMilliseconds: 2 });
    let isRetired = false;
    const retired = pod.agent.retire({ tcp: [9003] }).then(() => {
      isRetired = true;
    });
    const { echoed } = await stream.report();
    await expect.poll(async () => (await stream.report()).echoed, PATIENT).toBeGreaterThan(echoed + 100);
    expect(isRetired).toBe(false);
    expect((await stream.release()).broken).toBeUndefined();
    await retired;
    const outcome = await client.agent.connect({ ip: pod.ip, port: 9003 });
    expect(outcome).toMatchObject({ kind: "refused" });
  });

  test("hold() keeps a UDP socket through errors and notices who answers", async () => {
    await pod.agent.listen({ udp: [9001] });
    const request = { ip: pod.ip, port: 9001, protocol: "UDP", intervalMilliseconds: 2 } as const;
    const stream = await client.agent.hold(request);
    await expect
      .poll(async () => (await stream.report()).byServer["pod1-1"] ?? 0, PATIENT)
      .toBeGreaterThan(10);
    await pod.agent.unlisten({ udp: [9001] });
    await expect
      .poll(async () => (await stream.report()).errors["ECONNREFUSED"] ?? 0, PATIENT)
      .toBeGreaterThan(3);
    await pod.agent.listen({ udp: [9001] });
    const { echoed } = await stream.report();
    await expect.poll(async () => (await stream.report()).echoed, PATIENT).toBeGreaterThan(echoed);
    expect((await stream.release()).broken).toBeUndefined();
  });

  test("hold() of a connection that cannot be made has an outcome and nothing else", async () => {
    const stream = await client.agent.hold({ ip: pod.ip, port: CLOSED });
    expect(stream.outcome).toMatchObject({ kind: "refused" });
    await expect(stream.report()).rejects.toThrow(/refused/);
  });

  test("startLoad() counts who answered and what failed until stopped", async () => {
    await pod.agent.listen({ tcp: [9002] });
    const load = await client.agent.startLoad({
      ip: pod.ip,
      port: 9002,
      concurrency: 3,
      pauseMilliseconds: 0,
    });
    await expect.poll(async () => (await load.report()).answered, PATIENT).toBeGreaterThan(20);
    expect((await load.report()).failures).toEqual({});
    await pod.agent.unlisten({ tcp: [9002] });
    await expect.poll(async () => (await load.report()).failures.refused ?? 0, PATIENT).toBeGreaterThan(5);
    const last = await load.stop();
    expect(last.byServer).toEqual({ "pod1-1": last.answered });
    expect(last.lastFailure).toBe("ECONNREFUSED");
    await expect(load.report()).rejects.toThrow(/load/);
  });

  test("listen() serves one address when told to, and refuses a port that is taken", async () => {
    await node.namespace.ip(["addr add 10.99.0.1/32 dev lo"]);
    await node.agent.listen({ tcp: [9003], udp: [9003], address: "10.99.0.1" });
    for (const protocol of ["TCP", "UDP"] as const) {
      expect(await node.agent.connect({ ip: "10.99.0.1", port: 9003, protocol })).toMatchObject({
        kind: "answered",
        greeting: { server: "node1", to: { ip: "10.99.0.1", port: 9003 } },
      });
      expect((await node.agent.connect({ ip: node.ip, port: 9003, protocol })).kind).not.toBe("answered");
    }
    await expect(pod.agent.listen({ tcp: [PORT] })).rejects.toThrow(/EADDRINUSE/);
    await expect(pod.agent.unlisten({ tcp: [CLOSED] })).rejects.toThrow(/not served/);
  });

  test("an agent that has ended says so", async () => {
    const short = await node.addPod("short");
    const { agent } = short;
    await agent.listen({ tcp: [PORT] });
    await agent.close();
    await expect(agent.listen({ tcp: [PORT] })).rejects.toThrow(/agent short: it ended/);
    await node.removePod("short");
  });
});
