/**
 * @module
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { createCluster } from "../harness/cluster.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { apply, Daemon } from "./daemon.ts";
import { Manifests } from "./manifests.ts";
import { withPods } from "./objects.ts";

describeOnKernel("try", {}, () => {
  test("works", async () => {
    await using cluster = await createCluster({ nodes: 1, podsPerNode: 2, variant: "nft" });
    const node = cluster.node(0);
    const manifests = new Manifests(join(node.directory, "manifests"));
    const t = performance.now();
    const daemon = await Daemon.start(node, { from: { manifests: manifests.path } });
    console.log(performance.now() - t);
    const web = { name: "web", clusterIP: "10.96.0.10", ports: [{ port: 80, targetPort: 8080, nodePort: 30080 }] };
    for (const pod of cluster.pods) await pod.agent.listen({ tcp: [8080] });
    const t2 = performance.now();
    await apply(manifests, [daemon], withPods(web, cluster.pods));
    console.log(performance.now() - t2);
    console.log(await node.agent.connect({ ip: "10.96.0.10", port: 80 }));
    console.log(await cluster.client.agent.connect({ ip: node.ip, port: 30080 }));
    console.log(await daemon.get(10256, "/healthz"));
    console.log(await daemon.metric("kube_sluice_problems"));
    console.log(daemon.log.tail(40));
    console.log(await daemon.stop(), performance.now() - t);
    expect(1).toBe(1);
  });
});
