/**
 * IP sets over netlink: create, change, swap, destroy.
 *
 * Pure but for the connection it is given. Requests are tolerant unless asked otherwise, as with ipset's `-exist`:
 * adding what is there and removing what is not are successes.
 *
 * Invariants
 * - Every request names its set, see `setWriter`.
 * - Sets are created in the oldest revision that Debian's and every newer `ipset` program lists: the kernel would take
 *   revision 0 of the `ip,port…` types, but then the program refuses to list any set at all.
 *
 * @module
 */
import { attributeFlags } from "./attribute-writer.ts";
import { type NetlinkConnection, type NetlinkRequest, transactOne } from "./connection.ts";
import { familyNumbers, type IpFamily } from "./ip-address.ts";
import { type SetEntry, type SetType, writeEntry } from "./ipset-entry.ts";
import {
  checkedSetName,
  describeEntryCommand,
  type EntryCommand,
  entryErrorCodes,
  parameterAttribute,
  setAttribute,
  setCommands,
  setFlags,
  setType,
  setWriter,
} from "./ipset-wire.ts";
import { ipsetErrnos, isKernelError } from "./kernel-error.ts";
import { messageFlags } from "./message.ts";

/** A set to be created. */
export interface SetDefinition {
  /** At most 31 characters. */
  readonly name: string;
  readonly type: SetType;
  /** Not for `bitmap:port`, which has none. */
  readonly family?: IpFamily;
  /** First size of the hash table; the kernel's default is 1024, and it grows. */
  readonly hashSize?: number;
  /** Entries that the set may have; the kernel's default is 65536. */
  readonly maximumElements?: number;
  /** Lifetime of entries that name none; 0 is for ever. Without it entries cannot have a lifetime at all. */
  readonly timeoutSeconds?: number;
  /** Whether entries carry packet marks, see `SetEntry`. `hash:ip,port` only. */
  readonly marks?: boolean;
  /** Ports that a `bitmap:port` covers; all of them by default. */
  readonly ports?: { readonly first: number; readonly last: number };
}

const revisions: Readonly<Record<SetType, number>> = {
  "hash:ip": 0,
  "hash:net": 0,
  "hash:ip,port": 1,
  "hash:ip,port,ip": 1,
  "hash:ip,port,net": 1,
  "bitmap:port": 0,
};

/** The first revision of `hash:ip,port` whose entries can carry marks (Linux 3.18). */
const revisionWithMarks = 5;

const { networkOrder } = attributeFlags;

/**
 * Creates a set. A set of that name with the same type, family and parameters is a success.
 *
 * @param options.strict Any set of that name is an error.
 */
export function createSetRequest(
  definition: SetDefinition,
  options: { readonly strict?: boolean } = {},
): NetlinkRequest {
  const { name, type, family, hashSize, maximumElements, timeoutSeconds } = definition;
  const bitmap = type === "bitmap:port";
  if (bitmap === (family !== undefined)) {
    throw new RangeError(`Cannot create set ${name}: type ${type} ${bitmap ? "has no" : "needs a"} family`);
  }
  if (definition.marks === true && type !== "hash:ip,port") {
    throw new RangeError(`Cannot create set ${name}: entries of type ${type} carry no marks`);
  }
  const writer = setWriter(name)
    .string(setAttribute.type, type)
    .u8(setAttribute.revision, definition.marks === true ? revisionWithMarks : revisions[type])
    .u8(setAttribute.family, family === undefined ? 0 : familyNumbers[family]);
  writer.nested(setAttribute.data, () => {
    if (bitmap) {
      const { first, last } = definition.ports ?? { first: 0, last: 65_535 };
      writer.be16(parameterAttribute.firstPort | networkOrder, first);
      writer.be16(parameterAttribute.lastPort | networkOrder, last);
    }
    if (hashSize !== undefined) writer.be32(parameterAttribute.hashSize | networkOrder, hashSize);
    if (maximumElements !== undefined) {
      writer.be32(parameterAttribute.maximumElements | networkOrder, maximumElements);
    }
    if (timeoutSeconds !== undefined) writer.be32(parameterAttribute.timeout | networkOrder, timeoutSeconds);
    if (definition.marks === true) writer.be32(parameterAttribute.flags | networkOrder, setFlags.marks);
  });
  return {
    operation: `create set ${name} of type ${type}`,
    type: setType(setCommands.create),
    flags: messageFlags.create | strictFlag(options),
    payload: writer.finish(),
  };
}

/** Removes a set; "busy" while a rule refers to it. */
export function destroySetRequest(name: string): NetlinkRequest {
  return {
    operation: `destroy set ${name}`,
    type: setType(setCommands.destroy),
    payload: setWriter(name).finish(),
  };
}

/** Removes all entries of a set. */
export function flushSetRequest(name: string): NetlinkRequest {
  return {
    operation: `flush set ${name}`,
    type: setType(setCommands.flush),
    payload: setWriter(name).finish(),
  };
}

/**
 * Swaps the contents of two sets of the same type and family, in one step. Rules stay with the names, so a set can be
 * filled beside the one in use and then take its place.
 */
export function swapSetsRequest(name: string, other: string): NetlinkRequest {
  return {
    operation: `swap sets ${name} and ${other}`,
    type: setType(setCommands.swap),
    payload: setWriter(name).string(setAttribute.name2, checkedSetName(other)).finish(),
    codes: { [ipsetErrnos.EXIST_SETNAME2]: "not-found" },
  };
}

/** Renames a set; "busy" while a rule refers to it, "exists" if the new name is taken. */
export function renameSetRequest(name: string, newName: string): NetlinkRequest {
  return {
    operation: `rename set ${name} to ${newName}`,
    type: setType(setCommands.rename),
    payload: setWriter(name).string(setAttribute.name2, checkedSetName(newName)).finish(),
  };
}

/**
 * Adds one entry; one that is there gets the new timeout.
 *
 * @param options.strict Answer "exists" if it is there.
 */
export function addEntryRequest(
  name: string,
  entry: SetEntry,
  options: { readonly strict?: boolean } = {},
): NetlinkRequest {
  return entryRequest("add", name, entry, options);
}

/**
 * Deletes one entry.
 *
 * @param options.strict Answer "not-found" if it is not there.
 */
export function deleteEntryRequest(
  name: string,
  entry: SetEntry,
  options: { readonly strict?: boolean } = {},
): NetlinkRequest {
  return entryRequest("delete", name, entry, options);
}

/**
 * Whether a set has an entry.
 *
 * @throws {KernelError} "not-found" if there is no such set.
 */
export function hasEntry(connection: NetlinkConnection, name: string, entry: SetEntry): boolean {
  try {
    transactOne(connection, entryRequest("test", name, entry, {}));
    return true;
  } catch (error) {
    if (isKernelError(error) && error.errno === ipsetErrnos.EXIST) return false;
    throw error;
  }
}

function entryRequest(
  command: EntryCommand,
  name: string,
  entry: SetEntry,
  options: { readonly strict?: boolean },
): NetlinkRequest {
  const writer = setWriter(name).nested(setAttribute.data, (data) => writeEntry(data, entry));
  return {
    operation: describeEntryCommand(command, name, entry),
    type: setType(setCommands[command]),
    flags: strictFlag(options),
    payload: writer.finish(),
    codes: entryErrorCodes(command, entry.type),
  };
}

/** "-exist" of ipset(8) is the absence of this flag. */
function strictFlag({ strict = false }: { readonly strict?: boolean }): number {
  return strict ? messageFlags.exclusive : 0;
}
