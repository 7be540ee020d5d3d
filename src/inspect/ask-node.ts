/**
 * Asks what a node's kernel holds about the first packet of a connection: where it goes, by which rules, and who remembers
 * its client.
 *
 * Pure. Knows rules, sets and virtual servers, not Services: it works on whatever proxy made them.
 *
 * @module
 */
import {
  createTracer,
  type Outcome,
  type Rule,
  type TracedNode,
  type TracedSet,
  type TraceStep,
} from "../iptables/builder/mod.ts";
import { isServiceChain } from "../iptables/chain-names.ts";
import { isLoopback } from "../proxier/address.ts";
import { BalancerTable } from "./balance.ts";
import type { Connection } from "./connection.ts";
import { type NodeMemory, type NodeState, noMemory } from "./node-state.ts";

/** What becomes of a packet. */
export type Verdict = "forward" | "drop" | "reject" | "accept" | "none";

/** A place where the packet may go. */
export interface NodeDestination {
  /** `address:port` or `[address]:port`. */
  readonly endpoint: string;
  readonly probability: number;
  readonly masquerade: boolean;
  /** Its mark at the end: what comes to the node itself passes no hook that could masquerade it. */
  readonly mark: number;
  /** `forward`, or what ends the packet on its way there. */
  readonly verdict: "forward" | "drop" | "reject";
  readonly steps: readonly TraceStep[];
}

/** A client that is remembered. */
export interface RememberedClient {
  readonly mechanism: "recent" | "ipset" | "ipvs";
  /** The list, set or virtual server. */
  readonly name: string;
  readonly endpoint: string;
  /** `recent`: since its last new connection; undefined when the kernel does not show its clock. */
  readonly secondsAgo?: number;
  readonly secondsLeft?: number;
}

/** The answer. */
export interface NodeAnswer {
  readonly verdict: Verdict;
  /** Sorted by endpoint. Empty unless the packet is translated. */
  readonly destinations: readonly NodeDestination[];
  /** What decided, in the order of the packet's way; where ways part, those of the first destinations one after the other. */
  readonly steps: readonly TraceStep[];
  /** Of the virtual server of IPVS that takes the packet, if one does. */
  readonly scheduler: string | undefined;
  readonly remembered: RememberedClient | undefined;
  /** Rules that may apply but cannot be judged; the answer is certain only if there are none. */
  readonly uncertain: readonly string[];
}

/** The port that the client is taken to use. */
const clientPort = 40_000;

/** Ways of one packet whose steps are told. */
const shownWays = 16;

/** Whether a process of the node opens it. */
export function isOfNode(connection: Connection, localAddresses: ReadonlySet<string>): boolean {
  return isLoopback(connection.from) || localAddresses.has(connection.from);
}

/** Asks. Without memory: as if the client were new. */
export function askNode(state: NodeState, connection: Connection, options: { memory: boolean }): NodeAnswer {
  const memory = options.memory ? state.memory : noMemory;
  const table = new BalancerTable(state.family, state.servers, memory.templates);
  const outcomes = createTracer(state.ruleset).connection(
    {
      source: connection.from,
      destination: connection.to,
      protocol: connection.protocol.toLowerCase(),
      sourcePort: clientPort,
      destinationPort: connection.port,
    },
    tracedNode(state, connection, memory, table),
  );
  const destinations = destinationsOf(outcomes);
  return {
    verdict: verdictOf(outcomes, destinations),
    destinations,
    steps: merged(outcomes.slice(0, shownWays).map(({ steps }) => decisive(steps))),
    scheduler: schedulerOf(outcomes),
    remembered: rememberedClient(outcomes, connection, memory),
    uncertain: [...new Set(outcomes.flatMap(({ skipped }) => skipped))],
  };
}

/** The text of a rule's comment; `""` without one. */
export function commentOf(rule: Rule | undefined): string {
  const texts = (rule?.matches ?? []).flatMap((match) => (match.kind === "comment" ? [match.text] : []));
  return texts.join(" ");
}

/** The rule that asked for masquerade: the first that jumps to the chain that marks, or that masquerades itself. */
export function masqueradeStep(steps: readonly TraceStep[]): TraceStep | undefined {
  return (
    steps.find(({ rule }) => rule?.target?.kind === "jump" && rule.target.chain === "KUBE-MARK-MASQ") ??
    steps.find(({ rule, chain }) => rule?.target?.kind === "mark" && chain === "KUBE-SLUICE-UNMARK") ??
    steps.find(({ rule }) => rule?.target?.kind === "masquerade")
  );
}

/** The rule or virtual server that gave the packet its destination. */
export function translationStep(steps: readonly TraceStep[]): TraceStep | undefined {
  return steps.find(({ rule, table }) => table === "ipvs" || rule?.target?.kind === "dnat");
}

/** The rule, the policy or the virtual server that ended a packet. */
export function refusalStep(steps: readonly TraceStep[]): TraceStep | undefined {
  const last = steps.at(-1);
  const kind = last?.rule?.target?.kind;
  return kind === "drop" || kind === "reject" || last?.rule === undefined ? last : undefined;
}

function tracedNode(
  state: NodeState,
  connection: Connection,
  memory: NodeMemory,
  table: BalancerTable,
): TracedNode {
  const isProcess = isOfNode(connection, state.localAddresses);
  return {
    ...(isProcess ? { origin: "process" } : { origin: "network", inInterface: connection.via ?? "eth0" }),
    localAddresses: state.localAddresses,
    outInterface: "eth0",
    recent: { get: (list) => agesOf(memory.recent.get(list)) },
    sets: new Map([...state.sets, ...affinitySets(memory)]),
    balance: table.balance,
  };
}

