/**
 * What names one tracked flow to the kernel, and how it is written.
 *
 * Pure. A flow is found by its tuple: the addresses and ports of its first packet as the client sent it, before any
 * translation. Tuples are used again, so the flow's id goes along where it is known: a flow that took the place of the
 * one that was read is then left alone.
 *
 * Layout: CTA_* of linux/netfilter/nfnetlink_conntrack.h. Numbers are in network order.
 *
 * @module
 */
import { AttributeWriter } from "./attribute-writer.ts";
import { familyNumbers, familyOfText, ipBytes } from "./ip-address.ts";
import { nfHeader } from "./nfnetlink.ts";

/** Attributes of a flow. */
export const flowAttribute = {
  originalTuple: 1,
  replyTuple: 2,
  status: 3,
  protocolInfo: 4,
  timeout: 7,
  mark: 8,
  originalCounters: 9,
  replyCounters: 10,
  id: 12,
  zone: 18,
  filter: 25,
} as const;

/** Attributes of a tuple. */
export const tupleAttribute = { ip: 1, protocol: 2, zone: 3 } as const;

/** Attributes of a tuple's addresses. */
export const tupleIpAttribute = {
  ipv4Source: 1,
  ipv4Destination: 2,
  ipv6Source: 3,
  ipv6Destination: 4,
} as const;

/** Attributes of a tuple's protocol. */
export const tupleProtocolAttribute = { number: 1, sourcePort: 2, destinationPort: 3 } as const;

/** Protocol numbers that have ports (IANA). */
export const protocolNumbers = { TCP: 6, UDP: 17, SCTP: 132 } as const;

/** One direction of a flow. */
export interface FlowTuple {
  /** Protocol number; one that has ports. */
  readonly protocol: number;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  /** Zone that holds for this direction only, where there is one. */
  readonly zone?: number;
}

/** What names one flow. */
export interface FlowKey {
  readonly original: FlowTuple;
  /** Zone of both directions, where there is one. */
  readonly zone?: number;
  /** Tells the flow from another one that has come to use the same tuple. */
  readonly id?: number;
}

/** Writes a flow's key as a payload: header, tuple, zone, id. */
export function writeFlowKey(key: FlowKey): AttributeWriter {
  const writer = new AttributeWriter(nfHeader(familyNumbers[familyOfText(key.original.source)]));
  writeTuple(writer, flowAttribute.originalTuple, key.original);
  if (key.zone !== undefined) writer.be16(flowAttribute.zone, key.zone);
  if (key.id !== undefined) writer.be32(flowAttribute.id, key.id);
  return writer;
}

/** Writes a complete tuple; the kernel refuses one with parts missing. */
export function writeTuple(writer: AttributeWriter, type: number, tuple: FlowTuple): void {
  writer.nested(type, () => {
    writeAddresses(writer, tuple);
    writer.nested(tupleAttribute.protocol, () => {
      writer
        .u8(tupleProtocolAttribute.number, tuple.protocol)
        .be16(tupleProtocolAttribute.sourcePort, tuple.sourcePort)
        .be16(tupleProtocolAttribute.destinationPort, tuple.destinationPort);
    });
    if (tuple.zone !== undefined) writer.be16(tupleAttribute.zone, tuple.zone);
  });
}

/** Writes the addresses of a tuple, or of a filter that has one of them. */
export function writeAddresses(
  writer: AttributeWriter,
  addresses: { readonly source?: string; readonly destination?: string },
): void {
  const { source, destination } = addresses;
  writer.nested(tupleAttribute.ip, () => {
    if (source !== undefined) writeAddress(writer, source, "Source");
    if (destination !== undefined) writeAddress(writer, destination, "Destination");
  });
}

/** A flow in one line, for errors: `protocol 17 10.0.0.5:4000 -> 10.96.0.10:53`. */
export function describeFlow({ original }: FlowKey): string {
  const { protocol, source, sourcePort, destination, destinationPort } = original;
  return `protocol ${protocol} ${endpoint(source, sourcePort)} -> ${endpoint(destination, destinationPort)}`;
}

function writeAddress(writer: AttributeWriter, address: string, end: "Source" | "Destination"): void {
  const family = familyOfText(address) === "IPv4" ? "ipv4" : "ipv6";
  writer.bytes(tupleIpAttribute[`${family}${end}`], ipBytes(address));
}

function endpoint(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
