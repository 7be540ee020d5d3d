/**
 * @module
 */
import { expect, test } from "vitest";
import { cidr, endpoint, here, PlannedCluster, port, service, slice } from "../proxier/testing.ts";
import { renderIpvs } from "./render-plan.ts";
import { backendOptions, FakeNode, ruleSettings } from "./testing.ts";

const local = service({
  type: "LoadBalancer",
  ports: [port({ nodePort: 30_080 })],
  externalTrafficPolicy: "Local",
  externalIPs: ["192.168.0.2"],
  loadBalancerIngress: [{ ip: "203.0.113.1", ipMode: "" }],
  loadBalancerSourceRanges: ["198.51.100.0/24"],
});
const endpoints = slice(["10.244.1.1", endpoint("10.244.1.2", here)]);

const settings = {
  nodeName: "here",
  scheduler: "rr",
  rules: ruleSettings,
  reserved: { ...backendOptions().reserved, pods: [cidr("10.244.0.0/16")] },
  localAddresses: backendOptions().reserved.node,
};

test("renderIpvs() is what the backend makes of the same Plan", async () => {
  const node = new FakeNode();
  node.cluster.put(local, endpoints, service({ name: "none", clusterIP: "10.96.0.9" }));
  await node.sync();
  const { rules, sets, servers, addresses } = renderIpvs(node.cluster.planner.plan, settings);

  const made = servers.split("\n").filter((line) => line.startsWith("-A"));
  expect(made).toHaveLength((await node.host.servers()).match(/^\S/gm)?.length ?? 0);
  const added = [...sets.matchAll(/^add (\S+ \S+)/gm)].map(([, entry]) => entry);
  expect(added.sort()).toEqual(
    node.host
      .entries()
      .map((entry) => entry.split(" ").slice(0, 2).join(" "))
      .sort(),
  );
  expect([...sets.matchAll(/^create (\S+)/gm)].map(([, name]) => name).sort()).toEqual(
    [...node.host.ipset.sets.keys()].sort(),
  );
  const bound = [...addresses.matchAll(/^addr add (\S+)\/32 dev kube-ipvs0$/gm)].map(
    ([, address]) => address,
  );
  expect(bound.sort()).toEqual(node.host.bound());
  const ruleLines = (text: string): readonly string[] =>
    [...text.matchAll(/^-[AI] (.*)$/gm)].map(([, rule]) => rule ?? "").sort();
  expect(ruleLines(rules)).toEqual(ruleLines(node.host.tables.IPv4.save()));
});

test("renderIpvs() gives equal text for equal Plans, whatever the order of events", () => {
  const render = (objects: readonly (typeof local | typeof endpoints)[]): unknown => {
    const cluster = new PlannedCluster().put(...objects);
    cluster.planner.take();
    return renderIpvs(cluster.planner.plan, settings);
  };
  const more = service({ name: "a", clusterIP: "10.96.0.9" });
  expect(render([more, endpoints, local])).toEqual(render([local, endpoints, more]));
});

test("renderIpvs() shows servers as ipvsadm does", () => {
  const cluster = new PlannedCluster().put(service(), slice(["10.244.1.1"]));
  cluster.planner.take();
  expect(renderIpvs(cluster.planner.plan, settings).servers).toBe(
    "-A -t 10.96.0.10:80 -s rr\n-a -t 10.96.0.10:80 -r 10.244.1.1:8080 -m -w 1\n",
  );
});
