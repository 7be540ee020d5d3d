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
import { addressBytes, joinHostPort, splitHostPort } from "./address.ts";
import { evaluate, recentKey } from "./evaluate.ts";
import {
  type Branch,
  firstBranch,
  isLocal,
  type Packet,
  setEntry,
  type TracedNode,
  type TraceRecord,
} from "./packet.ts";
import { renderRule } from "./render.ts";
import type { Chain, Match, Rule, Ruleset, SetTarget, TableName } from "./rule.ts";

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
}

/** Traces packets through one ruleset. */
export interface Tracer {
  /**
   * The packet's whole way: PREROUTING, then INPUT or FORWARD and POSTROUTING; or OUTPUT and POSTROUTING, and for a local
   * destination in again through INPUT. Tables that the ruleset lacks are empty.
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

/** What a walk needs to know. */
interface Walk {
  readonly chains: ReadonlyMap<string, Chain>;
  readonly table: TableName;
  readonly node: TracedNode;
}

/** A branch that left a chain. */
interface Exit {
  readonly how: "accept" | "drop" | "reject" | "return";
  readonly branch: Branch;
}

/** More jumps than the kernel allows; only a circle gets here. */
const maxDepth = 100;

/** Targets without a type that only report. */
const reportingTargets = /^(?:AUDIT|LOG|NFLOG|TRACE|ULOG)\b/;

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
    passHook(index, node, hook, branch, nat);
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

/** Goes on with the branches that were accepted; the others are at their end. */
function onAccept(exits: readonly Exit[], next: (branch: Branch) => readonly Exit[]): readonly Exit[] {
  return exits.flatMap((exit) => (exit.how === "accept" ? next(exit.branch) : [exit]));
}

/** The chains of one hook, table by table in the order of their priorities (linux/netfilter_ipv4.h). */
function passHook(
  index: Index,
  node: TracedNode,
  hook: string,
  branch: Branch,
  nat: boolean,
): readonly Exit[] {
  const sourceNat = hook === "INPUT" || hook === "POSTROUTING";
  const tables: readonly TableName[] = sourceNat
    ? ["raw", "mangle", "filter", "security", "nat"]
    : ["raw", "mangle", "nat", "filter", "security"];
  return tables.reduce<readonly Exit[]>(
    (exits, table) => {
      const chains = index.get(table);
      if (chains?.has(hook) !== true || (table === "nat" && !nat)) {
        return exits;
      }
      return onAccept(exits, (entering) =>
        walkChain({ chains, table, node }, hook, [entering], 0).map((exit) =>
          withPolicy(exit, chains.get(hook)),
        ),
      );
    },
    [{ how: "accept", branch }],
  );
}

function withPolicy(exit: Exit, chain: Chain | undefined): Exit {
  return exit.how === "return" ? { ...exit, how: chain?.policy === "DROP" ? "drop" : "accept" } : exit;
}

/** Takes the branches through the chain. Those that come to its end or to a RETURN leave it with `return`. */
function walkChain(walk: Walk, name: string, entering: readonly Branch[], depth: number): readonly Exit[] {
  if (depth > maxDepth) {
    throw new RangeError(`Cannot trace chain ${name} of table ${walk.table}: it leads back to itself`);
  }
  const exits: Exit[] = [];
  let branches = entering;
  for (const rule of walk.chains.get(name)?.rules ?? []) {
    if (branches.length === 0) {
      break;
    }
    const staying: Branch[] = [];
    for (const branch of branches) {
      const { matched, passed } = matchRule(walk, name, rule, branch);
      staying.push(...passed);
      if (matched !== undefined) {
        const next = applyTarget(walk, name, rule, matched, depth);
        exits.push(...next.exits);
        staying.push(...next.staying);
      }
    }
    branches = staying;
  }
  return [...exits, ...branches.map((branch): Exit => ({ how: "return", branch }))];
}

/** Splits the branch into the part for which all matches are true and the parts that pass the rule by. */
function matchRule(
  walk: Walk,
  chain: string,
  rule: Rule,
  branch: Branch,
): { readonly matched: Branch | undefined; readonly passed: readonly Branch[] } {
  const passed: Branch[] = [];
  let matched = branch;
  let unknown = false;
  for (const match of rule.matches) {
    const chance = evaluate(match, matched, walk.node);
    if (chance === 0) {
      return { matched: undefined, passed: unknown ? [branch] : [...passed, matched] };
    }
    unknown ||= chance === undefined;
    if (chance === undefined || unknown) {
      continue;
    }
    if (chance < 1) {
      passed.push({ ...matched, probability: matched.probability * (1 - chance) });
    }
    matched = noteMatch(match, { ...matched, probability: matched.probability * chance });
  }
  return unknown ? { matched: undefined, passed: [skip(walk, chain, rule, branch)] } : { matched, passed };
}

/** Side effects of a match that is true. */
function noteMatch(match: Match, branch: Branch): Branch {
  if (match.kind !== "recent" || match.action === "rcheck") {
    return branch;
  }
  const operation = match.action === "remove" ? "delete" : "add";
  return note(branch, { kind: "recent", operation, name: match.list, entry: recentKey(match, branch) });
}

function note(branch: Branch, record: TraceRecord): Branch {
  return { ...branch, records: [...branch.records, record] };
}

/** What a target makes of the branch: branches that left the chain and those that go on with its next rule. */
interface Applied {
  readonly exits: readonly Exit[];
  readonly staying: readonly Branch[];
}

function applyTarget(walk: Walk, chain: string, rule: Rule, matched: Branch, depth: number): Applied {
  const { target } = rule;
  const text = `${walk.table}: ${ruleText(chain, rule)}`;
  const branch = { ...matched, trace: { text, before: matched.trace } };
  switch (target?.kind) {
    case undefined:
      return stay(branch);
    case "accept":
    case "drop":
    case "reject":
    case "return":
      return leave(target.kind, branch);
    case "jump":
      return callChain(walk, chain, rule, target.chain, branch, depth);
    case "goto": {
      const called = callChain(walk, chain, rule, target.chain, branch, depth);
      return {
        exits: [...called.exits, ...called.staying.map((one): Exit => ({ how: "return", branch: one }))],
        staying: [],
      };
    }
    case "mark":
      return stay({ ...branch, mark: ((branch.mark & ~target.mask) ^ target.value) >>> 0 });
    case "masquerade":
      return leave("accept", { ...branch, masquerade: true });
    case "dnat":
      return leave("accept", redirect(branch, target.to));
    case "set":
      return stay(noteSetTarget(walk, target, branch) ?? skip(walk, chain, rule, branch));
    case "raw":
      return stay(reportingTargets.test(target.text) ? branch : skip(walk, chain, rule, branch));
  }
}

function stay(branch: Branch): Applied {
  return { exits: [], staying: [branch] };
}

function leave(how: Exit["how"], branch: Branch): Applied {
  return { exits: [{ how, branch }], staying: [] };
}

function callChain(
  walk: Walk,
  chain: string,
  rule: Rule,
  callee: string,
  branch: Branch,
  depth: number,
): Applied {
  if (!walk.chains.has(callee)) {
    return stay(skip(walk, chain, rule, branch));
  }
  const exits = walkChain(walk, callee, [branch], depth + 1);
  return {
    exits: exits.filter(({ how }) => how !== "return"),
    staying: exits.filter(({ how }) => how === "return").map((exit) => exit.branch),
  };
}

function redirect(branch: Branch, to: string): Branch {
  const { address, port = branch.destinationPort } = splitHostPort(to) ?? { address: "", port: undefined };
  return {
    ...branch,
    destination: addressBytes(address),
    destinationPort: port,
    dnat: port === undefined ? address : joinHostPort(address, port),
  };
}

function noteSetTarget(walk: Walk, target: SetTarget, branch: Branch): Branch | undefined {
  const type = walk.node.sets?.get(target.set)?.type ?? (target.directions.length === 1 ? "hash:ip" : "");
  const entry = setEntry(branch, type, target.directions)?.join(",");
  return entry === undefined
    ? undefined
    : note(branch, { kind: "set", operation: target.operation, name: target.set, entry });
}

function skip(walk: Walk, chain: string, rule: Rule, branch: Branch): Branch {
  return { ...branch, skipped: [...branch.skipped, `${walk.table}: ${ruleText(chain, rule)}`] };
}

/** The rule as text, also when it holds foreign text that the renderer refuses. */
function ruleText(chain: string, rule: Rule): string {
  try {
    return renderRule(chain, rule);
  } catch (error) {
    if (error instanceof RangeError) {
      return `-A ${chain} … (${error.message})`;
    }
    throw error;
  }
}

function outcomeOf({ how, branch }: Exit): Outcome {
  const lines: string[] = [];
  for (let line = branch.trace; line !== undefined; line = line.before) {
    lines.unshift(line.text);
  }
  return {
    probability: branch.probability,
    verdict: how,
    ...(branch.dnat === undefined ? {} : { dnat: branch.dnat }),
    masquerade: branch.masquerade,
    mark: branch.mark,
    records: branch.records,
    skipped: branch.skipped,
    trace: lines,
  };
}
