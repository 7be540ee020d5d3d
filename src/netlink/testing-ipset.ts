/**
 * A fake ipset for tests: sets with a memory.
 *
 * It stores what it is given and answers as the kernel does where that was seen (see the contract suite); it decides
 * nothing. It knows no timeouts that run out.
 *
 * @module
 */
import { AttributeReader } from "./attribute-reader.ts";
import { AttributeWriter } from "./attribute-writer.ts";
import { familyNumbers, familyOfNumber, familyOfText, type IpFamily } from "./ip-address.ts";
import { entryText, normalEntry, readEntry, type SetEntry, type SetType, writeEntry } from "./ipset-entry.ts";
import { parameterAttribute, setAttribute, setCommands, setFlags, setType } from "./ipset-wire.ts";
import { hostIsLittleEndian, messageFlags, viewOf } from "./message.ts";
import { nfHeader, nfHeaderLength } from "./nfnetlink.ts";
import type { FakeKernel, FakeReply, FakeRequest } from "./testing.ts";

const ENOENT = 2;
const EEXIST = 17;
const PROTOCOL = 4097;
const BUSY = 4100;
const EXIST_SETNAME2 = 4101;
const TYPE_MISMATCH = 4102;
const EXIST = 4103;
const SKBINFO = 4114;
const HASH_FULL = 4352;

const ok: readonly FakeReply[] = [];

/** A set in the fake kernel. */
export interface FakeSet {
  readonly type: SetType;
  readonly family: IpFamily | undefined;
  readonly maximumElements: number;
  readonly timeoutSeconds: number | undefined;
  readonly marks: boolean;
  /** By the text of the entry. */
  readonly entries: Map<string, SetEntry>;
  /** Rules that refer to it: set by tests. */
  references: number;
}

/** The sets of a network namespace. */
export class FakeIpset {
  readonly sets: Map<string, FakeSet> = new Map();

  /** The function to make a `fakeConnection` of. */
  readonly kernel: FakeKernel = (request) => {
    const parts = readRequest(request);
    switch (request.type) {
      case setType(setCommands.create):
        return this.#create(request, parts);
      case setType(setCommands.list):
        return this.#list(parts);
      case setType(setCommands.destroy):
        return this.#destroy(request, parts);
      case setType(setCommands.flush):
        this.sets.get(parts.name)?.entries.clear();
        return this.sets.has(parts.name) ? ok : [{ errno: ENOENT }];
      case setType(setCommands.swap):
        return this.#swap(parts);
      case setType(setCommands.rename):
        return this.#rename(parts);
      default:
        return this.#change(request, parts);
    }
  };

  #create(request: FakeRequest, parts: RequestParts): readonly FakeReply[] {
    const { name, text: type, family, parameters } = parts;
    const { maximumElements = 65_536, timeoutSeconds, marks = false } = parameters;
    const existing = this.sets.get(name);
    if (existing !== undefined) {
      const same =
        existing.type === type &&
        existing.family === family &&
        existing.maximumElements === maximumElements &&
        existing.timeoutSeconds === timeoutSeconds &&
        existing.marks === marks;
      return same && !isStrict(request) ? ok : [{ errno: EEXIST }];
    }
    const set = {
      type: type as SetType,
      family,
      maximumElements,
      timeoutSeconds,
      marks,
      entries: new Map(),
      references: 0,
    };
    this.sets.set(name, set);
    return ok;
  }

  #destroy(request: FakeRequest, { name }: RequestParts): readonly FakeReply[] {
    const set = this.sets.get(name);
    if (set === undefined) return isStrict(request) ? [{ errno: ENOENT }] : ok;
    if (set.references > 0) return [{ errno: BUSY }];
    this.sets.delete(name);
    return ok;
  }

  #swap({ name, text: other }: RequestParts): readonly FakeReply[] {
    const first = this.sets.get(name);
    const second = this.sets.get(other);
    if (first === undefined) return [{ errno: ENOENT }];
    if (second === undefined) return [{ errno: EXIST_SETNAME2 }];
    if (first.type !== second.type || first.family !== second.family) return [{ errno: TYPE_MISMATCH }];
    // Rules refer to the name, whatever set has it.
    const { references } = first;
    first.references = second.references;
    second.references = references;
    this.sets.set(name, second).set(other, first);
    return ok;
  }

  #rename({ name, text: newName }: RequestParts): readonly FakeReply[] {
    const set = this.sets.get(name);
    if (set === undefined) return [{ errno: ENOENT }];
    if (set.references > 0) return [{ errno: 4108 }];
    if (this.sets.has(newName)) return [{ errno: EXIST_SETNAME2 }];
    this.sets.delete(name);
    this.sets.set(newName, set);
    return ok;
  }

  #change(request: FakeRequest, { name, single, many }: RequestParts): readonly FakeReply[] {
    const set = this.sets.get(name);
    if (set === undefined) return [{ errno: ENOENT }];
    if (single !== undefined) {
      const errno = changeOne(set, request, single);
      return errno === 0 ? ok : [{ errno }];
    }
    for (const [index, reader] of many.entries()) {
      const errno = changeOne(set, request, reader);
      if (errno !== 0) return [{ errno, echo: withLine(request.payload, index + 1) }];
    }
    return ok;
  }

  #list({ name, listFlags }: RequestParts): readonly FakeReply[] {
    if (name !== "" && !this.sets.has(name)) return [{ errno: ENOENT }];
    const headersOnly = (listFlags & 0x4) !== 0;
    return [...this.sets]
      .filter(([one]) => name === "" || one === name)
      .flatMap(([one, set]) => encodeSet(one, set, headersOnly));
  }
}

