/**
 * Reads the options of a match module into a typed match.
 *
 * Each reader takes exactly the forms that rule.ts can express, in iptables-save's spelling and in the spellings that
 * people and kube-proxy write. Everything else is "not known" (undefined) and stays text: a wrong guess would change a
 * foreign rule, an untyped match does not.
 *
 * @module
 */
import { canonicalAddress, type Family } from "./address.ts";
import { parseBytecode } from "./bpf.ts";
import { fullRecentMask } from "./matches.ts";
import { thresholdOf } from "./probability.ts";
import {
  addressTypes,
  connectionStates,
  type Match,
  type MultiportMatch,
  type PortRange,
  type PortsMatch,
  type RecentMatch,
  type SetDirection,
  type Side,
  type TransportProtocol,
} from "./rule.ts";
import { commentProblem, unquote } from "./text.ts";

/** One option of a module: `! --name value…`. */
export interface Option {
  readonly name: string;
  readonly negated: boolean;
  readonly values: readonly string[];
}

/** The words of a module cut into options; undefined when they do not begin with an option. */
export function readOptions(words: readonly string[]): readonly Option[] | undefined {
  const options: { name: string; negated: boolean; values: string[] }[] = [];
  let negated = false;
  for (const word of words) {
    if (word === "!") {
      negated = true;
    } else if (word.startsWith("--")) {
      options.push({ name: word, negated, values: [] });
      negated = false;
    } else if (negated || options.length === 0) {
      return undefined;
    } else {
      options.at(-1)?.values.push(word);
    }
  }
  return negated ? undefined : options;
}

/** The match, or undefined when the module or one of its options has no type. */
export function parseModule(module: string, words: readonly string[], family: Family): Match | undefined {
  if (module === "comment") {
    return parseComment(words);
  }
  const options = readOptions(words);
  if (options === undefined) {
    return undefined;
  }
  if (module === "tcp" || module === "udp" || module === "sctp") {
    return parsePorts(module, options);
  }
  if (module === "recent") {
    return parseRecent(options, family);
  }
  if (module === "statistic") {
    return parseRandom(options);
  }
  const [option, ...more] = options;
  return option === undefined || more.length > 0 ? undefined : parseSingle(module, option);
}

const typeSides: Readonly<Record<string, Side>> = { "--src-type": "source", "--dst-type": "destination" };

const multiportSides: Readonly<Record<string, MultiportMatch["side"]>> = {
  "--sports": "source",
  "--source-ports": "source",
  "--dports": "destination",
  "--destination-ports": "destination",
  "--ports": "either",
};

/** Modules of which only rules with one option have a type. */
function parseSingle(module: string, option: Option): Match | undefined {
  const { name, values } = option;
  const value = values.length === 1 ? unquote(values[0] ?? "") : "";
  switch (module) {
    case "mark":
      return name === "--mark" ? parseMark(value, option) : undefined;
    case "conntrack": {
      const states = name === "--ctstate" ? parseWords(connectionStates, value) : undefined;
      return states ? { kind: "conntrack", states, ...negation(option) } : undefined;
    }
    case "addrtype": {
      const side = typeSides[name];
      const types = parseWords(addressTypes, value);
      return side && types ? { kind: "addrtype", side, types, ...negation(option) } : undefined;
    }
    case "set": {
      const [set = "", words = ""] = values;
      const directions = values.length === 2 ? parseDirections(words) : undefined;
      return name === "--match-set" && directions
        ? { kind: "set", set, directions, ...negation(option) }
        : undefined;
    }
    case "multiport":
      return parseMultiport(value, option);
    case "bpf":
      return name === "--bytecode" && parseBytecode(value) && !option.negated
        ? { kind: "bpf", bytecode: value }
        : undefined;
    case "nfacct":
      return name === "--nfacct-name" && value !== "" && !option.negated
        ? { kind: "nfacct", counter: value }
        : undefined;
    default:
      return undefined;
  }
}

function parseComment(words: readonly string[]): Match | undefined {
  const text = unquote(words[1] ?? "");
  return words.length === 2 && words[0] === "--comment" && commentProblem(text) === undefined
    ? { kind: "comment", text }
    : undefined;
}

const portSides: Readonly<Record<string, Side>> = {
  "--sport": "source",
  "--source-port": "source",
  "--dport": "destination",
  "--destination-port": "destination",
};

function parsePorts(protocol: TransportProtocol, options: readonly Option[]): PortsMatch | undefined {
  const ranges: { source?: PortRange; destination?: PortRange } = {};
  for (const { name, negated, values } of options) {
    const side = portSides[name];
    const range = values.length === 1 ? parsePortRange(values[0] ?? "") : undefined;
    if (side === undefined || range === undefined || ranges[side] !== undefined) {
      return undefined;
    }
    if (range.first === 0 && range.last === 65_535) {
      if (negated) {
        return undefined;
      }
    } else {
      ranges[side] = withoutNegatedStart(range, negated);
    }
  }
  return { kind: "ports", protocol, ...ranges };
}

/** A negated range that begins at 0 as its complement, the form in which iptables-nft prints it. */
function withoutNegatedStart(range: PortRange, negated: boolean): PortRange {
  if (!negated) {
    return range;
  }
  return range.first === 0 && range.last > 0
    ? { first: range.last + 1, last: 65_535 }
    : { ...range, negated: true };
}

