/**
 * A fake rtnetlink for tests: interfaces and addresses with a memory.
 *
 * It stores what it is given and answers as the kernel does where that was seen (see the contract suite); it decides
 * nothing.
 *
 * @module
 */
import { addressMessages, type InterfaceAddress } from "./address.ts";
import { AttributeReader } from "./attribute-reader.ts";
import { AttributeWriter } from "./attribute-writer.ts";
import { familyNumbers, familyOfText, ipBytes, ipText } from "./ip-address.ts";
import { type Link, linkMessages } from "./link.ts";
import { hostIsLittleEndian, messageFlags, viewOf } from "./message.ts";
import type { FakeKernel, FakeReply, FakeRequest } from "./testing.ts";

const ENODEV = 19;
const EEXIST = 17;
const EOPNOTSUPP = 95;
const EADDRNOTAVAIL = 99;

const ok: readonly FakeReply[] = [];

/** Interfaces and their addresses; there is always `lo`. */
export class FakeRoute {
  readonly links: Map<number, Link> = new Map();
  readonly addresses: InterfaceAddress[] = [];
  readonly #kinds: ReadonlySet<string>;
  #nextIndex = 2;

  /** @param kinds Kinds of interface that can be created. */
  constructor(kinds: readonly string[] = ["dummy", "bridge"]) {
    this.#kinds = new Set(kinds);
    this.links.set(1, { index: 1, name: "lo", kind: undefined, up: false, loopback: true, mtu: 65_536 });
  }

  /** The function to make a `fakeConnection` of. */
  readonly kernel: FakeKernel = (request) => {
    switch (request.type) {
      case linkMessages.get:
        return this.#getLink(request);
      case linkMessages.added:
        return this.#newLink(request);
      case linkMessages.removed:
        return this.#deleteLink(request);
      case addressMessages.get:
        return this.#listAddresses(request);
      case addressMessages.added:
        return this.#addAddress(request);
      case addressMessages.removed:
        return this.#deleteAddress(request);
      default:
        return [{ errno: EOPNOTSUPP }];
    }
  };

  #getLink(request: FakeRequest): readonly FakeReply[] {
    if (request.dump) return [...this.links.values()].map(encodeLink);
    const { name } = readLink(request);
    const link = this.#linkNamed(name);
    return link === undefined ? [{ errno: ENODEV }] : [encodeLink(link)];
  }

  #newLink(request: FakeRequest): readonly FakeReply[] {
    const { index, name, kind, up } = readLink(request);
    if ((request.flags & messageFlags.create) === 0) {
      const link = this.links.get(index);
      if (link === undefined) return [{ errno: ENODEV }];
      this.links.set(index, { ...link, up });
      return ok;
    }
    if (this.#linkNamed(name) !== undefined) return [{ errno: EEXIST }];
    if (kind === undefined || !this.#kinds.has(kind))
      return [{ errno: EOPNOTSUPP, text: "Unknown device type" }];
    const created = this.#nextIndex++;
    this.links.set(created, { index: created, name, kind, up: false, loopback: false, mtu: 1500 });
    return ok;
  }

  #deleteLink(request: FakeRequest): readonly FakeReply[] {
    const { index } = readLink(request);
    if (!this.links.delete(index)) return [{ errno: ENODEV }];
    for (let at = this.addresses.length - 1; at >= 0; at--) {
      if (this.addresses[at]?.interfaceIndex === index) this.addresses.splice(at, 1);
    }
    return ok;
  }

  #listAddresses(request: FakeRequest): readonly FakeReply[] {
    const { family, index } = readAddress(request);
    if (index !== 0 && !this.links.has(index)) return [{ errno: ENODEV }];
    return this.addresses
      .filter((one) => family === 0 || familyNumbers[one.family] === family)
      .filter((one) => index === 0 || one.interfaceIndex === index)
      .map(encodeAddress);
  }

  #addAddress(request: FakeRequest): readonly FakeReply[] {
    const { index, address, prefixLength, flags } = readAddress(request);
    if (!this.links.has(index)) return [{ errno: ENODEV }];
    if (this.#addressAt(index, address) >= 0) return [{ errno: EEXIST }];
    const family = familyOfText(address);
    this.addresses.push({
      family,
      address,
      prefixLength,
      interfaceIndex: index,
      scope: 0,
      flags: flags | 0x80,
    });
    return ok;
  }

  #deleteAddress(request: FakeRequest): readonly FakeReply[] {
    const { index, address } = readAddress(request);
    if (!this.links.has(index)) return [{ errno: ENODEV }];
    const at = this.#addressAt(index, address);
    if (at < 0) return [{ errno: EADDRNOTAVAIL }];
    this.addresses.splice(at, 1);
    return ok;
  }

  #linkNamed(name: string): Link | undefined {
    return [...this.links.values()].find((link) => link.name === name);
  }

  #addressAt(index: number, address: string): number {
    return this.addresses.findIndex((one) => one.interfaceIndex === index && one.address === address);
  }
}