/** @returns An error number, or 0. */
function changeOne(set: FakeSet, request: FakeRequest, reader: AttributeReader): number {
  const read = readEntry(reader, set.type);
  if (read === undefined || familyOfEntry(read) !== set.family) return PROTOCOL;
  if ("mark" in read && !set.marks) return SKBINFO;
  const entry = normalEntry(read);
  const key = entryText(entry);
  const present = set.entries.has(key);
  switch (request.type) {
    case setType(setCommands.add):
      if (present && isStrict(request)) return EXIST;
      if (!present && set.entries.size >= set.maximumElements) return HASH_FULL;
      set.entries.set(key, withTimeout(entry, set.timeoutSeconds));
      return 0;
    case setType(setCommands.delete):
      if (!present && isStrict(request)) return EXIST;
      set.entries.delete(key);
      return 0;
    default:
      return present ? 0 : EXIST;
  }
}

function withTimeout(entry: SetEntry, timeoutSeconds: number | undefined): SetEntry {
  return timeoutSeconds === undefined
    ? entry
    : { ...entry, timeoutSeconds: entry.timeoutSeconds ?? timeoutSeconds };
}

function familyOfEntry(entry: SetEntry): IpFamily | undefined {
  if ("address" in entry) return familyOfText(entry.address);
  return "network" in entry ? familyOfText(entry.network) : undefined;
}

function isStrict(request: FakeRequest): boolean {
  return (request.flags & messageFlags.exclusive) !== 0;
}

/** The first message has the parameters; entries come two to a message, so that listings continue. */
function encodeSet(name: string, set: FakeSet, headersOnly: boolean): FakeReply[] {
  const { type, family, maximumElements, timeoutSeconds, marks, references } = set;
  const first = payloadFor(name)
    .string(setAttribute.type, type)
    .u8(setAttribute.family, family === undefined ? 0 : familyNumbers[family])
    .u8(setAttribute.revision, 1);
  first.nested(setAttribute.data, (data) => {
    if (type !== "bitmap:port") data.be32(parameterAttribute.maximumElements, maximumElements);
    if (timeoutSeconds !== undefined) data.be32(parameterAttribute.timeout, timeoutSeconds);
    if (marks) data.be32(parameterAttribute.flags, setFlags.marks);
    data.be32(parameterAttribute.references, references);
    data.be32(parameterAttribute.elements, set.entries.size);
  });
  const messages = [first];
  const entries = headersOnly ? [] : [...set.entries.values()];
  for (let from = 0; from < entries.length; from += 2) {
    const writer = from === 0 ? first : payloadFor(name);
    if (from > 0) messages.push(writer);
    writer.nested(setAttribute.entries, () => {
      for (const entry of entries.slice(from, from + 2)) {
        writer.nested(setAttribute.data, (data) => writeEntry(data, entry));
      }
    });
  }
  return messages.map((writer) => ({ type: setType(setCommands.list), payload: writer.finish() }));
}

function payloadFor(name: string): AttributeWriter {
  return new AttributeWriter(nfHeader(2)).u8(setAttribute.protocol, 6).string(setAttribute.name, name);
}

interface RequestParts {
  readonly name: string;
  /** The type, or the second name. */
  readonly text: string;
  readonly family: IpFamily | undefined;
  readonly listFlags: number;
  readonly parameters: {
    readonly maximumElements?: number;
    readonly timeoutSeconds?: number;
    readonly marks?: boolean;
  };
  readonly single: AttributeReader | undefined;
  readonly many: readonly AttributeReader[];
}

function readRequest({ type, payload }: FakeRequest): RequestParts {
  let name = "";
  let text = "";
  let family: IpFamily | undefined;
  let listFlags = 0;
  let parameters = {};
  let single: AttributeReader | undefined;
  const many: AttributeReader[] = [];
  for (const reader = new AttributeReader(viewOf(payload), nfHeaderLength, payload.length); reader.next(); ) {
    if (reader.type === setAttribute.name) name = reader.string();
    else if (reader.type === setAttribute.type) text = reader.string();
    else if (reader.type === setAttribute.family) family = familyOfNumber(reader.u8());
    else if (reader.type === setAttribute.flags) listFlags = reader.be32();
    else if (reader.type === setAttribute.data && type === setType(setCommands.create)) {
      parameters = readParameters(reader.nested());
    } else if (reader.type === setAttribute.data) single = reader.nested();
    else if (reader.type === setAttribute.entries) {
      for (const list = reader.nested(); list.next(); ) many.push(list.nested());
    }
  }
  return { name, text, family, listFlags, parameters, single, many };
}

function readParameters(reader: AttributeReader): RequestParts["parameters"] {
  let parameters = {};
  while (reader.next()) {
    if (reader.type === parameterAttribute.maximumElements)
      parameters = { ...parameters, maximumElements: reader.be32() };
    if (reader.type === parameterAttribute.timeout)
      parameters = { ...parameters, timeoutSeconds: reader.be32() };
    if (reader.type === parameterAttribute.flags)
      parameters = { ...parameters, marks: (reader.be32() & setFlags.marks) !== 0 };
  }
  return parameters;
}

/** The request's payload with the number of the entry that failed in the command's own line. */
function withLine(payload: Uint8Array, line: number): Uint8Array {
  const copy = payload.slice();
  const view = viewOf(copy);
  for (let at = nfHeaderLength; at + 8 <= copy.length; ) {
    const length = view.getUint16(at, hostIsLittleEndian);
    if ((view.getUint16(at + 2, hostIsLittleEndian) & 0x3fff) === setAttribute.line) {
      view.setUint32(at + 4, line);
      break;
    }
    at += (length + 3) & ~3;
  }
  return copy;
}
