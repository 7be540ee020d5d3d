/**
 * Decides whether a match is true for a packet.
 *
 * The answer is a probability: 0 and 1 for nearly everything, in between for the statistic match, undefined when the match
 * cannot be evaluated (raw text, address types that need a routing table).
 *
 * @module
 */
import { type AddressBytes, addressBytes, formatAddress, networkContains } from "./address.ts";
import { parseBytecode, runBpf } from "./bpf.ts";
import { type Branch, isLocal, packetBytes, setDimensions, setEntry, type TracedNode } from "./packet.ts";
import { certainty } from "./probability.ts";
import type {
  AddressType,
  ConntrackMatch,
  Match,
  MultiportMatch,
  PortRange,
  PortsMatch,
  RecentMatch,
  SetMatch,
} from "./rule.ts";

/** The probability that the match is true, or undefined when nobody can say. */
export function evaluate(match: Match, branch: Branch, node: TracedNode): number | undefined {
  const truth = evaluateUnnegated(match, branch, node);
  if (truth === undefined) {
    return undefined;
  }
  return "negated" in match && match.negated === true ? 1 - Number(truth) : Number(truth);
}

function evaluateUnnegated(match: Match, branch: Branch, node: TracedNode): boolean | number | undefined {
  switch (match.kind) {
    case "source":
    case "destination":
      return networkContains(match.network, branch[match.kind]);
    case "in-interface":
      return interfaceMatches(match.name, branch.inInterface);
    case "out-interface":
      return interfaceMatches(match.name, branch.outInterface);
    case "protocol":
      return match.protocol === branch.protocol;
    case "ports":
      return evaluatePorts(match, branch);
    case "multiport":
      return evaluateMultiport(match, branch);
    case "comment":
    case "nfacct":
      return true;
    case "mark":
      return (branch.mark & match.mask) >>> 0 === match.value;
    case "conntrack":
      return evaluateConntrack(match, branch);
    case "addrtype":
      return evaluateAddressType(match.types, branch[match.side], node);
    case "random":
      return match.threshold / certainty;
    case "recent":
      return evaluateRecent(match, branch, node);
    case "set":
      return evaluateSet(match, branch, node);
    case "bpf":
      return runBpf(parseBytecode(match.bytecode) ?? [], packetBytes(branch)) !== 0;
    case "raw":
      return evaluateText(match.text, branch);
  }
}

/** Matches without a type, as far as it is known what they ask. A new connection is confirmed when its packet has left. */
function evaluateText(text: string, branch: Branch): boolean | undefined {
  switch (text) {
    case "-m ipvs --ipvs":
      return branch.balanced !== undefined;
    case "-m ipvs ! --ipvs":
      return branch.balanced === undefined;
    case "-m conntrack --ctstatus CONFIRMED":
      return branch.state !== "NEW";
    case "-m conntrack ! --ctstatus CONFIRMED":
      return branch.state === "NEW";
    default:
      return undefined;
  }
}

function interfaceMatches(pattern: string, name: string): boolean {
  return pattern.endsWith("+") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

function evaluatePorts(match: PortsMatch, branch: Branch): boolean {
  return (
    match.protocol === branch.protocol &&
    inRange(match.source, branch.sourcePort) &&
    inRange(match.destination, branch.destinationPort)
  );
}

/** Without a range every port will do; a packet whose port is not given is in none. */
function inRange(range: PortRange | undefined, port: number | undefined): boolean {
  if (range === undefined) {
    return true;
  }
  return port !== undefined && (port >= range.first && port <= range.last) !== (range.negated === true);
}

function evaluateMultiport(match: MultiportMatch, branch: Branch): boolean {
  const candidates = {
    source: [branch.sourcePort],
    destination: [branch.destinationPort],
    either: [branch.sourcePort, branch.destinationPort],
  }[match.side];
  return match.ranges.some((range) => candidates.some((port) => inRange(range, port)));
}

function evaluateConntrack(match: ConntrackMatch, branch: Branch): boolean {
  return match.states.some(
    (state) =>
      state === branch.state ||
      (state === "DNAT" && branch.dnat !== undefined && branch.balanced === undefined) ||
      (state === "SNAT" && branch.masquerade),
  );
}

function evaluateAddressType(
  types: readonly AddressType[],
  address: AddressBytes,
  node: TracedNode,
): boolean | undefined {
  const type = addressTypeOf(address, node);
  if (types.includes(type)) {
    return true;
  }
  // Broadcast addresses of the node's networks and blackhole routes look like plain addresses here.
  const surelyNot: readonly AddressType[] = type === "UNICAST" ? ["LOCAL", "MULTICAST"] : types;
  return types.every((asked) => surelyNot.includes(asked)) ? false : undefined;
}

function addressTypeOf(address: AddressBytes, node: TracedNode): AddressType {
  if (isLocal(address, node)) {
    return "LOCAL";
  }
  const [first = 0] = address;
  if (address.length === 16 ? first === 0xff : first >= 224 && first < 240) {
    return "MULTICAST";
  }
  return address.length === 4 && address.every((byte) => byte === 0xff) ? "BROADCAST" : "UNICAST";
}

/** The address under which the match looks into its list. */
export function recentKey(match: RecentMatch, branch: Branch): string {
  const mask = addressBytes(match.mask);
  return formatAddress(branch[match.side].map((byte, index) => byte & (mask[index] ?? 0)));
}

/** Side effects (set, update, remove) are the tracer's; here is only whether the match is true. */
function evaluateRecent(match: RecentMatch, branch: Branch, node: TracedNode): boolean | undefined {
  if (match.action === "set") {
    return true;
  }
  const key = recentKey(match, branch);
  const note = branch.records.findLast(
    ({ kind, name, entry }) => kind === "recent" && name === match.list && entry === key,
  );
  const age = note === undefined ? node.recent?.get(match.list)?.get(key) : noteAge(note.operation);
  if (age === undefined || (match.seconds !== undefined && age > match.seconds)) {
    return false;
  }
  // How often an address was seen, and with which TTL, is not part of what is known about a list.
  return (match.hitCount ?? 1) > 1 || match.sameTtl === true ? undefined : true;
}

function noteAge(operation: "add" | "delete"): number | undefined {
  return operation === "add" ? 0 : undefined;
}

function evaluateSet(match: SetMatch, branch: Branch, node: TracedNode): boolean | undefined {
  const set = node.sets?.get(match.set);
  if (set === undefined) {
    return branch.records.some(({ kind, name }) => kind === "set" && name === match.set) ? undefined : false;
  }
  const parts = setEntry(branch, set.type, match.directions);
  if (parts === undefined) {
    return undefined;
  }
  const entry = parts.join(",");
  const note = branch.records.findLast(
    ({ kind, name, entry: noted }) => kind === "set" && name === match.set && noted === entry,
  );
  if (note !== undefined) {
    return note.operation === "add";
  }
  const dimensions = setDimensions(set.type);
  return dimensions.includes("net")
    ? [...set.entries].some((candidate) => entryCovers(candidate.split(","), dimensions, parts))
    : set.entries.has(entry);
}

function entryCovers(
  candidate: readonly string[],
  dimensions: readonly string[],
  parts: readonly string[],
): boolean {
  return dimensions.every((dimension, index) => {
    const part = parts[index] ?? "";
    const network = candidate[index] ?? "";
    return dimension === "net" ? networkContains(network, addressBytes(part)) : network === part;
  });
}
