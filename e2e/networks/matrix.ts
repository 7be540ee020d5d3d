/**
 * The tests of the matrix, for some modes and networks: by title, so that they can be defined on a host or in a guest.
 *
 * @module
 */
import { afterAll, expect } from "vitest";
import type { Node } from "../harness/cluster.ts";
import { checks } from "./checks.ts";
import { dnsKeepsAnswering } from "./dns.ts";
import { affinity, modeSwitches, reboot, recognition, replacement, restart } from "./events.ts";
import { hostPortsBesideNodePorts } from "./host-ports.ts";
import { podMoves } from "./move.ts";
import type { Mode } from "./node-proxy.ts";
import type { Row, Trap } from "./rows.ts";
import { CellsFailed, Stage } from "./stage.ts";

/** Tests by title, and the hooks that they need. */
export interface Matrix {
  readonly prepare: () => void;
  readonly tests: Readonly<Record<string, () => Promise<void>>>;
}

/** What happens on a row, after every path and affinity have been looked at. */
export type Event =
  | "doctor"
  | "host ports"
  | "replacement"
  | "DNS"
  | "move"
  | "restart"
  | "reboot"
  | "switch";

/** Besides the tests of every row. */
export interface MatrixOptions {
  /** What happens on a row; everything that its network and the modes allow unless told. */
  readonly events?: (row: Row) => readonly Event[];
  readonly traps?: readonly Trap[];
}

/** All of them, in the order in which they happen. */
export const everything: readonly Event[] = [
  "doctor",
  "host ports",
  "replacement",
  "DNS",
  "restart",
  "reboot",
  "switch",
  "move",
];

/** Every row beside a cluster with one node for each mode. */
export function matrix(
  modes: readonly Mode[],
  rows: readonly Row[],
  { events = () => everything, traps = [] }: MatrixOptions = {},
): Matrix {
  let stage: Stage | undefined;
  const takeDown = async (): Promise<void> => {
    const old = stage;
    stage = undefined;
    await old?.[Symbol.asyncDispose]();
  };
  const on = async (row: Row, title: string, work: (stage: Stage) => Promise<void>): Promise<void> => {
    if (stage?.carries(row) === false) await takeDown();
    stage ??= await Stage.create(modes, row);
    try {
      await stage.use(row);
      await work(stage);
    } catch (error) {
      const folder = await evidenceOf(stage, title, error);
      // What failed may have left anything behind.
      await takeDown();
      throw new Error(`${error instanceof Error ? error.message : error}\nEvidence: ${folder}`, {
        cause: error,
      });
    }
  };
  const all = [
    ...rows.flatMap((row) => testsOf(row, modes, events(row)).map(([title, work]) => ({ row, title, work }))),
    ...traps.map((trap) => ({
      row: trap.row,
      title: trap.title,
      work: (there: Stage) => fallInto(there, trap),
    })),
  ];
  return {
    prepare: () => afterAll(takeDown),
    tests: Object.fromEntries(all.map(({ row, title, work }) => [title, () => on(row, title, work)])),
  };
}

/** Keeps what can be known of a failure. A stage that is broken so far that it cannot be looked at does not hide it. */
async function evidenceOf(stage: Stage, title: string, error: unknown): Promise<string> {
  const again = error instanceof CellsFailed ? error.again : () => Promise.resolve();
  return await stage.keep(title, again).catch((reason: unknown) => `none: ${reason}`);
}

type Named = readonly [title: string, work: (stage: Stage) => Promise<void>];

/** The tests of a row, with the events that are wanted and possible. */
function testsOf(row: Row, modes: readonly Mode[], wanted: readonly Event[]): readonly Named[] {
  const { name } = row.network;
  const each = (title: string, work: (stage: Stage, node: Node) => Promise<void>): readonly Named[] =>
    modes.map((mode, index) => [
      `${name}, ${mode} on node${index + 1}: ${title}`,
      (stage) => work(stage, stage.cluster.node(index)),
    ]);
  const all = (title: string, work: (stage: Stage) => Promise<void>): readonly Named[] => [
    [`${name}, ${modes.join(" and ")}: ${title}`, work],
  ];
  const switching = modes.indexOf("ipvs");
  const events: Readonly<Record<Event, readonly Named[]>> = {
    doctor: row.recognised === undefined ? [] : all("doctor recognises the network", recognition),
    "host ports":
      row.hostPorts === true
        ? each("host ports of the plugin portmap beside node ports", hostPortsBesideNodePorts)
        : [],
    replacement: all("an endpoint is replaced, and no request fails", replacement),
    DNS: all("names are resolved while DNS pods are replaced", dnsKeepsAnswering),
    move:
      row.moves === true
        ? all("a pod moves to another node and back with its address, and its Services follow", podMoves)
        : [],
    restart: all("the pod network's programs end and begin again", restart),
    reboot: all("a node loses its power and comes back, with new pods", reboot),
    switch:
      switching === -1
        ? []
        : [
            [
              `${name}, ipvs and legacy on node${switching + 1}: the mode is switched under load, and nothing fails`,
              (stage) => modeSwitches(stage, stage.cluster.node(switching)),
            ],
          ],
  };
  return [
    ...each("every path and source", (stage, node) => stage.judge(stage.scenes(node), checks)),
    ...each("connections are spread, and stay with ClientIP affinity", affinity),
    ...everything.filter((event) => wanted.includes(event)).flatMap((event) => events[event]),
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
