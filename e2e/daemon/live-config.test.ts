/**
 * The configuration is changed while the program runs: what can change live does, what cannot says so, and a wrong file
 * changes nothing.
 *
 * @module
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Cluster, createCluster, type Node, type Pod } from "../harness/cluster.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { ApiChild } from "./api-child.ts";
import { Daemon } from "./daemon.ts";
import { eventually } from "./eventually.ts";
import { requestFrom } from "./http-request.ts";
import { undisturbed } from "./load.ts";
import { nodeObject, type ServiceShape, withPods } from "./objects.ts";
import { savedRules } from "./rules.ts";

const NEEDS = { programs: ["iptables-nft", "iptables-legacy", "ipset"], plugins: ["bridge", "host-local"] };

const web: ServiceShape = {
  name: "web",
  clusterIP: "10.96.0.10",
  ports: [{ port: 80, targetPort: 8080, nodePort: 30_080 }],
};

describeOnKernel("a configuration that changes", NEEDS, () => {
  let cluster: Cluster;
  let node: Node;
  let pods: readonly Pod[];
  let api: ApiChild;
  let daemon: Daemon;

  beforeAll(async () => {
    cluster = await createCluster({ nodes: 1, podsPerNode: 2, variant: "nft" });
    node = cluster.node(0);
    pods = cluster.pods;
    await Promise.all(pods.map(({ agent }) => agent.listen({ tcp: [8080] })));
  });

  beforeEach(async () => {
    api = await ApiChild.start(cluster, withPods(web, pods));
    daemon = Daemon.launch(node, { from: { kubeconfig: api.kubeconfig } });
    await daemon.ready();
  });

  afterEach(async () => {
    await daemon?.stop("SIGKILL");
    await api?.kill();
  });
  afterAll(() => cluster?.remove());

  const traffic = () => [
    { sender: cluster.client, ip: node.ip, port: 30_080 },
    { sender: node, ip: web.clusterIP, port: 80 },
  ];

  const inLayout = (layout: string) => ({ sluice: { iptables: { variant: "nft", layout } } });

  const rules = (): Promise<string> => savedRules(node, "nft");

  async function change(config: Readonly<Record<string, unknown>>): Promise<void> {
    const mark = daemon.log.mark();
    daemon.configure(config);
    await daemon.configured(mark);
  }

  test("takes effect without a connection lost, also while the API server is away", async () => {
    await undisturbed(traffic(), async () => {
      await change(inLayout("endpoint-chains"));
      expect(await rules()).toContain("-j KUBE-SEP-");
      await api.kill();
      await change(inLayout("lean"));
      expect(await rules()).not.toContain("-j KUBE-SEP-");
      await change({ ...inLayout("lean"), iptables: { masqueradeBit: 15, syncPeriod: "2s" } });
      expect(await rules()).toContain("0x8000");
    });
    expect(
      daemon.log.complaints().filter(({ level, caller }) => level === "error" && caller === "proxy:0"),
    ).toEqual(expect.not.arrayContaining([expect.objectContaining({ msg: "Sync failed" })]));
    expect(await daemon.metric('kube_sluice_config_reloads_total{result="applied"}')).toBe("3");
  });

  test("moves a server, and says what it is now", async () => {
    await change({ metricsBindAddress: "127.0.0.1:10250", logging: { verbosity: 2 }, enableProfiling: true });
    const { body } = await daemon.get(10_250, "/configz");
    expect(JSON.parse(body)["kubeproxy.config.k8s.io"]).toMatchObject({
      metricsBindAddress: "127.0.0.1:10250",
      enableProfiling: true,
    });
    await expect(
      requestFrom(node.namespace, { ip: "127.0.0.1", port: 10_249, path: "/metrics" }),
    ).rejects.toThrow();
    // The same port on more addresses: the kernel does not have both at a time.
    await change({ metricsBindAddress: "0.0.0.0:10250" });
    expect((await daemon.get(10_250, "/configz")).body).toContain('"metricsBindAddress":"0.0.0.0:10250"');
  });

  test("is refused when it is wrong, with one line, one event and one count, and taken back", async () => {
    const mark = daemon.log.mark();
    daemon.configure({ iptables: { masqueradeBit: 99 } });
    const refused = () =>
      daemon.log.find("The new configuration is refused: the old one stays in force", mark);
    await eventually("the refusal", () => refused().length > 0);
    // Whatever happens in the folder, the same content is refused once.
    daemon.configure({ iptables: { masqueradeBit: 99 } });
    await eventually("the event", () => eventsOf("ConfigRejected").then((events) => events.length > 0));
    expect(refused()).toEqual([
      expect.objectContaining({ reason: expect.stringContaining("MasqueradeBit") }),
    ]);
    expect(await daemon.metric('kube_sluice_config_reloads_total{result="rejected"}')).toBe("1");
    await change(inLayout("endpoint-chains"));
  });

  test("is refused when a server cannot listen there", async () => {
    const mark = daemon.log.mark();
    daemon.configure({ ...inLayout("endpoint-chains"), metricsBindAddress: "192.0.2.1:10249" });
    const refused = () =>
      daemon.log.find("The new configuration is refused: the old one stays in force", mark);
    await eventually("the refusal", () => refused().length > 0);
    expect(refused()[0]?.["reason"]).toContain("Cannot listen on 192.0.2.1:10249");
    expect(await rules()).not.toContain("-j KUBE-SEP-");
  });

  test("that is away for a while changes nothing", async () => {
    const mark = daemon.log.mark();
    const away = "Cannot read the configuration file: what it said last stays in force";
    daemon.file.remove();
    await eventually("the warning", () => daemon.log.find(away, mark).length > 0);
    expect(await daemon.metric("kube_sluice_config_reloads_total")).toBeUndefined();
    await change(inLayout("endpoint-chains"));
  });

  test("ends the program when it cannot change live, which says what it was", async () => {
    daemon.configure({
      hostnameOverride: "another",
      clientConnection: { kubeconfig: `${api.kubeconfig}.new` },
    });
    expect(await daemon.ended()).toBe(1);
    expect(daemon.log.tail(3)).toContain("clientConnection.kubeconfig changed: ending");
  });

  test("follows the Node object: other pod networks and addresses take effect without a connection lost", async () => {
    await change({ detectLocalMode: "NodeCIDR" });
    const registered = nodeObject(node);
    expect(await rules()).toContain(node.addresses.podCidr);
    const other = {
      ...registered,
      spec: { podCIDR: "10.244.77.0/24", podCIDRs: ["10.244.77.0/24"] },
      status: { addresses: [node.ip, "192.0.2.77"].map((address) => ({ type: "InternalIP", address })) },
    };
    const mark = daemon.log.mark();
    await undisturbed(traffic(), async () => {
      // The API server lets nobody change pod networks: nodes that get others register anew.
      await api.delete(registered);
      await api.apply(other);
      await eventually("the new pod network", async () => (await rules()).includes("10.244.77.0/24"));
    });
    expect(await rules()).not.toContain(node.addresses.podCidr);
    const inEffect = "What the Node object says now is in effect";
    await eventually("the end of it", () => daemon.log.find(inEffect, mark).length > 0);
    expect(daemon.log.complaints().filter(({ level }) => level === "error")).toEqual([]);
    expect(await daemon.stop()).toBe(0);
  });

  describe("events", () => {
    test("name fields that nothing reads", async () => {
      await change({ ...inLayout("endpoint-chains"), bindAdress: "::" });
      const [event] = await eventually("the event", async () => {
        const events = await eventsOf("UnknownConfigField");
        return events.length > 0 ? events : undefined;
      });
      expect(event).toMatchObject({ type: "Warning", regarding: { kind: "Node", name: node.name } });
      expect(event?.["note"]).toContain('unknown field "bindAdress" (did you mean "bindAddress"?)');
    });

    test("tell of every change", async () => {
      await change(inLayout("endpoint-chains"));
      const [event] = await eventually("the event", async () => {
        const events = await eventsOf("ConfigApplied");
        return events.length > 0 ? events : undefined;
      });
      expect(event).toMatchObject({ type: "Normal", regarding: { kind: "Node", name: node.name } });
      expect(event?.["note"]).toContain("sluice.iptables.layout");
    });
  });

  async function eventsOf(reason: string): Promise<readonly Record<string, unknown>[]> {
    const { body } = await requestFrom(cluster.client.namespace, {
      ip: cluster.client.ip,
      port: 6_443,
      path: "/apis/events.k8s.io/v1/events",
    });
    const { items } = JSON.parse(body) as { items: readonly Record<string, unknown>[] };
    return items.filter((event) => event["reason"] === reason);
  }
});
