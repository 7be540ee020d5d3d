/**
 * Renders the matches that belong to a module: ` -m NAME …`, options in the order of iptables-save.
 *
 * @module
 */
import { parseBytecode } from "./bpf.ts";
import { formatThreshold } from "./probability.ts";
import type {
  AddressMatch,
  AddressTypeMatch,
  ConntrackMatch,
  InterfaceMatch,
  MultiportMatch,
  PortRange,
  PortsMatch,
  ProtocolMatch,
  RecentMatch,
} from "./rule.ts";
import { addressTypes, connectionStates, type Match, type SetDirection, type SetMatch } from "./rule.ts";
import { checkName, checkRawText, quoteWord, renderComment } from "./text.ts";

/** A match that is written as a module, not as one of the options that stand before all modules. */
export type ModuleMatch = Exclude<Match, AddressMatch | InterfaceMatch | ProtocolMatch>;

/** IPSET_MAXNAMELEN (32) of linux/netfilter/ipset/ip_set.h with its final zero. */
const maxSetName = 31;
/** IPSET_DIM_MAX of the same header. */
const maxSetDimensions = 6;
/** XT_RECENT_NAME_LEN (200) of linux/netfilter/xt_recent.h with its final zero. */
const maxRecentName = 199;
/** NFACCT_NAME_MAX (32) of linux/netfilter/nfnetlink_acct.h with its final zero. */
const maxCounterName = 31;
/** XT_MULTI_PORTS of linux/netfilter/xt_multiport.h. */
const maxMultiports = 15;

const canonicalMask = /^[0-9a-f.:]+$/;

/**
 * The match with a leading blank.
 *
 * @throws {RangeError} when a name, comment or number cannot be written; the message names the field.
 */
export function renderModule(match: ModuleMatch): string {
  switch (match.kind) {
    case "ports":
      return renderPorts(match);
    case "multiport":
      return renderMultiport(match);
    case "comment":
      return ` -m comment --comment ${renderComment(match.text)}`;
    case "mark":
      return ` -m mark${negation(match)} --mark ${renderMarkMask(match.value, match.mask)}`;
    case "conntrack":
      return renderConntrack(match);
    case "addrtype":
      return renderAddressType(match);
    case "random":
      return ` -m statistic --mode random${negation(match)} --probability ${formatThreshold(match.threshold)}`;
    case "recent":
      return renderRecent(match);
    case "set":
      return ` -m set${negation(match)} --match-set ${renderSet(match)}`;
    case "bpf":
      return ` -m bpf --bytecode "${checkBytecode(match.bytecode)}"`;
    case "nfacct":
      // Two blanks: libxt_nfacct writes one more than the others.
      return ` -m nfacct --nfacct-name  ${quoteWord(checkName("nfacct counter", match.counter, maxCounterName))}`;
    case "raw":
      return ` ${checkRawText("raw match", match.text)}`;
  }
}

/** `NAME src,dst`. */
export function renderSet(part: Pick<SetMatch, "set" | "directions">): string {
  const known = (direction: SetDirection): boolean => direction === "src" || direction === "dst";
  if (
    part.directions.length === 0 ||
    part.directions.length > maxSetDimensions ||
    !part.directions.every(known)
  ) {
    throw new RangeError(
      `Cannot render set ${part.set}: directions are [${part.directions.join()}], must be 1 to ${maxSetDimensions} of src and dst`,
    );
  }
  return `${checkName("set", part.set, maxSetName)} ${part.directions.join(",")}`;
}

/** `0x4000/0x4000`; the mask is left out when all of its bits are set. */
function renderMarkMask(value: number, mask: number): string {
  return mask === 0xffff_ffff ? renderMark(value) : `${renderMark(value)}/${renderMark(mask)}`;
}

/**
 * `0x4000`.
 *
 * @throws {RangeError} unless it is an unsigned 32-bit integer.
 */
export function renderMark(value: number): string {
  if (value >>> 0 !== value) {
    throw new RangeError(`Cannot render mark ${value}: not an unsigned 32-bit integer`);
  }
  return `0x${value.toString(16)}`;
}

/**
 * `80` or `80:90`; NAT targets separate by `-`.
 *
 * @throws {RangeError} unless the ports ascend from 0 to 65535.
 */
export function renderRange(range: PortRange, separator: ":" | "-" = ":"): string {
  const { first, last } = range;
  if (!Number.isInteger(first) || !Number.isInteger(last) || first < 0 || last > 65_535 || first > last) {
    throw new RangeError(`Cannot render port range ${first}:${last}: not ascending from 0 to 65535`);
  }
  return first === last ? `${first}` : `${first}${separator}${last}`;
}

function negation(match: { readonly negated?: true }): string {
  return match.negated === true ? " !" : "";
}

