/**
 * The tests of the matrix, for some modes and networks: by title, so that they can be defined on a host or in a guest.
 *
 * @module
 */
import { afterAll, expect } from "vitest";
import { undisturbed } from "../daemon/load.ts";
import type { Node } from "../harness/cluster.ts";
import { Traffic } from "../ipvs/traffic.ts";
import { checks, own } from "./checks.ts";
import { dnsKeepsAnswering } from "./dns.ts";
import { hostPortsBesideNodePorts } from "./host-ports.ts";
import type { Mode } from "./node-proxy.ts";
import type { Row, Trap } from "./rows.ts";
import { placeOf, serviceRange, sharedPlace } from "./services.ts";
import { Stage } from "./stage.ts";

/** Tests by title, and the hooks that they need. */
export interface Matrix {
  readonly prepare: () => void;
  readonly tests: Readonly<Record<string, () => Promise<void>>>;
}

/** What is tested besides every path and affinity on every row. */
export interface Depth {
  /** Rows on which things happen: replacements, restarts, a reboot. All unless told. */
  readonly eventful?: readonly Row[];
  /** Rows on which replacements happen, if no more. None unless told. */
  readonly replaced?: readonly Row[];
  /** Rows on which the mode is switched, and everything holds in the other one too. None unless told. */
  readonly switched?: readonly Row[];
  readonly traps?: readonly Trap[];
}

/** Every row beside a cluster with one node for each mode. */
export function matrix(
  modes: readonly Mode[],
  rows: readonly Row[],
  { eventful = rows, replaced = [], switched = [], traps = [] }: Depth = {},
): Matrix {
  let stage: Stage | undefined;
  const takeDown = async (): Promise<void> => {
    const old = stage;
    stage = undefined;
    await old?.[Symbol.asyncDispose]();
  };
  const on = async (row: Row, work: (stage: Stage) => Promise<void>): Promise<void> => {
    stage ??= await Stage.create(modes, row);
    try {
      await stage.use(row);
      await work(stage);
    } catch (error) {
      // What failed may have left anything behind.
      await takeDown();
      throw error;
    }
  };
  return {
    prepare: () => afterAll(takeDown),
    tests: Object.fromEntries([
      ...rows.flatMap((row) =>
        [
          ...testsOf(
            row,
            modes,
            eventful.includes(row) ? "all" : replaced.includes(row) ? "replacements" : "none",
          ),
          ...(switched.includes(row) ? switchesOf(row, modes) : []),
        ].map(([title, work]) => [title, () => on(row, work)]),
      ),
      ...traps.map((trap) => [trap.title, () => on(trap.row, (there) => fallInto(there, trap))]),
    ]),
  };
}

type Named = readonly [title: string, work: (stage: Stage) => Promise<void>];

/** The tests of a row, with so many of the events. */
function testsOf(
  row: Row,
  modes: readonly Mode[],
  events: "all" | "replacements" | "none",
): readonly Named[] {
  const { name } = row.network;
  const each = (title: string, work: (stage: Stage, node: Node) => Promise<void>): readonly Named[] =>
    modes.map((mode, index) => [
      `${name}, ${mode} on node${index + 1}: ${title}`,
      (stage) => work(stage, stage.cluster.node(index)),
    ]);
  const all = (title: string, work: (stage: Stage) => Promise<void>): Named => [
    `${name}, ${modes.join(" and ")}: ${title}`,
    work,
  ];
  const quiet = [
    ...each("every path and source", (stage, node) => stage.judge(stage.scenes(node), checks)),
    ...each("connections are spread, and stay with ClientIP affinity", affinity),
  ];
  const replacements = [
    all("an endpoint is replaced, and no request fails", replacement),
    all("names are resolved while DNS pods are replaced", dnsKeepsAnswering),
  ];
  if (events === "none") return quiet;
  if (events === "replacements") return [...quiet, ...replacements];
  return [
    ...quiet,
    ...(row.hostPorts === true
      ? each("host ports of the plugin portmap beside node ports", hostPortsBesideNodePorts)
      : []),
    ...replacements,
    all("the pod network's programs end and begin again", async (stage) => {
      for (const node of stage.cluster.nodes) await node.restartNetwork();
      await everyPath(stage);
    }),
    all("a node loses its power and comes back, with new pods", async (stage) => {
      await stage.reboot(stage.cluster.node(modes.length - 1));
      await everyPath(stage);
    }),
  ];
}

/** The node in ipvs mode goes to iptables mode, where all paths are looked at, and back. */
function switchesOf({ network }: Row, modes: readonly Mode[]): readonly Named[] {
  const index = modes.indexOf("ipvs");
  return [
    [
      `${network.name}, ipvs and legacy on node${index + 1}: the mode is switched under load, and nothing fails`,
      (stage) => modeSwitches(stage, stage.cluster.node(index)),
    ],
  ];
}

async function modeSwitches(stage: Stage, node: Node): Promise<void> {
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

/** New connections without pause and streams that go on, to endpoints here and elsewhere. */
async function trafficOf(stage: Stage, node: Node): Promise<Traffic> {
  const scenes = stage.scenes(node);
  for (const { v6 } of scenes) await stage.cluster.routeClient(serviceRange(v6), node);
  const paths = scenes.map((scene) => {
    const { client, beside, here, v6, index, otherIndex } = scene;
    const at = placeOf("cluster", index, v6);
    const away = placeOf("cluster", otherIndex, v6);
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

/** Sees a setting break what it must, and nothing else. */
async function fallInto(stage: Stage, { sysctls, broken }: Trap): Promise<void> {
  const before = stage.cluster.nodes.map(({ namespace }) =>
    Object.fromEntries(Object.keys(sysctls).map((name) => [name, namespace.sysctl(name)])),
  );
  try {
    for (const { namespace } of stage.cluster.nodes) namespace.setSysctls(sysctls);
    for (const node of stage.nodes) {
      expect((await stage.failing(stage.scenes(node), checks)).toSorted()).toEqual(broken.toSorted());
    }
  } finally {
    for (const [index, { namespace }] of stage.cluster.nodes.entries())
      namespace.setSysctls(before[index] ?? {});
  }
}

async function everyPath(stage: Stage): Promise<void> {
  for (const node of stage.nodes) await stage.judge(stage.scenes(node), checks);
}

const connections = 24;

async function affinity(stage: Stage, node: Node): Promise<void> {
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

async function replacement(stage: Stage): Promise<void> {
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
  await undisturbed(traffic, async () => {
    for (const node of stage.nodes) await stage.replace(node);
  });
}
