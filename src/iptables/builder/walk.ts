/**
 * Takes packets through the chains of one table: matches, targets, jumps and returns.
 *
 * @module
 */
import { addressBytes, joinHostPort, splitHostPort } from "./address.ts";
import { evaluate, recentKey } from "./evaluate.ts";
import { type Branch, setEntry, type TracedNode, type TraceRecord } from "./packet.ts";
import { renderRule } from "./render.ts";
import type { Chain, Match, Rule, SetTarget, TableName } from "./rule.ts";

/** What a walk needs to know. */
export interface Walk {
  readonly chains: ReadonlyMap<string, Chain>;
  readonly table: TableName;
  readonly node: TracedNode;
}

/** A branch that left a chain, or was sent to a real server by IPVS. */
export interface Exit {
  readonly how: "accept" | "drop" | "reject" | "return" | "balance";
  readonly branch: Branch;
}

/** More jumps than the kernel allows; only a circle gets here. */
const maxDepth = 100;

/** Targets without a type that only report. */
const reportingTargets = /^(?:AUDIT|LOG|NFLOG|TRACE|ULOG)\b/;

/** Marks the packet as the entry of a set says: all that this package knows of `--map-set`. */
const mapMark = /^SET --map-set (\S+) dst,dst --map-mark$/;

/** Takes the branches through the chain. Those that come to its end or to a RETURN leave it with `return`. */
export function walkChain(
  walk: Walk,
  name: string,
  entering: readonly Branch[],
  depth: number,
): readonly Exit[] {
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
  const branch = { ...matched, trace: { text, table: walk.table, chain, rule, before: matched.trace } };
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
      return stay(applyText(walk, target.text, branch) ?? skip(walk, chain, rule, branch));
  }
}

/** A target without a type, if it is known what it does. */
function applyText(walk: Walk, text: string, branch: Branch): Branch | undefined {
  if (reportingTargets.test(text)) {
    return branch;
  }
  const [, name = ""] = mapMark.exec(text) ?? [];
  const set = walk.node.sets?.get(name);
  const entry = set === undefined ? undefined : setEntry(branch, set.type, ["dst", "dst"])?.join(",");
  const mark = entry === undefined ? undefined : set?.marks?.get(entry);
  return mark === undefined ? undefined : { ...branch, mark };
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
