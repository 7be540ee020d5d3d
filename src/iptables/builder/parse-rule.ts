/**
 * Takes the words of one rule apart: header options, modules, target.
 *
 * iptables gives an option to the module that knows it, wherever it stands; this reader gives it to the module named last,
 * which is what iptables-save writes and what people mean. `-p`, `-s`, `-d`, `-i` and `-o` may stand anywhere, as in
 * kube-proxy's `-m tcp -p tcp -d 10.96.0.1 --dport 80`, and a port option without `-m` loads the module of `-p`.
 *
 * @module
 */
import { type Family, tryCanonicalNetwork } from "./address.ts";
import { parseModule } from "./parse-module.ts";
import { parseTarget } from "./parse-target.ts";
import type { AddressMatch, InterfaceMatch, Match, ProtocolMatch, Rule, Target } from "./rule.ts";
import { unquote } from "./text.ts";

type HeaderMatch = AddressMatch | InterfaceMatch | ProtocolMatch;
type Slot = HeaderMatch["kind"];

/** A module or target and the words after its name. */
interface Group {
  readonly kind: "match" | "jump" | "goto";
  readonly name: string;
  readonly words: string[];
}

interface Parts {
  readonly header: Map<Slot, HeaderMatch | undefined>;
  /** `-f` and `! -f`, which stand before all modules. */
  readonly fragments: string[];
  readonly modules: Group[];
  target: Group | undefined;
  current: Group | undefined;
}

const headerOptions: ReadonlyMap<string, Slot> = new Map([
  ["-s", "source"],
  ["--source", "source"],
  ["--src", "source"],
  ["-d", "destination"],
  ["--destination", "destination"],
  ["--dst", "destination"],
  ["-i", "in-interface"],
  ["--in-interface", "in-interface"],
  ["-o", "out-interface"],
  ["--out-interface", "out-interface"],
  ["-p", "protocol"],
  ["--protocol", "protocol"],
  ["--proto", "protocol"],
]);

const headerOrder: readonly Slot[] = ["source", "destination", "in-interface", "out-interface", "protocol"];

const groupOptions: ReadonlyMap<string, Group["kind"]> = new Map([
  ["-m", "match"],
  ["--match", "match"],
  ["-j", "jump"],
  ["--jump", "jump"],
  ["-g", "goto"],
  ["--goto", "goto"],
]);

/** Options that belong to the module of the protocol and load it if need be. */
const portOptions: ReadonlySet<string> = new Set([
  "--sport",
  "--source-port",
  "--dport",
  "--destination-port",
]);

/** Modules that have these options. */
const portModules: ReadonlySet<string> = new Set(["tcp", "udp", "sctp", "dccp", "udplite"]);

/** Options whose value may look like an option, because iptables-save does not quote words of letters and dashes. */
const textOptions: ReadonlySet<string> = new Set([
  "--comment",
  "--name",
  "--nfacct-name",
  "--log-prefix",
  "--nflog-prefix",
  "--string",
]);

/** Names of protocol numbers as iptables-save prints them, and other names for the same. */
const protocolNames: ReadonlyMap<string, string> = new Map([
  ["1", "icmp"],
  ["6", "tcp"],
  ["17", "udp"],
  ["50", "esp"],
  ["51", "ah"],
  ["58", "ipv6-icmp"],
  ["132", "sctp"],
  ["136", "udplite"],
  ["icmpv6", "ipv6-icmp"],
]);

/** The rule of the words after the chain name, or undefined when they do not have the form of a rule. */
export function parseRuleWords(words: readonly string[], family: Family): Rule | undefined {
  const parts: Parts = {
    header: new Map(),
    fragments: [],
    modules: [],
    target: undefined,
    current: undefined,
  };
  let negated = false;
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    if (word === "!" && !negated) {
      negated = true;
      continue;
    }
    const taken = takeOption(parts, words, index, negated);
    if (taken === undefined) {
      return undefined;
    }
    index += taken;
    negated = false;
  }
  return negated ? undefined : buildRule(parts, family);
}

/** Takes the option at `index` and returns how many more words belong to it; undefined when it makes no sense. */
function takeOption(
  parts: Parts,
  words: readonly string[],
  index: number,
  negated: boolean,
): number | undefined {
  const word = words[index] ?? "";
  const slot = headerOptions.get(word);
  if (slot !== undefined) {
    return takeHeader(parts, slot, words[index + 1], negated) ? 1 : undefined;
  }
  const kind = groupOptions.get(word);
  if (kind !== undefined) {
    return takeGroup(parts, kind, words[index + 1], negated) ? 1 : undefined;
  }
  if (word === "-f" || word === "--fragment") {
    parts.fragments.push(negated ? "! -f" : "-f");
    return 0;
  }
  if (word === "-c" || word === "--set-counters") {
    return 2;
  }
  const group = groupOf(parts, word);
  if (group === undefined) {
    return undefined;
  }
  if (negated) {
    group.words.push("!");
  }
  group.words.push(word);
  const value = words[index + 1];
  if (textOptions.has(word) && value !== undefined) {
    group.words.push(value);
    return 1;
  }
  return 0;
}

