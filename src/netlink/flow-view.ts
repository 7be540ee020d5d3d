/**
 * A window on one tracked flow in the receive buffer.
 *
 * Pure. A conntrack table has up to a million flows and nearly all of them are of no interest, so one view serves a
 * whole dump: reading a flow into it stores a dozen offsets and allocates nothing, numbers come straight from the
 * buffer, and text is made only for a flow that somebody asks about.
 *
 * Invariants
 * - A view is valid until the next `read`, or until the buffer is used again. `key()` is what outlives it.
 * - Offset 0 means absent: a header always comes before the first attribute.
 *
 * Layout: CTA_* of linux/netfilter/nfnetlink_conntrack.h. Numbers are in network order.
 *
 * @module
 */
import { attributeLengthAt, attributeTypeAt } from "./attribute-reader.ts";
import { attributeHeaderLength } from "./attribute-writer.ts";
import {
  type FlowKey,
  type FlowTuple,
  flowAttribute,
  tupleAttribute,
  tupleIpAttribute,
  tupleProtocolAttribute,
} from "./flow-key.ts";
import { familyOfNumber, type IpFamily, ipText } from "./ip-address.ts";
import { KernelError } from "./kernel-error.ts";
import { align, type NetlinkMessage, payloadOf } from "./message.ts";
import { nfHeaderLength } from "./nfnetlink.ts";

/** Bits of a flow's status (IPS_*). */
export const flowStatus = {
  seenReply: 0x2,
  assured: 0x4,
  confirmed: 0x8,
  sourceTranslated: 0x10,
  destinationTranslated: 0x20,
  dying: 0x200,
} as const;

/** Packets and bytes of both directions. */
export interface FlowCounters {
  readonly original: { readonly packets: bigint; readonly bytes: bigint };
  readonly reply: { readonly packets: bigint; readonly bytes: bigint };
}

/** An address of a flow. After destination translation, `replySource` is the endpoint that answers. */
export type FlowAddress = "originalSource" | "originalDestination" | "replySource" | "replyDestination";

const counterAttribute = { packets: 1, bytes: 2 } as const;

/** Attributes of a protocol's own part, of which the first is the state in all of them. */
const protocolInfoAttribute = { tcp: 1, sctp: 3, state: 1 } as const;

const empty = new DataView(new ArrayBuffer(0));

/** Where the parts of one direction are in the buffer. */
class TupleOffsets {
  source = 0;
  destination = 0;
  protocol = 0;
  sourcePort = 0;
  destinationPort = 0;
  zone = 0;

  clear(): void {
    this.source = 0;
    this.destination = 0;
    this.protocol = 0;
    this.sourcePort = 0;
    this.destinationPort = 0;
    this.zone = 0;
  }

  /** @throws {KernelError} "truncated" */
  read(view: DataView, start: number, end: number, family: IpFamily): void {
    for (let at = start; at + attributeHeaderLength <= end; ) {
      const length = attributeLengthAt(view, at, end);
      const value = at + attributeHeaderLength;
      const type = attributeTypeAt(view, at);
      if (type === tupleAttribute.ip) this.#readAddresses(view, value, at + length, family);
      else if (type === tupleAttribute.protocol) this.#readProtocol(view, value, at + length);
      else if (type === tupleAttribute.zone) this.zone = fixed(value, length, 2);
      at += align(length);
    }
  }

  #readAddresses(view: DataView, start: number, end: number, family: IpFamily): void {
    // Only of the flow's own family, so that whoever reads an address knows how many bytes it has.
    const ipv4 = family === "IPv4";
    const sourceType = ipv4 ? tupleIpAttribute.ipv4Source : tupleIpAttribute.ipv6Source;
    const destinationType = ipv4 ? tupleIpAttribute.ipv4Destination : tupleIpAttribute.ipv6Destination;
    for (let at = start; at + attributeHeaderLength <= end; ) {
      const length = attributeLengthAt(view, at, end);
      const value = at + attributeHeaderLength;
      const type = attributeTypeAt(view, at);
      if (type === sourceType) this.source = fixed(value, length, ipv4 ? 4 : 16);
      else if (type === destinationType) this.destination = fixed(value, length, ipv4 ? 4 : 16);
      at += align(length);
    }
  }

  #readProtocol(view: DataView, start: number, end: number): void {
    for (let at = start; at + attributeHeaderLength <= end; ) {
      const length = attributeLengthAt(view, at, end);
      const value = at + attributeHeaderLength;
      const type = attributeTypeAt(view, at);
      if (type === tupleProtocolAttribute.number) this.protocol = fixed(value, length, 1);
      else if (type === tupleProtocolAttribute.sourcePort) this.sourcePort = fixed(value, length, 2);
      else if (type === tupleProtocolAttribute.destinationPort)
        this.destinationPort = fixed(value, length, 2);
      at += align(length);
    }
  }
}

