/**
 * What a load balancer outside asks: does this node have endpoints of the Service, and is its proxy well?
 *
 * @module
 */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cluster, createCluster, type Node } from "../harness/cluster.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { testedVariant } from "../harness/tested-mode.ts";
import { apply, Daemon } from "./daemon.ts";
import { eventually } from "./eventually.ts";
import { type HttpAnswer, requestFrom } from "./http-request.ts";
import { Manifests } from "./manifests.ts";
import { leaving, type Member, nodeObject, type ServiceShape, withPods } from "./objects.ts";

const NEEDS = { programs: ["iptables-nft", "ipset"], plugins: ["bridge", "host-local"] };

const healthPort = 32_000;

const web: ServiceShape = {
  name: "web",
  clusterIP: "10.96.0.10",
  ports: [{ port: 80, targetPort: 8080, nodePort: 30_080 }],
  spec: { type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort: healthPort },
};

describeOnKernel("the health-check node port", NEEDS, () => {
  let cluster: Cluster;
  let node1: Node;
  let node2: Node;
  let manifests: Manifests;
  let daemons: readonly Daemon[];

  beforeAll(async () => {
    cluster = await createCluster({ nodes: 2, podsPerNode: 2, ipv6: true, variant: testedVariant });
    node1 = cluster.node(0);
    node2 = cluster.node(1);
    await Promise.all(cluster.pods.map(({ agent }) => agent.listen({ tcp: [8080] })));
    manifests = new Manifests(join(node1.directory, "manifests"), cluster.nodes);
    daemons = await Promise.all(
      cluster.nodes.map((node) => Daemon.start(node, { from: { manifests: manifests.path } })),
    );
  });

  afterAll(() => cluster?.remove());

  const set = (members: readonly Member[]): Promise<void> =>
    apply(manifests, daemons, withPods(web, members));

  function ask(ip: string, port = healthPort): Promise<HttpAnswer> {
    return requestFrom(cluster.client.namespace, { ip, port, path: "/healthz" });
  }

  /** Waits until the node counts so many endpoints: the answers follow a moment after the rules. */
  async function counted(node: Node, endpoints: number): Promise<HttpAnswer> {
    return await eventually(`${endpoints} endpoints on ${node.name}`, async () => {
      const answer = await ask(node.ip);
      return answer.headers["x-load-balancing-endpoint-weight"] === `${endpoints}` && answer;
    });
  }

  test("answers with status, headers and body as kube-proxy does", async () => {
    await set(node1.pods);
    const some = await counted(node1, 2);
    expect(some.status).toBe(200);
    expect(some.headers).toMatchObject({
      "content-type": "application/json",
      "x-content-type-options": "nosniff",
      "x-load-balancing-endpoint-weight": "2",
    });
    const text = (count: number): string =>
      `{\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "web"\n\t},\n\t"localEndpoints": ${count},\n\t"serviceProxyHealthy": true\n}`;
    expect(some.body).toBe(text(2));
    const none = await counted(node2, 0);
    expect(none.status).toBe(503);
    expect(none.body).toBe(text(0));
  });

  test("follows the endpoints of its own node", async () => {
    const [first, second] = node1.pods;
    const [other] = node2.pods;
    if (first === undefined || second === undefined || other === undefined) {
      throw new RangeError("Cannot move endpoints: there are too few pods");
    }
    await set([first, other]);
    expect((await counted(node1, 1)).status).toBe(200);
    expect((await counted(node2, 1)).status).toBe(200);
    await set([first, second]);
    expect((await counted(node1, 2)).status).toBe(200);
    expect((await counted(node2, 0)).status).toBe(503);
  });

  test("sends the load balancer elsewhere while the last pods go on serving", async () => {
    await set(node1.pods.map((pod) => ({ pod, conditions: leaving })));
    expect((await counted(node1, 0)).status).toBe(503);
    const outcome = await cluster.client.agent.connect({ ip: node1.ip, port: 30_080 });
    expect(outcome).toMatchObject({ kind: "answered", greeting: { from: { ip: cluster.client.ip } } });
  });

  test("is open in the Service's family only", async () => {
    await set(node1.pods);
    await counted(node1, 2);
    await expect(ask(node1.ip6 ?? "")).rejects.toThrow("ECONNREFUSED");
  });

  test("is closed when the Service is gone", async () => {
    await set(node1.pods);
    await counted(node1, 2);
    await apply(manifests, daemons, []);
    await eventually("the port to be closed", async () => {
      const reason = await ask(node1.ip).then(
        () => "",
        (error: Error) => error.message,
      );
      return reason.includes("ECONNREFUSED");
    });
  });

  test("of a port that somebody else has is opened as soon as it is free", async () => {
    await node1.agent.listen({ tcp: [healthPort] });
    await set(node1.pods);
    const [daemon] = daemons;
    const line = await daemon?.log.waitFor("the complaint", ({ msg }) =>
      msg.includes("failed to start healthcheck"),
    );
    expect(line?.msg).toContain(
      `node node1 failed to start healthcheck "default/web" on port ${healthPort}: `,
    );
    expect(line?.msg).toContain("EADDRINUSE");
    expect(await cluster.client.agent.connect({ ip: node1.ip, port: 30_080 })).toMatchObject({
      kind: "answered",
    });
    await node1.agent.unlisten({ tcp: [healthPort] });
    // Any sync will do.
    await set(node1.pods);
    await counted(node1, 2);
  });

  test("follows the addresses that take node ports", async () => {
    const [daemon] = daemons;
    const mark = daemon?.log.mark();
    daemon?.configure({ nodePortAddresses: ["198.51.100.0/24"] });
    await daemon?.configured(mark ?? 0);
    await set(node1.pods);
    await expect(ask(node1.ip)).rejects.toThrow("ECONNREFUSED");
    const added = { ip: "198.51.100.7", port: healthPort, path: "/" };
    await node1.exec(["ip", "address", "add", `${added.ip}/32`, "dev", "lo"]);
    // Any sync will do.
    await set(node1.pods);
    await eventually("an answer at the new address", () =>
      requestFrom(node1.namespace, added).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
    const second = daemon?.log.mark();
    await node1.exec(["ip", "address", "del", `${added.ip}/32`, "dev", "lo"]);
    daemon?.configure({});
    await daemon?.configured(second ?? 0);
    await counted(node1, 2);
  });

  test("of the proxy itself tells that the node is about to be removed, and of its life that it is well", async () => {
    const healthz = (path: string): Promise<HttpAnswer> =>
      requestFrom(cluster.client.namespace, { ip: node1.ip, port: 10_256, path });
    expect(await healthz("/healthz")).toMatchObject({ status: 200 });
    const doomed = nodeObject(node1);
    manifests.write(
      "a-node.json",
      JSON.stringify({
        ...doomed,
        spec: { taints: [{ key: "ToBeDeletedByClusterAutoscaler", effect: "NoSchedule" }] },
      }),
    );
    const answer = await eventually("the node to be given up", async () => {
      const one = await healthz("/healthz");
      return one.status === 503 && one;
    });
    expect(JSON.parse(answer.body)).toMatchObject({ nodeEligible: false, healthy: true });
    expect(await healthz("/livez")).toMatchObject({ status: 200 });
  });
});
