/**
 * Dispatch chains: the six dispatch trees with their names and rules in the kernel.
 *
 * The prefix of a branch becomes a match (a network, a range of ports) and part of the chain's name.
 *
 * @module
 */
import { type Address, type Family, parseAddress } from "../proxier/address.ts";
import type { NodePlan } from "../proxier/plan.ts";
import { destination, destinationType, dport, protocol, range } from "./builder/matches.ts";
import { renderRule } from "./builder/render.ts";
import type { Match, TransportProtocol } from "./builder/rule.ts";
import { jump } from "./builder/targets.ts";
import { branchChainName, type ServicePrefix } from "./chain-names.ts";
import type { DispatchName, ServiceEntry } from "./chain-set.ts";
import { type DispatchItem, DispatchTree } from "./dispatch-tree.ts";
import { type RulePart, wholeRules } from "./rule-part.ts";
import type { RuleSettings } from "./settings.ts";
import { dispatchTail, rootChains } from "./static-rules.ts";
import { type WantedChain, type WantedTable, wantedChain } from "./wanted-chain.ts";

/** Prefixes of branch chains. Two trees of one table that share a prefix have keys of different kinds. */
const branchPrefixes: Readonly<Record<DispatchName, ServicePrefix>> = {
  services: "KUBE-SVC-",
  "node-ports": "KUBE-EXT-",
  "no-internal": "KUBE-SVC-",
  "no-external": "KUBE-EXT-",
  firewall: "KUBE-FW-",
  health: "KUBE-SVC-",
};

/** What a tree holds for an entry: the rule's text behind the chain name, and whose it is. */
interface EntryText {
  readonly body: string;
  readonly owner: string;
}

/** What became different in the dispatch chains. */
export interface DispatchOutcome {
  /** Each chain stands behind those that its rules jump to. */
  readonly changed: readonly WantedChain[];
  readonly removed: readonly { readonly table: WantedTable; readonly name: string }[];
}

/** The trees of one family. */
export class DispatchChains {
  readonly #trees: ReadonlyMap<DispatchName, DispatchTree<EntryText>>;
  readonly #settings: RuleSettings;
  readonly #part: RulePart;
  #node: NodePlan;