function takeHeader(parts: Parts, slot: Slot, word: string | undefined, negated: boolean): boolean {
  if (word === undefined || parts.header.has(slot)) {
    return false;
  }
  const match = headerMatch(slot, unquote(word), negated ? { negated: true } : {});
  if (match === "none") {
    return false;
  }
  parts.header.set(slot, match);
  return true;
}

/** The match; undefined when it matches everything and is therefore not printed; "none" when it cannot be read. */
function headerMatch(
  slot: Slot,
  value: string,
  negation: { readonly negated?: true },
): HeaderMatch | undefined | "none" {
  const negated = negation.negated === true;
  switch (slot) {
    case "source":
    case "destination": {
      const network = tryCanonicalNetwork(value);
      if (network === undefined) {
        return "none";
      }
      return network.endsWith("/0") && !negated ? undefined : { kind: slot, network, ...negation };
    }
    case "in-interface":
    case "out-interface":
      if (value === "+") {
        return negated ? "none" : undefined;
      }
      return { kind: slot, name: value, ...negation };
    case "protocol": {
      const name = value.toLowerCase();
      if (name === "all" || name === "0") {
        return negated ? "none" : undefined;
      }
      return { kind: slot, protocol: protocolNames.get(name) ?? name, ...negation };
    }
  }
}

function takeGroup(parts: Parts, kind: Group["kind"], name: string | undefined, negated: boolean): boolean {
  if (name === undefined || negated || (kind !== "match" && parts.target !== undefined)) {
    return false;
  }
  const group: Group = { kind, name, words: [] };
  if (kind === "match") {
    parts.modules.push(group);
  } else {
    parts.target = group;
  }
  parts.current = group;
  return true;
}

/** The module or target that a word belongs to. */
function groupOf(parts: Parts, word: string): Group | undefined {
  const { current } = parts;
  const misplaced = portOptions.has(word) && !(current?.kind === "match" && portModules.has(current.name));
  if (current !== undefined && !misplaced) {
    return current;
  }
  const protocol = parts.header.get("protocol");
  if (protocol?.kind !== "protocol" || protocol.negated === true || !portModules.has(protocol.protocol)) {
    return undefined;
  }
  const loaded = parts.modules.find(({ name }) => name === protocol.protocol);
  const group: Group = loaded ?? { kind: "match", name: protocol.protocol, words: [] };
  if (loaded === undefined) {
    parts.modules.push(group);
  }
  parts.current = group;
  return group;
}

function buildRule(parts: Parts, family: Family): Rule | undefined {
  const protocol = parts.header.get("protocol");
  let impliedProtocol = false;
  const modules = parts.modules.map(({ name, words }): Match => {
    const match = parseModule(name, words, family);
    if (match?.kind !== "ports") {
      return match ?? rawModule(name, words);
    }
    // `-p tcp -m tcp` is one match. A second -m tcp, or one that -p does not cover, stays as it is written.
    const covered =
      protocol?.kind === "protocol" && protocol.protocol === match.protocol && !protocol.negated;
    if (!covered || impliedProtocol) {
      return rawModule(name, words);
    }
    impliedProtocol = true;
    return match;
  });
  const header = headerOrder
    .filter((slot) => !(slot === "protocol" && impliedProtocol))
    .map((slot) => parts.header.get(slot))
    .filter((match) => match !== undefined);
  const fragments = parts.fragments.map((text): Match => ({ kind: "raw", text }));
  const matches = [...header, ...fragments, ...modules];
  const target = buildTarget(parts.target, family);
  if (target === "none") {
    return undefined;
  }
  return target === undefined ? { matches } : { matches, target };
}

function buildTarget(group: Group | undefined, family: Family): Target | undefined | "none" {
  if (group?.kind === "goto") {
    return group.words.length === 0 ? { kind: "goto", chain: group.name } : "none";
  }
  return group && parseTarget(group.name, group.words, family);
}

function rawModule(name: string, words: readonly string[]): Match {
  return { kind: "raw", text: ["-m", name, ...words].join(" ") };
}
