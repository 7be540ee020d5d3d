/**
 * TCP segments by hand: reading those that a machine sends, and sending one that its own TCP never would.
 *
 * IPv4 only. Layouts of RFC 791 and RFC 9293.
 *
 * @module
 */
import { closeSync } from "node:fs";
import {
  AF_INET,
  addressBytes,
  openSocket,
  receiveDatagram,
  SOCK_RAW,
  sendDatagram,
  socketAddress,
} from "../harness/libc.ts";
import type { Namespace } from "../harness/namespace.ts";

const AF_PACKET = 17;
/** ETH_P_ALL in network order. */
const ALL_PROTOCOLS = 0x0300;
/** A raw socket that takes whole IP packets. */
const IPPROTO_RAW = 255;
const IPPROTO_TCP = 6;
const ETHERNET_HEADER = 14;
const ETHERTYPE_IPV4 = 0x0800;
const IP_HEADER = 20;
const TCP_HEADER = 20;
const ACK_PUSH = 0x18;

/** What is told and asked of a segment. */
export interface Segment {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgement: number;
}

/** The segments that pass a machine's interfaces. */
export class SegmentTap implements Disposable {
  readonly #socket: number;

  constructor(namespace: Namespace) {
    this.#socket = namespace.enter(() => openSocket(AF_PACKET, SOCK_RAW, ALL_PROTOCOLS));
  }

  /** The segments since the last call. */
  read(): readonly Segment[] {
    const segments: Segment[] = [];
    const frame = Buffer.alloc(65_536);
    for (let length = receiveDatagram(this.#socket, frame); length !== undefined; ) {
      const segment = parseFrame(frame.subarray(0, length));
      if (segment !== undefined) {
        segments.push(segment);
      }
      length = receiveDatagram(this.#socket, frame);
    }
    return segments;
  }

  [Symbol.dispose](): void {
    closeSync(this.#socket);
  }
}

/** Sends a segment with a few bytes of data, whatever connections the machine has. */
export function sendSegment(namespace: Namespace, segment: Segment): void {
  const socket = namespace.enter(() => openSocket(AF_INET, SOCK_RAW, IPPROTO_RAW));
  try {
    const errno = sendDatagram(socket, buildPacket(segment), socketAddress(segment.destination, 0));
    if (errno !== 0) {
      throw new Error(`Cannot send a segment to ${segment.destination}: errno ${errno}`);
    }
  } finally {
    closeSync(socket);
  }
}

function parseFrame(frame: Buffer): Segment | undefined {
  const packet = frame.subarray(ETHERNET_HEADER);
  if (
    packet.length < IP_HEADER + TCP_HEADER ||
    frame.readUInt16BE(ETHERNET_HEADER - 2) !== ETHERTYPE_IPV4 ||
    packet.readUInt8(9) !== IPPROTO_TCP
  ) {
    return undefined;
  }
  const tcp = packet.subarray((packet.readUInt8(0) & 0xf) * 4);
  return {
    source: packet.subarray(12, 16).join("."),
    destination: packet.subarray(16, 20).join("."),
    sourcePort: tcp.readUInt16BE(0),
    destinationPort: tcp.readUInt16BE(2),
    sequence: tcp.readUInt32BE(4),
    acknowledgement: tcp.readUInt32BE(8),
  };
}

function buildPacket(segment: Segment): Buffer {
  const data = Buffer.from("out of window\n");
  const tcp = Buffer.alloc(TCP_HEADER + data.length);
  tcp.writeUInt16BE(segment.sourcePort, 0);
  tcp.writeUInt16BE(segment.destinationPort, 2);
  tcp.writeUInt32BE(segment.sequence >>> 0, 4);
  tcp.writeUInt32BE(segment.acknowledgement >>> 0, 8);
  tcp.writeUInt8((TCP_HEADER / 4) << 4, 12);
  tcp.writeUInt8(ACK_PUSH, 13);
  tcp.writeUInt16BE(1_000, 14);
  data.copy(tcp, TCP_HEADER);
  const addresses = Buffer.concat([addressBytes(segment.source), addressBytes(segment.destination)]);
  const pseudoHeader = Buffer.concat([addresses, Buffer.from([0, IPPROTO_TCP, 0, tcp.length])]);
  tcp.writeUInt16BE(checksum(Buffer.concat([pseudoHeader, tcp])), 16);
  const ip = Buffer.alloc(IP_HEADER);
  ip.writeUInt8(0x45, 0);
  ip.writeUInt16BE(IP_HEADER + tcp.length, 2);
  ip.writeUInt8(64, 8);
  ip.writeUInt8(IPPROTO_TCP, 9);
  addresses.copy(ip, 12);
  // The kernel fills in the header's own checksum.
  return Buffer.concat([ip, tcp]);
}

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >>> 16);
  }
  return ~sum & 0xffff;
}
