/**
 * Netlink messages: writing them into a datagram, and walking through the datagrams that come back.
 *
 * Pure. A message is never copied while it is read: `NetlinkMessage` is a window on the bytes it arrived in, so that
 * a dump of a million entries allocates nothing per entry.
 *
 * Invariants
 * - Every length is checked before anything is read behind it. A message whose length passes the end of its datagram
 *   was cut on the way: that is a `KernelError` "truncated", never a shorter message.
 * - Headers are in host byte order; what is inside a payload is the subsystem's affair.
 *
 * Layout: nlmsghdr of linux/netlink.h, see also netlink(7).
 *
 * @module
 */
import { KernelError } from "./kernel-error.ts";

/** Host byte order, which is what netlink's own headers are in: the second argument of `DataView`'s methods. */
export const hostIsLittleEndian: boolean = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Bytes of a message header. */
export const messageHeaderLength = 16;

/** Message types that belong to netlink itself. Those of a subsystem begin at 16. */
export const messageTypes = { noop: 1, error: 2, done: 3, overrun: 4 } as const;

/** Bits of a message's flags. What a bit means depends on the kind of message. */
export const messageFlags = {
  request: 0x001,
  multi: 0x002,
  ack: 0x004,
  /** The table changed while it was dumped: entries may be missing or twice there. */
  dumpInterrupted: 0x010,
  /** The kernel applied the filter of the dump request. */
  dumpFiltered: 0x020,
  /** On a request to read: all of them. */
  dump: 0x300,
  /** On a request to add: overwrite what is there. */
  replace: 0x100,
  /** On a request to add: fail if it is there. */
  exclusive: 0x200,
  /** On a request to add: make it if it is not there. */
  create: 0x400,
  /** On an error: the request is not repeated behind its header. */
  capped: 0x100,
  /** On an error or the end of a dump: attributes of the extended acknowledgement follow. */
  extendedAck: 0x200,
} as const;

/** A message as it arrived: a window on bytes that may be overwritten as soon as the reader returns. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  /** Number of the request that this answers; 0 for most notifications. */
  readonly sequence: number;
  /** Port id of the socket that asked, unsigned. */
  readonly port: number;
  /** The bytes around the payload. Offsets below count from its beginning. */
  readonly view: DataView;
  /** First byte of the payload. */
  readonly start: number;
  /** First byte behind the payload. */
  readonly end: number;
}

/** What `writeMessage` puts before the payload. */
export interface MessageHeader {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly port: number;
}

/** The next multiple of four: messages and attributes begin there. */
export function align(length: number): number {
  return (length + 3) & ~3;
}

/** Bytes that a message with a payload of this length takes in a datagram, padding included. */
export function messageSize(payloadLength: number): number {
  return align(messageHeaderLength + payloadLength);
}

/**
 * Writes one message and its padding.
 *
 * @returns The offset behind it, where the next message of the same datagram goes.
 * @throws {RangeError} The message does not fit.
 */
export function writeMessage(
  target: Uint8Array,
  offset: number,
  header: MessageHeader,
  payload: Uint8Array,
): number {
  const length = messageHeaderLength + payload.length;
  const end = offset + align(length);
  if (end > target.length) {
    throw new RangeError(`Cannot write a message of ${length} bytes: ${target.length - offset} are left`);
  }
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  view.setUint32(offset, length, hostIsLittleEndian);
  view.setUint16(offset + 4, header.type, hostIsLittleEndian);
  view.setUint16(offset + 6, header.flags, hostIsLittleEndian);
  view.setUint32(offset + 8, header.sequence, hostIsLittleEndian);
  view.setUint32(offset + 12, header.port, hostIsLittleEndian);
  target.set(payload, offset + messageHeaderLength);
  target.fill(0, offset + length, end);
  return end;
}

/**
 * Walks through the messages of one datagram after the other.
 *
 * The cursor is itself the message it stands on, so walking allocates nothing. Use: `rewind(length)` for each datagram
 * read into the buffer, then `while (cursor.next())`.
 */
export class MessageCursor implements NetlinkMessage {
  readonly view: DataView;
  type = 0;
  flags = 0;
  sequence = 0;
  port = 0;
  start = 0;
  end = 0;
  #position = 0;
  #limit = 0;

  /** @param bytes The buffer that datagrams are read into; its whole length is the first datagram. */
  constructor(bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#limit = bytes.length;
  }

  /** Stands before the first message of a datagram of this length. */
  rewind(length: number): void {
    this.#position = 0;
    this.#limit = length;
  }

  /**
   * Moves to the next message. False at the end of the datagram.
   *
   * @throws {KernelError} "truncated" if what follows is not a whole message.
   */
  next(): boolean {
    const position = this.#position;
    const left = this.#limit - position;
    if (left <= 0) return false;
    if (left < messageHeaderLength) throw truncated(`${left} bytes are left of a message header`);
    const length = this.view.getUint32(position, hostIsLittleEndian);
    if (length < messageHeaderLength || length > left) {
      throw truncated(`the message claims ${length} bytes, ${left} are left`);
    }
    this.type = this.view.getUint16(position + 4, hostIsLittleEndian);
    this.flags = this.view.getUint16(position + 6, hostIsLittleEndian);
    this.sequence = this.view.getUint32(position + 8, hostIsLittleEndian);
    this.port = this.view.getUint32(position + 12, hostIsLittleEndian);
    this.start = position + messageHeaderLength;
    this.end = position + length;
    this.#position = position + align(length);
    return true;
  }
}

/** A copy of a message that stays valid when the buffer it arrived in is used again. */
export function copyMessage(message: NetlinkMessage): NetlinkMessage {
  const { type, flags, sequence, port } = message;
  const bytes = payloadOf(message).slice();
  return { type, flags, sequence, port, view: viewOf(bytes), start: 0, end: bytes.length };
}

/** The payload of a message, sharing its memory. */
export function payloadOf(message: Pick<NetlinkMessage, "view" | "start" | "end">): Uint8Array {
  const { view, start, end } = message;
  return new Uint8Array(view.buffer, view.byteOffset + start, end - start);
}

/** The `DataView` of a byte array, sharing its memory. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function truncated(detail: string): KernelError {
  return new KernelError("truncated", "read a netlink datagram", { detail });
}