/** An answer or event about an interface. */
export function encodeLink(link: Link): { readonly type: number; readonly payload: Uint8Array } {
  const header = new Uint8Array(16);
  const view = viewOf(header);
  view.setInt32(4, link.index, hostIsLittleEndian);
  view.setUint32(8, (link.up ? 0x1 : 0) | (link.loopback ? 0x8 : 0), hostIsLittleEndian);
  const writer = new AttributeWriter(header).string(3, link.name).u32(4, link.mtu);
  const { kind, underlay } = link;
  if (kind !== undefined) {
    writer.nested(18, (info) => {
      info.string(1, kind);
      if (underlay !== undefined) info.nested(2, (data) => data.u32(3, underlay));
    });
  }
  return { type: linkMessages.added, payload: writer.finish() };
}

/** An answer or event about an address. */
export function encodeAddress(address: InterfaceAddress): {
  readonly type: number;
  readonly payload: Uint8Array;
} {
  const { family, prefixLength, flags, scope, interfaceIndex } = address;
  const header = Uint8Array.of(familyNumbers[family], prefixLength, flags & 0xff, scope, 0, 0, 0, 0);
  viewOf(header).setUint32(4, interfaceIndex, hostIsLittleEndian);
  const bytes = ipBytes(address.address);
  const writer = new AttributeWriter(header).bytes(1, bytes);
  if (family === "IPv4") writer.bytes(2, bytes);
  writer.u32(8, flags);
  return { type: addressMessages.added, payload: writer.finish() };
}

function readLink({ payload }: FakeRequest): {
  index: number;
  name: string;
  kind: string | undefined;
  up: boolean;
} {
  const view = viewOf(payload);
  let name = "";
  let kind: string | undefined;
  for (const reader = new AttributeReader(view, 16, payload.length); reader.next(); ) {
    if (reader.type === 3) name = reader.string();
    if (reader.type !== 18) continue;
    for (const info = reader.nested(); info.next(); ) if (info.type === 1) kind = info.string();
  }
  const flags = view.getUint32(8, hostIsLittleEndian);
  return { index: view.getInt32(4, hostIsLittleEndian), name, kind, up: (flags & 0x1) !== 0 };
}

function readAddress({ payload }: FakeRequest): {
  family: number;
  index: number;
  address: string;
  prefixLength: number;
  flags: number;
} {
  const view = viewOf(payload);
  let address = "";
  let flags = 0;
  for (const reader = new AttributeReader(view, 8, payload.length); reader.next(); ) {
    if (reader.type === 2) address = ipText(reader.bytes());
    if (reader.type === 8) flags = reader.u32();
  }
  return {
    family: view.getUint8(0),
    index: view.getUint32(4, hostIsLittleEndian),
    address,
    prefixLength: view.getUint8(1),
    flags,
  };
}
