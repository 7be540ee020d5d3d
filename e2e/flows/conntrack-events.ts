/**
 * Reads the kernel's announcements of new connections: who connected to whom, and between whom the packets really go.
 *
 * Decoded here and not by the program's own netlink code, which these tests are to judge. The numbers are those of
 * linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { SocketAddress } from "node:net";
import {
  AF_NETLINK,
  bindSocket,
  openSocket,
  receiveDatagram,
  SOCK_RAW,
  sendDatagram,
  setReceiveBuffer,
} from "../harness/libc.ts";
import type { Namespace } from "../harness/namespace.ts";

/** One direction of a connection. Addresses are in their canonical form. */
export interface Tuple {
  readonly protocol: number;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

/** A connection as it was begun, and as answers to it come in. Where they differ, addresses are translated. */
export interface NewConnection {
  readonly original: Tuple;
  readonly reply: Tuple;
}

const NETLINK_NETFILTER = 12;
const NEW_CONNECTIONS_GROUP = 1 << 0;
const CONNTRACK_SUBSYSTEM = 1;
const CONNTRACK_NEW = 0;
const CONNTRACK_GET_STATS = 5;
const NLM_F_REQUEST = 1;
const HEADER_LENGTH = 16;
const NETFILTER_HEADER_LENGTH = 4;
/** Room for 20,000 unread events; the kernel counts some 800 bytes for each. */
const BUFFER_BYTES = 16 * 1024 * 1024;

type Attributes = ReadonlyMap<number, Buffer>;

function readAttributes(data: Buffer): Attributes {
  const attributes = new Map<number, Buffer>();
  for (let offset = 0; offset + 4 <= data.length; ) {
    const length = data.readUInt16LE(offset);
    if (length < 4) throw new RangeError(`Cannot decode conntrack event: an attribute of ${length} bytes`);
    // The two upper bits say "nested" and "network byte order"; nobody here needs to be told.
    attributes.set(data.readUInt16LE(offset + 2) & 0x3fff, data.subarray(offset + 4, offset + length));
    offset += (length + 3) & ~3;
  }
  return attributes;
}

function attribute(attributes: Attributes, type: number): Buffer {
  const value = attributes.get(type);
  if (value === undefined)
    throw new RangeError(`Cannot decode conntrack event: attribute ${type} is missing`);
  return value;
}

/** The text of an address of 4 or 16 bytes. */
function formatAddress(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return canonicalAddress(groups.join(":"));
}

/** An address as the kernel and the events write it: `fd00::1` for `FD00:0::01`. */
export function canonicalAddress(address: string): string {
  return new SocketAddress({ address, family: address.includes(":") ? "ipv6" : "ipv4" }).address;
}

function readTuple(data: Buffer): Tuple {
  const tuple = readAttributes(data);
  const addresses = readAttributes(attribute(tuple, 1));
  const ports = readAttributes(attribute(tuple, 2));
  const v4 = addresses.has(1);
  return {
    protocol: attribute(ports, 1).readUInt8(0),
    source: formatAddress(attribute(addresses, v4 ? 1 : 3)),
    // A protocol without ports (ICMP) has other attributes in their place.
    sourcePort: ports.get(2)?.readUInt16BE(0) ?? 0,
    destination: formatAddress(attribute(addresses, v4 ? 2 : 4)),
    destinationPort: ports.get(3)?.readUInt16BE(0) ?? 0,
  };
}

/** The new connections that a datagram of the kernel announces. Throws a RangeError when it does not decode. */
export function decodeEvents(datagram: Buffer): readonly NewConnection[] {
  const connections: NewConnection[] = [];
  for (let offset = 0; offset + HEADER_LENGTH <= datagram.length; ) {
    const length = datagram.readUInt32LE(offset);
    if (length < HEADER_LENGTH)
      throw new RangeError(`Cannot decode conntrack event: a message of ${length} bytes`);
    if (datagram.readUInt16LE(offset + 4) === ((CONNTRACK_SUBSYSTEM << 8) | CONNTRACK_NEW)) {
      const body = datagram.subarray(offset + HEADER_LENGTH + NETFILTER_HEADER_LENGTH, offset + length);
      const attributes = readAttributes(body);
      connections.push({
        original: readTuple(attribute(attributes, 1)),
        reply: readTuple(attribute(attributes, 2)),
      });
    }
    offset += (length + 3) & ~3;
  }
  return connections;
}

/** A `struct sockaddr_nl` for the kernel, or for this process with the groups that it joins. */
function netlinkAddress(groups: number): Buffer {
  const address = Buffer.alloc(12);
  address.writeUInt16LE(AF_NETLINK, 0);
  address.writeUInt32LE(groups, 8);
  return address;
}

/** Asks for conntrack's statistics. The answer is not a new connection, so `read` passes over it. */
function statisticsRequest(): Buffer {
  const message = Buffer.alloc(HEADER_LENGTH + NETFILTER_HEADER_LENGTH);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE((CONNTRACK_SUBSYSTEM << 8) | CONNTRACK_GET_STATS, 4);
  message.writeUInt16LE(NLM_F_REQUEST, 6);
  return message;
}

/** The new connections of one namespace, from the moment this is made. */
export class ConntrackEvents implements Disposable {
  readonly #descriptor: number;
  readonly #buffer: Buffer = Buffer.alloc(64 * 1024);

  constructor(namespace: Namespace) {
    this.#descriptor = namespace.enter(() => openSocket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER));
    setReceiveBuffer(this.#descriptor, BUFFER_BYTES);
    bindSocket(this.#descriptor, netlinkAddress(NEW_CONNECTIONS_GROUP));
    // Joining the group makes the kernel load the module that announces, but does not wait for it; a question does.
    sendDatagram(this.#descriptor, statisticsRequest(), netlinkAddress(0));
  }

  /** What has been announced and not yet read. Throws (ENOBUFS) when announcements were lost. */
  *read(): Generator<NewConnection> {
    for (;;) {
      const length = receiveDatagram(this.#descriptor, this.#buffer);
      if (length === undefined) return;
      yield* decodeEvents(this.#buffer.subarray(0, length));
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}