  constructor(node: NodePlan, settings: RuleSettings) {
    this.#node = node;
    this.#settings = settings;
    this.#part = settings.part ?? wholeRules;
    this.#trees = new Map(
      this.#part.trees.map((name) => [name, new DispatchTree<EntryText>(settings.dispatchLimit)]),
    );
  }

  /** The last rules of the services chain follow the node's addresses. */
  setNode(node: NodePlan): void {
    this.#node = node;
  }

  /** Enters a rule. Entering an equal one again changes nothing. */
  set(entry: ServiceEntry, owner: string): void {
    const tree = this.#tree(entry.dispatch);
    const body = bodyOf(entry);
    if (tree.get(entry.key, entry.id)?.body !== body) {
      tree.set({ key: entry.key, id: entry.id, value: { body, owner } });
    }
  }

  delete(entry: Pick<ServiceEntry, "dispatch" | "key" | "id">): void {
    this.#tree(entry.dispatch).delete(entry.key, entry.id);
  }

  /** What differs since the last flush. */
  flush(): DispatchOutcome {
    const changed: WantedChain[] = [];
    const removed: { table: WantedTable; name: string }[] = [];
    for (const name of this.#part.trees) {
      const change = this.#tree(name).flush();
      for (const [prefix, items] of change.changed) {
        changed.push(this.#chain(name, prefix, items));
      }
      removed.push(...change.removed.map((prefix) => this.#chainId(name, prefix)));
    }
    return { changed: changed.reverse(), removed };
  }

  /** All chains as they are wanted now. Counts as a flush. */
  all(): readonly WantedChain[] {
    const chains: WantedChain[] = [];
    for (const name of this.#part.trees) {
      const tree = this.#tree(name);
      tree.flush();
      for (const [prefix, items] of tree.chains()) {
        chains.push(this.#chain(name, prefix, items));
      }
    }
    return chains.reverse();
  }

  /** The root chain of the services tree, whose last rules depend on the node. */
  servicesRoot(): WantedChain | undefined {
    if (this.#trees.has("services")) {
      for (const [prefix, items] of this.#tree("services").chains()) {
        return this.#chain("services", prefix, items);
      }
    }
    return undefined;
  }

  #tree(name: DispatchName): DispatchTree<EntryText> {
    const tree = this.#trees.get(name);
    if (tree === undefined) {
      throw new RangeError(`Cannot find dispatch tree ${JSON.stringify(name)}: no such tree`);
    }
    return tree;
  }

  #chainId(name: DispatchName, prefix: string): { readonly table: WantedTable; readonly name: string } {
    const { table, chain } = rootChains[name];
    const whole = prefix === "" ? chain : branchName(branchPrefixes[name], prefix, this.#node.family);
    return { table, name: this.#part.rename(whole) };
  }

  #chain(name: DispatchName, prefix: string, items: readonly DispatchItem<EntryText>[]): WantedChain {
    const id = this.#chainId(name, prefix);
    const lines: string[] = [];
    const owners: string[] = [];
    for (const item of items) {
      if (item.kind === "entry") {
        lines.push(`-A ${id.name}${item.entry.value.body}`);
        owners.push(item.entry.value.owner);
      } else {
        const target = jump(branchName(branchPrefixes[name], item.prefix, this.#node.family));
        lines.push(
          renderRule(id.name, { matches: branchMatches(name, item.prefix, this.#node.family), target }),
        );
        owners.push("");
      }
    }
    for (const rule of prefix === "" ? dispatchTail(name, this.#node, this.#settings) : []) {
      lines.push(renderRule(id.name, rule));
      owners.push("");
    }
    return wantedChain(id.table, id.name, lines.map(this.#part.rename), owners);
  }
}

/** Any chain name serves to render the rest of the line. */
const placeholder = "KUBE-X";

/** Kept for long: a part of one text takes less memory than the parts that the text was put together from. */
function bodyOf(entry: ServiceEntry): string {
  return renderRule(placeholder, entry.rule).slice(`-A ${placeholder}`.length);
}

function branchName(prefix: ServicePrefix, branch: string, family: Family): string {
  return branchChainName(prefix, describeBranch(branch, family));
}

/** `10.96.16.0/20`, or `tcp-30208-30223`: what all entries of the branch have in common, for people. */
function describeBranch(branch: string, family: Family): string {
  if (branch.startsWith("a")) {
    const { network, bits } = networkOf(branch.slice(1), family);
    return `${network}/${bits}`;
  }
  const ports = portsOf(branch);
  return ports === undefined
    ? "node-ports"
    : `${ports.transport}${ports.first === 0 && ports.last === 0xffff ? "" : `-${ports.first}-${ports.last}`}`;
}

function branchMatches(name: DispatchName, branch: string, family: Family): readonly Match[] {
  if (branch.startsWith("a")) {
    const { network, bits } = networkOf(branch.slice(1), family);
    return [destination(`${network}/${bits}`)];
  }
  const local = name === "no-external" ? [destinationType("LOCAL")] : [];
  const ports = portsOf(branch);
  if (ports === undefined) {
    return local;
  }
  const whole = ports.first === 0 && ports.last === 0xffff;
  const match = whole ? protocol(ports.transport) : dport(ports.transport, range(ports.first, ports.last));
  return [...local, match];
}

function networkOf(digits: string, family: Family): { readonly network: Address; readonly bits: number } {
  const text =
    family === "IPv6"
      ? (digits.padEnd(32, "0").match(/.{4}/g) ?? []).join(":")
      : (digits.padEnd(8, "0").match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16)).join(".");
  const network = parseAddress(text);
  if (network === undefined) {
    throw new RangeError(`Cannot read dispatch key "a${digits}": no ${family} address`);
  }
  return { network, bits: digits.length * 4 };
}

const transports: Readonly<Record<string, TransportProtocol>> = { t: "tcp", u: "udp", s: "sctp" };

function portsOf(
  branch: string,
): { readonly transport: TransportProtocol; readonly first: number; readonly last: number } | undefined {
  const transport = transports[branch[1] ?? ""];
  if (transport === undefined) {
    return undefined;
  }
  const digits = branch.slice(2);
  return {
    transport,
    first: Number.parseInt(digits.padEnd(4, "0"), 16),
    last: Number.parseInt(digits.padEnd(4, "f"), 16),
  };
}
