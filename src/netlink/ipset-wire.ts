/**
 * What all messages of ipset have in common: command numbers, the attributes of a command, how a payload begins.
 *
 * Pure. Layout: IPSET_CMD_* and IPSET_ATTR_* of linux/netfilter/ipset/ip_set.h.
 *
 * @module
 */
import { AttributeWriter } from "./attribute-writer.ts";
import { familyNumbers } from "./ip-address.ts";
import { entryText, type SetEntry, type SetType } from "./ipset-entry.ts";
import { type ErrnoCodes, ipsetErrnos } from "./kernel-error.ts";
import { nfHeader, nfSubsystems, nfType } from "./nfnetlink.ts";

/** Commands (IPSET_CMD_*). */
export const setCommands = {
  create: 2,
  destroy: 3,
  flush: 4,
  rename: 5,
  swap: 6,
  list: 7,
  add: 9,
  delete: 10,
  test: 11,
} as const;

/** Attributes of a command. */
export const setAttribute = {
  protocol: 1,
  name: 2,
  type: 3,
  /** In commands about two sets; the same number as `type`. */
  name2: 3,
  revision: 4,
  family: 5,
  flags: 6,
  data: 7,
  entries: 8,
  line: 9,
} as const;

/** Attributes of a set's parameters, inside `data`. Some numbers mean something else inside an entry. */
export const parameterAttribute = {
  firstPort: 4,
  lastPort: 5,
  timeout: 6,
  flags: 8,
  hashSize: 18,
  maximumElements: 19,
  elements: 24,
  references: 25,
} as const;

/** Bits of a set's `flags` (IPSET_FLAG_WITH_*). */
export const setFlags = { marks: 0x40 } as const;

/** Longest name of a set (IPSET_MAXNAMELEN without the NUL). */
export const longestSetName = 31;

/**
 * The version of the protocol that is spoken. Every kernel since 2.6.39 takes 6; version 7 adds only commands that are
 * not used here.
 */
const protocolVersion = 6;

/** The message type of a command. */
export function setType(command: number): number {
  return nfType(nfSubsystems.ipset, command);
}

/**
 * Begins the payload of a command about a set. A name is a must: without one, `flush` and `destroy` mean all sets of
 * the network namespace.
 *
 * @throws {RangeError} The name is empty or longer than the kernel takes.
 */
export function setWriter(name: string): AttributeWriter {
  return allSetsWriter().string(setAttribute.name, checkedSetName(name));
}

/** Begins the payload of a command about all sets: only `list` is one. */
export function allSetsWriter(): AttributeWriter {
  // The family in the header is not looked at; a set has its own.
  return new AttributeWriter(nfHeader(familyNumbers.IPv4)).u8(setAttribute.protocol, protocolVersion);
}

/** The name itself, if the kernel can take it. */
export function checkedSetName(name: string): string {
  if (name === "" || name.length > longestSetName) {
    throw new RangeError(`Cannot use set name ${JSON.stringify(name)}: 1 to ${longestSetName} characters`);
  }
  return name;
}

/** What is done with an entry. */
export type EntryCommand = "add" | "delete" | "test";

const prepositions: Readonly<Record<EntryCommand, string>> = { add: "to", delete: "from", test: "in" };

/** A command about one entry, for errors: `add 10.96.0.10,tcp:80 to set KUBE-CLUSTER-IP`. */
export function describeEntryCommand(command: EntryCommand, name: string, entry: SetEntry): string {
  return `${command} ${entryText(entry)} ${prepositions[command]} set ${name}`;
}

/** What the kernel's numbers mean to a command about an entry. */
export function entryErrorCodes(command: EntryCommand, type: SetType): ErrnoCodes {
  return {
    // One number for "there already" and for "not there".
    [ipsetErrnos.EXIST]: command === "add" ? "exists" : "not-found",
    // Where a hash reports that it is full, a bitmap reports a number that it does not cover.
    ...(type === "bitmap:port" ? { [ipsetErrnos.TYPE_SPECIFIC]: "rejected" } : {}),
  };
}
