/**
 * Reading IP sets back from the kernel.
 *
 * Pure but for the connection it is given. A set takes one message or more: the first has its parameters, those that
 * continue it have only its name and entries. The kernel does not tell when a set changed meanwhile.
 *
 * @module
 */
import { AttributeReader } from "./attribute-reader.ts";
import { attributeFlags } from "./attribute-writer.ts";
import type { NetlinkConnection, NetlinkRequest } from "./connection.ts";
import { familyOfNumber, type IpFamily } from "./ip-address.ts";
import { readEntry, type SetEntry, type SetType } from "./ipset-entry.ts";
import {
  allSetsWriter,
  parameterAttribute,
  setAttribute,
  setCommands,
  setFlags,
  setType,
  setWriter,
} from "./ipset-wire.ts";
import type { NetlinkMessage } from "./message.ts";
import { nfHeaderLength } from "./nfnetlink.ts";

/** A set as the kernel holds it. */
export interface ObservedSet {
  readonly name: string;
  /** Its type, which for sets of others may be one that is not supported here. */
  readonly type: string;
  /** Undefined for `bitmap:port`, which has none. */
  readonly family: IpFamily | undefined;
  readonly revision: number;
  /** Undefined for sets without that parameter. */
  readonly maximumElements: number | undefined;
  /** How many entries it holds, without those that have run out. Undefined if the kernel does not say. */
  readonly elements: number | undefined;
  readonly timeoutSeconds: number | undefined;
  /** Whether entries carry packet marks. */
  readonly marks: boolean;
  /** Rules and sets that refer to it: while there are any it cannot be destroyed. */
  readonly references: number;
  /** Undefined if entries were not asked for, or are of a type that is not supported here. */
  readonly entries: readonly SetEntry[] | undefined;
}

const setTypes: readonly SetType[] = [
  "hash:ip",
  "hash:net",
  "hash:ip,port",
  "hash:ip,port,ip",
  "hash:ip,port,net",
  "bitmap:port",
];

/** Bits of the attribute `flags`. */
const listFlags = { headersOnly: 0x4 } as const;

/**
 * Reads one set with its entries.
 *
 * @throws {KernelError} "not-found" if there is none of that name.
 */
export async function readSet(connection: NetlinkConnection, name: string): Promise<ObservedSet | undefined> {
  const request = { operation: `list set ${name}`, type: listType, payload: setWriter(name).finish() };
  const [set] = await collectSets(connection, request, true);
  return set;
}

/**
 * Reads all sets of the network namespace.
 *
 * @param options.entries Their entries too; false is cheap however many there are.
 */
export function listSets(
  connection: NetlinkConnection,
  options: { readonly entries: boolean },
): Promise<readonly ObservedSet[]> {
  const writer = allSetsWriter();
  if (!options.entries) writer.be32(setAttribute.flags | attributeFlags.networkOrder, listFlags.headersOnly);
  const request = { operation: "list sets", type: listType, payload: writer.finish() };
  return collectSets(connection, request, options.entries);
}

const listType = setType(setCommands.list);

/** Puts the messages of a listing together. */
export class SetListing {
  readonly #sets = new Map<string, ObservedSet & { readonly entries: SetEntry[] | undefined }>();
  readonly #withEntries: boolean;

  /** @param withEntries False leaves `entries` of each set undefined. */
  constructor(withEntries: boolean) {
    this.#withEntries = withEntries;
  }

  /**
   * Takes one message.
   *
   * @throws {KernelError} "truncated"
   */
  accept(message: NetlinkMessage): void {
    if (message.type !== listType) return;
    const part = readPart(message);
    let set = this.#sets.get(part.name);
    if (set === undefined) {
      const entries = this.#withEntries && supportedType(part.type) !== undefined ? [] : undefined;
      set = {
        ...part.parameters,
        name: part.name,
        type: part.type,
        family: part.family,
        revision: part.revision,
        entries,
      };
      this.#sets.set(part.name, set);
    }
    const type = supportedType(set.type);
    if (part.entries === undefined || set.entries === undefined || type === undefined) return;
    for (const list = part.entries; list.next(); ) {
      if (list.type !== setAttribute.data) continue;
      const entry = readEntry(list.nested(), type);
      if (entry !== undefined) set.entries.push(entry);
    }
    part.entries.finish(`read set ${part.name}`);
  }

  /** The sets in the order of their first messages. */
  sets(): readonly ObservedSet[] {
    return [...this.#sets.values()];
  }
}

async function collectSets(
  connection: NetlinkConnection,
  request: NetlinkRequest,
  withEntries: boolean,
): Promise<readonly ObservedSet[]> {
  const listing = new SetListing(withEntries);
  await connection.dump(request, (message) => listing.accept(message));
  return listing.sets();
}

type Parameters = Pick<
  ObservedSet,
  "maximumElements" | "elements" | "timeoutSeconds" | "marks" | "references"
>;

const noParameters: Parameters = {
  maximumElements: undefined,
  elements: undefined,
  timeoutSeconds: undefined,
  marks: false,
  references: 0,
};

interface Part {
  readonly name: string;
  readonly type: string;
  readonly family: IpFamily | undefined;
  readonly revision: number;
  readonly parameters: Parameters;
  readonly entries: AttributeReader | undefined;
}

function readPart(message: NetlinkMessage): Part {
  const reader = AttributeReader.of(message, nfHeaderLength);
  let name = "";
  let type = "";
  let family: IpFamily | undefined;
  let revision = 0;
  let parameters = noParameters;
  let entries: AttributeReader | undefined;
  while (reader.next()) {
    switch (reader.type) {
      case setAttribute.name:
        name = reader.string();
        break;
      case setAttribute.type:
        type = reader.string();
        break;
      case setAttribute.family:
        family = familyOfNumber(reader.u8());
        break;
      case setAttribute.revision:
        revision = reader.u8();
        break;
      case setAttribute.data:
        parameters = readParameters(reader.nested());
        break;
      case setAttribute.entries:
        entries = reader.nested();
        break;
    }
  }
  reader.finish("read a set");
  return { name, type, family, revision, parameters, entries };
}

function readParameters(reader: AttributeReader): Parameters {
  let maximumElements: number | undefined;
  let elements: number | undefined;
  let timeoutSeconds: number | undefined;
  let marks = false;
  let references = 0;
  while (reader.next()) {
    switch (reader.type) {
      case parameterAttribute.maximumElements:
        maximumElements = reader.be32();
        break;
      case parameterAttribute.elements:
        elements = reader.be32();
        break;
      case parameterAttribute.timeout:
        timeoutSeconds = reader.be32();
        break;
      case parameterAttribute.flags:
        marks = (reader.be32() & setFlags.marks) !== 0;
        break;
      case parameterAttribute.references:
        references = reader.be32();
        break;
    }
  }
  return { maximumElements, elements, timeoutSeconds, marks, references };
}

function supportedType(type: string): SetType | undefined {
  return setTypes.find((supported) => supported === type);
}
