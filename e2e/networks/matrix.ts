/**
 * The tests of the matrix, for some modes and networks: by title, so that they can be defined on a host or in a guest.
 *
 * @module
 */
import { afterAll, expect } from "vitest";
import { undisturbed } from "../daemon/load.ts";
import type { Node } from "../harness/cluster.ts";
import { checks, own } from "./checks.ts";
import { dnsKeepsAnswering } from "./dns.ts";
import { hostPortsBesideNodePorts } from "./host-ports.ts";
import type { Mode } from "./node-proxy.ts";
import type { Row, Trap } from "./rows.ts";
import { placeOf, sharedPlace } from "./services.ts";
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
  readonly traps?: readonly Trap[];
}

/** Every row beside a cluster with one node for each mode. */
export function matrix(
  modes: readonly Mode[],
  rows: readonly Row[],
  { eventful = rows, traps = [] }: Depth = {},
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
        testsOf(row, modes, eventful.includes(row)).map(([title, work]) => [title, () => on(row, work)]),
      ),
      ...traps.map((trap) => [trap.title, () => on(trap.row, (there) => fallInto(there, trap))]),
    ]),
  };
}

type Named = readonly [title: string, work: (stage: Stage) => Promise<void>];

/** The tests of a row. */
function testsOf(row: Row, modes: readonly Mode[], isEventful: boolean): readonly Named[] {
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
  if (!isEventful) return quiet;
  return [
    ...quiet,
    ...(row.hostPorts === true
      ? each("host ports of the plugin portmap beside node ports", hostPortsBesideNodePorts)
      : []),
    all("an endpoint is replaced, and no request fails", replacement),
    all("names are resolved while DNS pods are replaced", dnsKeepsAnswering),
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
