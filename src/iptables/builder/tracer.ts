/**
 * Follows a packet through a ruleset and says what becomes of it.
 *
 * A statistic match splits the trace: both branches go on, each with its probability, so that the result is the exact
 * distribution of outcomes, not a sample. The tracer shares nothing with the renderer but the types, so that it can be the
 * judge of generated rules; it knows rules as netfilter does (targets, hooks, order of tables), not what they are for.
 *
 * What it does not know: routing (the caller names the interfaces), the source address that MASQUERADE picks, and raw
 * matches and targets. A rule that may apply but holds such a part is passed over and named in the outcome's `skipped`.
 *
 * @module
 */
import { balance } from "./balance.ts";
import {
  type Branch,
  firstBranch,
  isLocal,
  type Packet,
  type TracedNode,
  type TraceLine,
  type TraceRecord,
} from "./packet.ts";
import type { Chain, Ruleset, TableName } from "./rule.ts";
import { type Exit, walkChain } from "./walk.ts";

/** What may become of the packet. */
export interface Outcome {
  /** Greater than 0; the outcomes of one trace add up to 1. */
  readonly probability: number;
  /** `return` only of a traced user chain: the packet fell off its end. */
  readonly verdict: "accept" | "drop" | "reject" | "return";
  /** `address:port` or `[address]:port` if the destination was changed; without port if the packet has none. */
  readonly dnat?: string;
  /** Whether its source was replaced by an address of the node. */
  readonly masquerade: boolean;
  /** The mark at the end. */
  readonly mark: number;
  /** What it left in `recent` lists and ipsets. */
  readonly records: readonly TraceRecord[];
  /** Rules that could not be evaluated; the outcome is certain only if there are none. */
  readonly skipped: readonly string[];
  /** The rules that applied, in order, as `table: rule`. */
  readonly trace: readonly string[];
  /** The same with the rules themselves, and what IPVS did. */
  readonly steps: readonly TraceStep[];
}

/** One rule that applied, or a virtual server that chose. */
export type TraceStep = Omit<TraceLine, "before">;

/** Traces packets through one ruleset. */
export interface Tracer {
  /**
   * The packet's whole way: PREROUTING, then INPUT or FORWARD and POSTROUTING; or OUTPUT and POSTROUTING, and for a local
   * destination in again through INPUT. Tables that the ruleset lacks are empty. What IPVS takes goes out by OUTPUT (nat is
   * not asked again) and POSTROUTING.
   */
  connection(packet: Packet, node: TracedNode): readonly Outcome[];
  /**
   * The packet through one chain and those it jumps to. Interfaces are those of the node.
   *
   * @throws {RangeError} when the table has no such chain.
   */
  chain(table: TableName, chain: string, packet: Packet, node: TracedNode): readonly Outcome[];
}

type Index = ReadonlyMap<string, ReadonlyMap<string, Chain>>;

/** What a packet passes at a hook. Those that are not named are as PREROUTING. */
const stages: Readonly<Record<string, readonly (TableName | "ipvs")[]>> = {
  PREROUTING: ["raw", "mangle", "nat", "filter", "security"],
  INPUT: ["raw", "mangle", "filter", "security", "ipvs", "nat"],
  OUTPUT: ["raw", "mangle", "nat", "ipvs", "filter", "security"],
  POSTROUTING: ["raw", "mangle", "filter", "security", "nat"],
};

/** A tracer of the ruleset, which must not change meanwhile. */
export function createTracer(ruleset: Ruleset): Tracer {
  const index: Index = new Map(
    ruleset.tables.map(({ name, chains }) => [name, new Map(chains.map((chain) => [chain.name, chain]))]),
  );
  return {
    connection: (packet, node) => traceConnection(index, firstBranch(packet), node).map(outcomeOf),
    chain: (table, chain, packet, node) => {
      const { inInterface = "", outInterface = "" } = node;
      const chains = index.get(table);
      if (chains?.has(chain) !== true) {
        throw new RangeError(`Cannot trace chain ${chain}: table ${table} has none of that name`);
      }
      const branch = { ...firstBranch(packet), inInterface, outInterface };
      return walkChain({ chains, table, node }, chain, [branch], 0).map(outcomeOf);
    },
  };
}