/** A client whose time nobody knows is taken for one that was just here. */
function agesOf(list: ReturnType<NodeMemory["recent"]["get"]>): ReadonlyMap<string, number> | undefined {
  return list && new Map([...list].map(([address, { secondsAgo = 0 }]) => [address, secondsAgo]));
}

function affinitySets({ sets }: NodeMemory): readonly (readonly [string, TracedSet])[] {
  return [...sets].map(([name, clients]) => [name, { type: "hash:ip", entries: new Set(clients.keys()) }]);
}

function destinationsOf(outcomes: readonly Outcome[]): readonly NodeDestination[] {
  const byKey = new Map<string, NodeDestination>();
  for (const { dnat, probability, masquerade, mark, verdict, steps } of outcomes) {
    if (dnat === undefined) {
      continue;
    }
    const fate = verdict === "drop" || verdict === "reject" ? verdict : "forward";
    const key = `${dnat} ${fate} ${masquerade}`;
    const known = byKey.get(key);
    byKey.set(
      key,
      known === undefined
        ? { endpoint: dnat, probability, masquerade, mark, verdict: fate, steps }
        : { ...known, probability: known.probability + probability },
    );
  }
  return [...byKey.values()].sort((a, b) => (a.endpoint < b.endpoint ? -1 : a.endpoint > b.endpoint ? 1 : 0));
}

function verdictOf(outcomes: readonly Outcome[], destinations: readonly NodeDestination[]): Verdict {
  if (destinations.some(({ verdict }) => verdict === "forward")) {
    return "forward";
  }
  const [refused] = outcomes.filter(({ verdict }) => verdict === "drop" || verdict === "reject");
  if (refused?.verdict === "drop" || refused?.verdict === "reject") {
    return refused.verdict;
  }
  return outcomes.some(({ steps }) => steps.some(isHealthCheck)) ? "accept" : "none";
}

/** The word between a virtual server and the real server that it chose, see balance.ts. */
function schedulerOf(outcomes: readonly Outcome[]): string | undefined {
  for (const { text, table } of outcomes.flatMap(({ steps }) => steps)) {
    const [, scheduler] = /^ipvs: .* (\S+) -> /.exec(text) ?? [];
    if (table === "ipvs" && scheduler !== undefined) {
      return scheduler;
    }
  }
  return undefined;
}

/** The chains that let packets through to the health-check ports, in the modes' words. */
function isHealthCheck({ table, chain, rule }: TraceStep): boolean {
  return (
    table === "filter" &&
    (chain === "KUBE-NODEPORTS" || chain === "KUBE-NODE-PORT" || isServiceChain(chain)) &&
    rule?.target?.kind === "accept"
  );
}

/** Without jumps that led to nothing. */
function decisive(steps: readonly TraceStep[]): readonly TraceStep[] {
  const kept: TraceStep[] = [];
  const entered = new Set<string>();
  for (const step of steps.toReversed()) {
    const { rule, table, chain } = step;
    const target = rule?.target;
    const isJump = target?.kind === "jump" || target?.kind === "goto";
    if (isJump ? entered.has(`${table} ${target.chain}`) : target?.kind !== "return") {
      entered.add(`${table} ${chain}`);
      kept.unshift(step);
    }
  }
  return kept;
}

/** Ways that part and come together again, as one list: a step stands behind the one that it followed, and its siblings. */
function merged(ways: readonly (readonly TraceStep[])[]): readonly TraceStep[] {
  const steps: TraceStep[] = [];
  for (const way of ways) {
    let at = 0;
    for (const step of way) {
      const known = steps.findIndex(({ text }) => text === step.text);
      if (known < 0) {
        while (steps[at]?.table === step.table && steps[at]?.chain === step.chain) {
          at += 1;
        }
        steps.splice(at, 0, step);
        at += 1;
      } else {
        at = Math.max(at, known + 1);
      }
    }
  }
  return steps;
}

function rememberedClient(
  outcomes: readonly Outcome[],
  { from }: Connection,
  memory: NodeMemory,
): RememberedClient | undefined {
  for (const { dnat, steps } of outcomes) {
    const endpoint = dnat ?? "";
    for (const { rule, table, text } of steps) {
      const server = table === "ipvs" ? memory.templates.find((one) => one.client === from) : undefined;
      if (server !== undefined && server.target === endpoint && text.includes(`${server.server} `)) {
        return { mechanism: "ipvs", name: server.server, endpoint, secondsLeft: server.secondsLeft };
      }
      const found = rule?.matches.map((match) => rememberedBy(match, from, memory, endpoint)).find(Boolean);
      if (found !== undefined) {
        return found;
      }
    }
  }
  return undefined;
}

function rememberedBy(
  match: Rule["matches"][number],
  from: string,
  memory: NodeMemory,
  endpoint: string,
): RememberedClient | undefined {
  if (match.kind === "recent" && (match.action === "rcheck" || match.action === "update")) {
    const { secondsAgo } = memory.recent.get(match.list)?.get(from) ?? {};
    const secondsLeft =
      secondsAgo === undefined || match.seconds === undefined ? undefined : match.seconds - secondsAgo;
    return {
      mechanism: "recent",
      name: match.list,
      endpoint,
      ...(secondsAgo === undefined ? {} : { secondsAgo }),
      ...(secondsLeft === undefined ? {} : { secondsLeft }),
    };
  }
  if (match.kind !== "set") {
    return undefined;
  }
  const secondsLeft = memory.sets.get(match.set)?.get(from);
  return secondsLeft === undefined
    ? undefined
    : { mechanism: "ipset", name: match.set, endpoint, secondsLeft };
}