/** `80`, `80:90`, `:90` or `80:`. */
export function parsePortRange(text: string, separator: ":" | "-" = ":"): PortRange | undefined {
  const [from = "", to = from, ...more] = text.split(separator);
  if (more.length > 0 || !/^\d{0,5}$/.test(from) || !/^\d{0,5}$/.test(to) || text.length < 1) {
    return undefined;
  }
  const first = from === "" ? 0 : Number.parseInt(from, 10);
  const last = to === "" ? 65_535 : Number.parseInt(to, 10);
  return first <= last && last <= 65_535 ? { first, last } : undefined;
}

function parseMultiport(value: string, option: Option): MultiportMatch | undefined {
  const side = multiportSides[option.name];
  const ranges = value.split(",").map((text) => parsePortRange(text));
  if (side === undefined || !ranges.every((range) => range !== undefined)) {
    return undefined;
  }
  return { kind: "multiport", side, ranges, ...negation(option) };
}

function parseMark(value: string, option: Option): Match | undefined {
  const parts = parseMarkMask(value);
  return parts && { kind: "mark", ...parts, ...negation(option) };
}

/** `0x4000` or `0x4000/0x4000`; without a mask all bits count. */
export function parseMarkMask(text: string): { readonly value: number; readonly mask: number } | undefined {
  const [value, mask, ...more] = text.split("/").map(parseMarkNumber);
  if (value === undefined || more.length > 0) {
    return undefined;
  }
  if (!text.includes("/")) {
    return { value, mask: 0xffff_ffff };
  }
  return mask === undefined ? undefined : { value, mask };
}

function parseMarkNumber(text: string): number | undefined {
  // A leading zero would be octal for the tools; nobody writes that on purpose.
  const number = /^(?:0x[0-9a-f]{1,8}|0|[1-9]\d{0,9})$/i.test(text) ? Number(text) : Number.NaN;
  return number <= 0xffff_ffff ? number : undefined;
}

/** The comma-separated words in the order of the list; undefined when one is none of it. */
function parseWords<T extends string>(list: readonly T[], text: string): readonly T[] | undefined {
  const words = text.split(",");
  return words.every((word) => (list as readonly string[]).includes(word))
    ? list.filter((word) => words.includes(word))
    : undefined;
}

/** `src,dst`. */
export function parseDirections(text: string): readonly SetDirection[] | undefined {
  const words = text.split(",");
  const known = words.every((word) => word === "src" || word === "dst");
  return known && words.length <= 6 ? (words as SetDirection[]) : undefined;
}

function parseRandom(options: readonly Option[]): Match | undefined {
  const [mode, probability, ...more] = options;
  const text = probability?.values.length === 1 ? (probability.values[0] ?? "") : "";
  const isRandom =
    mode?.name === "--mode" &&
    !mode.negated &&
    mode.values.join(" ") === "random" &&
    probability?.name === "--probability";
  if (!isRandom || more.length > 0 || !/^(?:0?\.\d+|0|1|1\.0*)$/.test(text)) {
    return undefined;
  }
  return { kind: "random", threshold: thresholdOf(Number(text)), ...negation(probability) };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const recentActions: Readonly<Record<string, RecentMatch["action"]>> = {
  "--set": "set",
  "--rcheck": "rcheck",
  "--update": "update",
  "--remove": "remove",
};

function parseRecent(options: readonly Option[], family: Family): RecentMatch | undefined {
  const found: Writable<Partial<RecentMatch>> & { kind: "recent" } = { kind: "recent" };
  for (const option of options) {
    const action = recentActions[option.name];
    if (action !== undefined && found.action === undefined && option.values.length === 0) {
      Object.assign(found, { action }, negation(option));
    } else if (option.negated || !readRecentOption(found, option)) {
      return undefined;
    }
  }
  const { action, list = "DEFAULT", mask = fullRecentMask(family), side = "source" } = found;
  return action && { ...found, action, list, mask, side };
}

/** False when the option is not known or its value is no good. */
function readRecentOption(found: Writable<Partial<RecentMatch>>, option: Option): boolean {
  const [value = ""] = option.values;
  switch (`${option.name} ${option.values.length}`) {
    case "--name 1":
      found.list = unquote(value);
      return true;
    case "--mask 1":
      return readMask(found, value);
    case "--seconds 1":
      found.seconds = Number(value);
      return /^[1-9]\d{0,8}$/.test(value);
    case "--hitcount 1":
      found.hitCount = Number(value);
      return /^[1-9]\d{0,8}$/.test(value);
    case "--reap 0":
      found.reap = true;
      return true;
    case "--rttl 0":
      found.sameTtl = true;
      return true;
    case "--rsource 0":
      found.side = "source";
      return true;
    case "--rdest 0":
      found.side = "destination";
      return true;
    default:
      return false;
  }
}

function readMask(found: Writable<Partial<RecentMatch>>, value: string): boolean {
  try {
    found.mask = canonicalAddress(value);
    return true;
  } catch {
    return false;
  }
}

function negation(option: Option): { readonly negated?: true } {
  return option.negated ? { negated: true } : {};
}