function traceConnection(index: Index, first: Branch, node: TracedNode): readonly Exit[] {
  const { inInterface = "", outInterface = "" } = node;
  const pass = (hook: string, branch: Branch, nat = branch.state === "NEW"): readonly Exit[] =>
    onBalance(passHook(index, node, hook, branch, nat), (balanced) =>
      onAccept(
        passHook(index, node, "OUTPUT", { ...balanced, inInterface: "", outInterface }, false),
        (sent) => passHook(index, node, "POSTROUTING", sent, nat),
      ),
    );
  if (node.origin === "network") {
    return onAccept(pass("PREROUTING", { ...first, inInterface }), (arrived) =>
      isLocal(arrived.destination, node)
        ? pass("INPUT", arrived)
        : onAccept(pass("FORWARD", { ...arrived, outInterface }), (forwarded) =>
            pass("POSTROUTING", forwarded),
          ),
    );
  }
  return onAccept(pass("OUTPUT", { ...first, outInterface }), (sent) => {
    if (isSent(sent)) {
      return [{ how: "accept", branch: sent }];
    }
    if (!isLocal(sent.destination, node)) {
      return pass("POSTROUTING", sent);
    }
    // To the node itself: out by lo and in again. The connection is known by then, so that nat is not asked twice.
    return onAccept(pass("POSTROUTING", { ...sent, outInterface: "lo" }), (looped) =>
      onAccept(pass("PREROUTING", { ...looped, inInterface: "lo", outInterface: "" }, false), (arrived) =>
        pass("INPUT", arrived, false),
      ),
    );
  });
}

/** Whether IPVS has sent the packet to another machine: it has been through POSTROUTING then. */
function isSent(branch: Branch): boolean {
  return branch.balanced === "elsewhere";
}

/** Sends on what IPVS took. It has left the node when it comes back from here. */
function onBalance(exits: readonly Exit[], next: (branch: Branch) => readonly Exit[]): readonly Exit[] {
  return exits.flatMap((exit) => (exit.how === "balance" ? next(exit.branch) : [exit]));
}

/** Goes on with the branches that were accepted; the others are at their end. */
function onAccept(exits: readonly Exit[], next: (branch: Branch) => readonly Exit[]): readonly Exit[] {
  return exits.flatMap((exit) => (exit.how === "accept" ? next(exit.branch) : [exit]));
}

/** The chains of one hook, table by table in the order of their priorities (linux/netfilter_ipv4.h), and IPVS among them. */
function passHook(
  index: Index,
  node: TracedNode,
  hook: string,
  branch: Branch,
  nat: boolean,
): readonly Exit[] {
  return (stages[hook] ?? stages["PREROUTING"] ?? []).reduce<readonly Exit[]>(
    (exits, stage) => {
      if (stage === "ipvs") {
        return onAccept(exits, (entering) => balance(entering, node));
      }
      const chains = index.get(stage);
      const chain = chains?.get(hook);
      if (chains === undefined || chain === undefined || (stage === "nat" && !nat)) {
        return exits;
      }
      return onAccept(exits, (entering) =>
        walkChain({ chains, table: stage, node }, hook, [entering], 0).map((exit) =>
          withPolicy(exit, stage, chain),
        ),
      );
    },
    [{ how: "accept", branch }],
  );
}

/** At the end of a built-in chain its policy decides. */
function withPolicy({ how, branch }: Exit, table: TableName, { name, policy }: Chain): Exit {
  if (how !== "return" || policy !== "DROP") {
    return { how: how === "return" ? "accept" : how, branch };
  }
  const text = `${table}: policy ${policy} of ${name}`;
  return {
    how: "drop",
    branch: { ...branch, trace: { text, table, chain: name, rule: undefined, before: branch.trace } },
  };
}

function outcomeOf({ how, branch }: Exit): Outcome {
  const steps: TraceStep[] = [];
  for (let line = branch.trace; line !== undefined; line = line.before) {
    steps.unshift(line);
  }
  return {
    probability: branch.probability,
    verdict: how === "balance" ? "accept" : how,
    ...(branch.dnat === undefined ? {} : { dnat: branch.dnat }),
    masquerade: branch.masquerade,
    mark: branch.mark,
    records: branch.records,
    skipped: branch.skipped,
    trace: steps.map(({ text }) => text),
    steps,
  };
}