function renderPorts(match: PortsMatch): string {
  const { protocol } = match;
  if (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp") {
    throw new RangeError(
      `Cannot render ports of protocol ${JSON.stringify(protocol)}: must be tcp, udp or sctp`,
    );
  }
  return ` -m ${protocol}${renderPort("--sport", match.source)}${renderPort("--dport", match.destination)}`;
}

function renderPort(option: string, range: PortRange | undefined): string {
  if (range === undefined) {
    return "";
  }
  const text = renderRange(range);
  const { first, last } = range;
  if (first === 0 && last === 65_535) {
    if (range.negated === true) {
      throw new RangeError(`Cannot render ! ${option} 0:65535: no packet can match it`);
    }
    return "";
  }
  if (range.negated !== true) {
    return ` ${option} ${text}`;
  }
  // iptables-nft prints the complement of a range that begins at 0, but not of port 0 alone.
  if (first === 0 && last > 0) {
    return ` ${option} ${renderRange({ first: last + 1, last: 65_535 })}`;
  }
  return ` ! ${option} ${text}`;
}

function renderMultiport(match: MultiportMatch): string {
  const slots = match.ranges.reduce((sum, { first, last }) => sum + (first === last ? 1 : 2), 0);
  if (slots === 0 || slots > maxMultiports || match.ranges.some(({ negated }) => negated === true)) {
    throw new RangeError(
      `Cannot render multiport of ${slots} ports: must be 1 to ${maxMultiports} (a range counts for two), none negated`,
    );
  }
  const option = { source: "--sports", destination: "--dports", either: "--ports" }[match.side];
  return ` -m multiport${negation(match)} ${option} ${match.ranges.map((range) => renderRange(range)).join(",")}`;
}

function renderConntrack(match: ConntrackMatch): string {
  return ` -m conntrack${negation(match)} --ctstate ${inOrder("conntrack state", connectionStates, match.states)}`;
}

function renderAddressType(match: AddressTypeMatch): string {
  const option = match.side === "source" ? "--src-type" : "--dst-type";
  return ` -m addrtype${negation(match)} ${option} ${inOrder("address type", addressTypes, match.types)}`;
}

/** The words of a bit mask in the order in which the tools print them. */
function inOrder<T extends string>(field: string, order: readonly T[], words: readonly T[]): string {
  const single = words[0];
  if (words.length === 1 && single !== undefined && order.includes(single)) {
    return single;
  }
  if (words.length === 0 || !words.every((word) => order.includes(word))) {
    throw new RangeError(`Cannot render ${field} [${words.join()}]: must be some of ${order.join()}`);
  }
  return order.filter((word) => words.includes(word)).join(",");
}

function renderRecent(match: RecentMatch): string {
  const { action, seconds, hitCount } = match;
  const looksUp = action === "rcheck" || action === "update";
  const lookup = seconds !== undefined || hitCount !== undefined || match.reap || match.sameTtl;
  if ((lookup && !looksUp) || (match.reap === true && seconds === undefined)) {
    throw new RangeError(
      `Cannot render recent ${match.list}: seconds, hit count and TTL go with rcheck and update only, reap with seconds only`,
    );
  }
  if (!canonicalMask.test(match.mask)) {
    throw new RangeError(
      `Cannot render recent ${match.list}: mask ${JSON.stringify(match.mask)} is no address`,
    );
  }
  let text = ` -m recent${negation(match)} --${action}`;
  if (seconds !== undefined) {
    text += ` --seconds ${checkCount("recent seconds", seconds)}`;
  }
  if (match.reap === true) {
    text += " --reap";
  }
  if (hitCount !== undefined) {
    text += ` --hitcount ${checkCount("recent hit count", hitCount)}`;
  }
  if (match.sameTtl === true) {
    text += " --rttl";
  }
  const side = match.side === "source" ? "--rsource" : "--rdest";
  return `${text} --name ${checkRecentName(match.list)} --mask ${match.mask} ${side}`;
}

/** The kernel makes a file of the list's name in /proc/net/xt_recent. */
function checkRecentName(list: string): string {
  if (list.includes("/") || list === "." || list === "..") {
    throw new RangeError(`Cannot render recent list ${JSON.stringify(list)}: it must be able to name a file`);
  }
  return checkName("recent list", list, maxRecentName);
}

/**
 * A positive 32-bit number in decimal.
 *
 * @throws {RangeError} when it is none.
 */
export function checkCount(field: string, value: number): string {
  if (value >>> 0 !== value || value === 0) {
    throw new RangeError(`Cannot render ${field} ${value}: not a positive 32-bit integer`);
  }
  return `${value}`;
}

function checkBytecode(bytecode: string): string {
  if (parseBytecode(bytecode) === undefined) {
    throw new RangeError(`Cannot render bpf program ${JSON.stringify(bytecode)}: malformed`);
  }
  return bytecode;
}
