/**
 * What `explain` says of a case's packets, asked about the kernel that is to meet them.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { objectsView } from "../../src/cli/objects-view.ts";
import { parseConnection } from "../../src/inspect/connection.ts";
import { explain } from "../../src/inspect/explain.ts";
import type { Explanation } from "../../src/inspect/explanation.ts";
import { type NodeDoors, readNode } from "../../src/inspect/read-node.ts";
import { openIpvs } from "../../src/ipvs/netlink/open.ts";
import { openNetlink } from "../../src/netlink/socket.ts";
import { type Flow, type FlowCase, flowsFor, packetOf } from "../cases/cases.ts";
import type { Namespace } from "../harness/namespace.ts";
import { clusterState, proxyConfig } from "../oracle/planned-node.ts";
import type { FlowContext, FlowResult } from "./run-flow-case.ts";

/** What was said of a flow. */
export interface ExplainedFlow {
  readonly flow: Flow;
  /** In the words of fate.ts, sorted. */
  readonly said: readonly string[];
  /** Whether a scheduler chooses by a hash of the client: then one client meets one of them, always the same. */
  readonly byClient: boolean;
  /** What it found odd: drift, and rules that it does not understand. */
  readonly odd: readonly string[];
}

/** Doors to the kernel of a node's namespace, for a process that stays outside. */
export function namespaceDoors(
  { node, env }: Pick<FlowContext, "node" | "env">,
  mode: "iptables" | "ipvs",
): NodeDoors {
  return {
    saveRules: async (variant, family) => {
      const tool = family === "IPv4" ? "iptables" : "ip6tables";
      return [(await node.exec([`${tool}-${variant}-save`], { env })).stdout];
    },
    openNetlink: (protocol) => node.enter(() => openNetlink(protocol)),
    openIpvs: () => (mode === "ipvs" ? node.enter(openIpvs) : undefined),
    readText: (path) => readText(node, path),
  };
}

/** Asks about every flow of a case, of the kernel and of the objects. The rules must be in place. */
export async function explainFlows(
  context: Pick<FlowContext, "node" | "env" | "variant" | "flowCase">,
  mode: "iptables" | "ipvs",
): Promise<readonly ExplainedFlow[]> {
  const { flowCase, variant } = context;
  const { ipFamily } = flowCase.config;
  const node = await readNode(ipFamily, variant, namespaceDoors(context, mode));
  const objects = objectsView(
    proxyConfig(flowCase, mode),
    flowCase.node.name,
    clusterState(flowCase),
    ipFamily,
    node.ownAddresses,
  );
  return flowsFor(flowCase, "iptables").map((flow) => {
    const connection = connectionOf(flowCase, flow);
    const explanation = explain({ connection, objects, kernel: node.state });
    const odd = [...explanation.drift, ...explanation.notes.filter((note) => note.startsWith("This rule"))];
    const byClient = ["sh", "mh"].includes(explanation.scheduler ?? "");
    return { flow, said: fatesOf(explanation), byClient, odd };
  });
}

/** Flows of which something else was said than became of them, as lines to read. */
export function contradictions(
  results: readonly FlowResult[],
  explained: readonly ExplainedFlow[],
): readonly string[] {
  return results.flatMap(({ flow, got }, index) => {
    const { said = [], odd = [], byClient = false } = explained[index] ?? {};
    const agrees = byClient
      ? got.length === 1 && said.includes(got[0] ?? "")
      : said.join(" | ") === got.join(" | ");
    return agrees && odd.length === 0
      ? []
      : [`${flow.name}: explain says ${[...said, ...odd].join(" | ")}, got ${got.join(" | ")}`];
  });
}

function connectionOf(flowCase: FlowCase, flow: Flow): ReturnType<typeof parseConnection> {
  const { sourceIP, destIP, destPort, protocol, inputInterface } = packetOf(flowCase, flow, "n0");
  const to = `${destIP.includes(":") ? `[${destIP}]` : destIP}:${destPort}/${protocol}`;
  return parseConnection({ from: sourceIP, to, via: inputInterface });
}

function fatesOf({ verdict, destinations }: Explanation): readonly string[] {
  switch (verdict) {
    case "forward":
      return destinations
        .map(({ endpoint, masquerade }) => `${endpoint}${masquerade ? " masquerade" : ""}`)
        .sort();
    case "drop":
    case "reject":
      return [verdict.toUpperCase()];
    case "accept":
    case "none":
      return ["untouched"];
  }
}

function readText(node: Namespace, path: string): string {
  try {
    return node.enter(() => readFileSync(path.replace("/proc/net/", "/proc/thread-self/net/"), "utf8"));
  } catch {
    return "";
  }
}