/** One flow at a time, read in place. */
export class FlowView {
  #view: DataView = empty;
  #family: IpFamily = "IPv4";
  readonly #original = new TupleOffsets();
  readonly #reply = new TupleOffsets();
  #status = 0;
  #timeout = 0;
  #mark = 0;
  #id = 0;
  #zone = 0;
  #originalCounters = 0;
  #replyCounters = 0;
  #protocolInfo = 0;

  /**
   * Points the view at the flow in a message.
   *
   * @throws {KernelError} "truncated" if the message is no flow of an IP family, or does not decode.
   */
  read(message: NetlinkMessage): void {
    const { view, start, end } = message;
    this.#clear();
    this.#view = view;
    const family = end - start < nfHeaderLength ? undefined : familyOfNumber(view.getUint8(start));
    if (family === undefined) throw malformed("it belongs to no IP family");
    this.#family = family;
    for (let at = start + nfHeaderLength; at + attributeHeaderLength <= end; ) {
      const length = attributeLengthAt(view, at, end);
      this.#readAttribute(attributeTypeAt(view, at), at + attributeHeaderLength, length);
      at += align(length);
    }
    for (const tuple of [this.#original, this.#reply]) {
      if (tuple.source === 0 || tuple.destination === 0 || tuple.protocol === 0) {
        throw malformed("a tuple lacks an address or the protocol");
      }
    }
  }

  get family(): IpFamily {
    return this.#family;
  }

  /** Protocol number: 6 TCP, 17 UDP, 132 SCTP. */
  get protocol(): number {
    return this.#view.getUint8(this.#original.protocol);
  }

  /** 0 for protocols without ports, as with the other three. */
  get originalSourcePort(): number {
    return this.#u16(this.#original.sourcePort);
  }

  /** The port the client asked for: the Service's. */
  get originalDestinationPort(): number {
    return this.#u16(this.#original.destinationPort);
  }

  /** The port that answers: the endpoint's. */
  get replySourcePort(): number {
    return this.#u16(this.#reply.sourcePort);
  }

  get replyDestinationPort(): number {
    return this.#u16(this.#reply.destinationPort);
  }

  /**
   * A 32-bit piece of an address, for comparing and hashing without making text.
   *
   * @param index 0 for IPv4, 0 to 3 for IPv6, most significant first.
   */
  addressWord(address: FlowAddress, index: number): number {
    if (index < 0 || index >= (this.#family === "IPv4" ? 1 : 4)) {
      throw new RangeError(`Cannot read word ${index} of an ${this.#family} address`);
    }
    return this.#view.getUint32(this.#addressOffset(address) + index * 4);
  }

  /** An address as text. Allocates: ask only about flows that passed a cheaper test. */
  address(address: FlowAddress): string {
    const start = this.#addressOffset(address);
    return ipText(payloadOf({ view: this.#view, start, end: start + (this.#family === "IPv4" ? 4 : 16) }));
  }

  /** Bits of `flowStatus`. */
  get status(): number {
    return this.#u32(this.#status);
  }

  /** Seconds until the flow is forgotten if no packet comes. 0 in events of flows that ended. */
  get timeoutSeconds(): number {
    return this.#u32(this.#timeout);
  }

  get mark(): number {
    return this.#u32(this.#mark);
  }

  /** Zone of both directions; 0 where there is none. */
  get zone(): number {
    return this.#u16(this.#zone);
  }

  get id(): number {
    return this.#u32(this.#id);
  }

  /** The state of a TCP or SCTP connection, in the kernel's numbers (`flow-state.ts`); undefined for other protocols. */
  get state(): number | undefined {
    if (this.#protocolInfo === 0) return undefined;
    const view = this.#view;
    const info = this.#inside(
      this.#protocolInfo,
      (type) => type === protocolInfoAttribute.tcp || type === protocolInfoAttribute.sctp,
    );
    const state = info === 0 ? 0 : this.#inside(info, (type) => type === protocolInfoAttribute.state);
    if (state === 0) return undefined;
    const length = attributeLengthAt(view, state, view.byteLength);
    return view.getUint8(fixed(state + attributeHeaderLength, length, 1));
  }

  /** Packets and bytes, or undefined where the kernel does not count them (nf_conntrack_acct). */
  counters(): FlowCounters | undefined {
    if (this.#originalCounters === 0 || this.#replyCounters === 0) return undefined;
    return {
      original: this.#readCounters(this.#originalCounters),
      reply: this.#readCounters(this.#replyCounters),
    };
  }

  /** One direction of the flow as a value. */
  tuple(direction: "original" | "reply"): FlowTuple {
    const offsets = direction === "original" ? this.#original : this.#reply;
    return {
      protocol: this.#view.getUint8(offsets.protocol),
      source: this.address(`${direction}Source`),
      sourcePort: this.#u16(offsets.sourcePort),
      destination: this.address(`${direction}Destination`),
      destinationPort: this.#u16(offsets.destinationPort),
      ...(offsets.zone === 0 ? {} : { zone: this.#u16(offsets.zone) }),
    };
  }

  /** What names this flow and outlives the view. */
  key(): FlowKey {
    return {
      original: this.tuple("original"),
      ...(this.#zone === 0 ? {} : { zone: this.zone }),
      ...(this.#id === 0 ? {} : { id: this.id }),
    };
  }

  #readAttribute(type: number, value: number, length: number): void {
    switch (type) {
      case flowAttribute.originalTuple:
        this.#original.read(this.#view, value, value + length - attributeHeaderLength, this.#family);
        break;
      case flowAttribute.replyTuple:
        this.#reply.read(this.#view, value, value + length - attributeHeaderLength, this.#family);
        break;
      case flowAttribute.status:
        this.#status = fixed(value, length, 4);
        break;
      case flowAttribute.timeout:
        this.#timeout = fixed(value, length, 4);
        break;
      case flowAttribute.mark:
        this.#mark = fixed(value, length, 4);
        break;
      case flowAttribute.id:
        this.#id = fixed(value, length, 4);
        break;
      case flowAttribute.zone:
        this.#zone = fixed(value, length, 2);
        break;
      case flowAttribute.protocolInfo:
        this.#protocolInfo = value - attributeHeaderLength;
        break;
      case flowAttribute.originalCounters:
        this.#originalCounters = value - attributeHeaderLength;
        break;
      case flowAttribute.replyCounters:
        this.#replyCounters = value - attributeHeaderLength;
        break;
    }
  }

  /** @param nest Offset of the counters' own attribute. Its inside is checked only now, when it is asked for. */
  #readCounters(nest: number): { packets: bigint; bytes: bigint } {
    const view = this.#view;
    const end = nest + attributeLengthAt(view, nest, view.byteLength);
    let packets = 0n;
    let bytes = 0n;
    for (let at = nest + attributeHeaderLength; at + attributeHeaderLength <= end; ) {
      const length = attributeLengthAt(view, at, end);
      const type = attributeTypeAt(view, at);
      const value = at + attributeHeaderLength;
      if (type === counterAttribute.packets) packets = view.getBigUint64(fixed(value, length, 8));
      else if (type === counterAttribute.bytes) bytes = view.getBigUint64(fixed(value, length, 8));
      at += align(length);
    }
    return { packets, bytes };
  }

  /** Offset of the first attribute inside another one that is wanted, or 0. */
  #inside(nest: number, wanted: (type: number) => boolean): number {
    const end = nest + attributeLengthAt(this.#view, nest, this.#view.byteLength);
    for (let at = nest + attributeHeaderLength; at + attributeHeaderLength <= end; ) {
      const length = attributeLengthAt(this.#view, at, end);
      if (wanted(attributeTypeAt(this.#view, at))) return at;
      at += align(length);
    }
    return 0;
  }

  #addressOffset(address: FlowAddress): number {
    switch (address) {
      case "originalSource":
        return this.#original.source;
      case "originalDestination":
        return this.#original.destination;
      case "replySource":
        return this.#reply.source;
      case "replyDestination":
        return this.#reply.destination;
    }
  }

  #u16(offset: number): number {
    return offset === 0 ? 0 : this.#view.getUint16(offset);
  }

  #u32(offset: number): number {
    return offset === 0 ? 0 : this.#view.getUint32(offset);
  }

  #clear(): void {
    this.#original.clear();
    this.#reply.clear();
    this.#status = 0;
    this.#timeout = 0;
    this.#mark = 0;
    this.#id = 0;
    this.#zone = 0;
    this.#originalCounters = 0;
    this.#replyCounters = 0;
    this.#protocolInfo = 0;
  }
}

/** The offset of a value that has as many bytes as its kind needs. */
function fixed(offset: number, attributeLength: number, expected: number): number {
  const length = attributeLength - attributeHeaderLength;
  if (length !== expected) throw malformed(`an attribute has ${length} bytes in place of ${expected}`);
  return offset;
}

function malformed(detail: string): KernelError {
  return new KernelError("truncated", "read a tracked flow", { detail });
}
