/**
 * What happens beside a pod network, and must not be noticed or must be got over.
 *
 * @module
 */
import { expect } from "vitest";
import { undisturbed } from "../daemon/load.ts";
import { runDoctor } from "../doctor/run-doctor.ts";
import type { Node } from "../harness/cluster.ts";
import { inGuest } from "../harness/tested-mode.ts";
import { Traffic } from "../ipvs/traffic.ts";
import { checks, own } from "./checks.ts";
import { placeOf, serviceRange, sharedPlace } from "./services.ts";
import type { Stage } from "./stage.ts";

/** Every check on every node that is served. */
export async function everyPath(stage: Stage): Promise<void> {
  for (const node of stage.nodes) await stage.judge(stage.scenes(node), checks);
}

/** `doctor` knows the network, and sees no trap of it where there is none. */
export async function recognition(stage: Stage): Promise<void> {
  const { row, nodes } = stage;
  for (const node of nodes.slice(0, 1)) {
    const { variant } = node;
    const { mode } = stage.proxyOf(node);
    const { levels, what } = await runDoctor(node, {
      mode: mode === "ipvs" ? "ipvs" : "iptables",
      sluice: { iptables: { variant } },
    });
    expect(what("pod-network")).toBe(row.recognised);
    const about = ["pod-network", "tunnel-mtu", "rp-filter", "mark-overlap", "cni-masquerade"];
    const wrong = about.filter((id) => levels[id] !== undefined && levels[id] !== "ok");
    expect(wrong).toEqual([]);
  }
}

const connections = 24;

/** Connections from one pod reach several endpoints, or with affinity one. */
export async function affinity(stage: Stage, node: Node): Promise<void> {
  for (const scene of stage.scenes(node)) {
    const { beside, index, v6 } = scene;
    for (const protocol of ["TCP", "UDP"] as const) {
      const ask = async (name: "spread" | "sticky"): Promise<ReadonlySet<string>> => {
        const request = { ip: sharedPlace(name, index, v6), port: 80, protocol };
        const outcomes = await Promise.all(
          Array.from({ length: connections }, () => beside.agent.connect(request)),
        );
        return new Set(outcomes.map((one) => (one.kind === "answered" ? one.greeting.server : one.kind)));
      };
      const pods = scene.row.acrossNodes ? stage.cluster.pods : node.pods;
      // Among four, that one is never chosen by chance in 24 is as likely as 1 in 250.
      const spread = await ask("spread");
      expect(spread.size, `${protocol} spread: ${[...spread]}`).toBeGreaterThan(1);
      expect(pods.map((pod) => pod.name)).toEqual(expect.arrayContaining([...spread]));
      const stuck = await ask("sticky");
      expect(stuck.size, `${protocol} sticky: ${[...stuck]}`).toBe(1);
      expect(pods.map((pod) => pod.name)).toEqual(expect.arrayContaining([...stuck]));
    }
  }
}

/** Connections of each kind, at the least, while endpoints are replaced. A guest makes some dozens in a second. */
const least = inGuest ? 20 : 50;

/** The only endpoint of each node's Services is replaced while connections are made to it from everywhere. */
export async function replacement(stage: Stage): Promise<void> {
  const traffic = stage.nodes.flatMap((node) =>
    stage.scenes(node).flatMap((scene) => {
      const { index, v6, beside } = scene;
      const { clusterIP, nodePort } = placeOf("cluster", index, v6);
      return [
        { sender: stage.cluster.client, ip: own(node, scene), port: nodePort },
        { sender: node, ip: clusterIP, port: 80 },
        // The last pod stays where it is.
        { sender: beside, ip: clusterIP, port: 80 },
      ];
    }),
  );
  const work = async (): Promise<void> => {
    for (const node of stage.nodes) await stage.replace(node);
  };
  await undisturbed(traffic, work, least);
}

/** The network's programs end and begin again on every node. */
export async function restart(stage: Stage): Promise<void> {
  for (const node of stage.cluster.nodes) await node.restartNetwork();
  await everyPath(stage);
}

/** The last node that is served loses its power. */
export async function reboot(stage: Stage): Promise<void> {
  const last = stage.nodes.at(-1);
  if (last === undefined) throw new RangeError("Cannot reboot a node: none is served");
  await stage.reboot(last);
  await everyPath(stage);
}

/** A node in ipvs mode goes to iptables mode, where all paths are looked at, and back. */
export async function modeSwitches(stage: Stage, node: Node): Promise<void> {
  const proxy = stage.proxyOf(node);
  const { pid } = proxy.daemon;
  const traffic = await trafficOf(stage, node);
  await proxy.switchTo("legacy");
  await traffic.flows();
  await stage.judge(stage.scenes(node), checks);
  await proxy.switchTo("ipvs");
  await traffic.flows();
  expect(await traffic.stop()).toEqual([]);
  // It was the same process all the time.
  expect(proxy.daemon.pid).toBe(pid);
}

/** New connections without pause and streams that go on, to endpoints here and, where pods are reached there, elsewhere. */
async function trafficOf(stage: Stage, node: Node): Promise<Traffic> {
  const scenes = stage.scenes(node);
  for (const { v6 } of scenes) await stage.cluster.routeClient(serviceRange(v6), node);
  const paths = scenes.map((scene) => {
    const { client, beside, here, v6, index, otherIndex, row } = scene;
    const at = placeOf("cluster", index, v6);
    const away = row.acrossNodes ? placeOf("cluster", otherIndex, v6) : at;
    return {
      fromOutside: { from: client, ip: own(node, scene), port: away.nodePort },
      fromPod: { from: beside, ip: away.clusterIP, port: 80 },
      byDatagrams: { from: beside, ip: at.clusterIP, port: 80, protocol: "UDP" as const },
      toItself: { from: here, ip: at.clusterIP, port: 80 },
    };
  });
  return Traffic.start(
    paths.flatMap((path) => [path.fromOutside, path.fromPod, path.byDatagrams]),
    paths.flatMap((path) => [path.fromOutside, path.fromPod, path.toItself]),
  );
}
