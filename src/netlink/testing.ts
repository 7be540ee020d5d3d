/**
 * A kernel made of a function, for tests: requests go in, replies come out.
 *
 * The function gets each request decoded and says what to answer; numbering, acknowledgements, datagrams and the end
 * of dumps are added here, and read back by the same `Conversation` that talks to the real kernel. What is tested on
 * top therefore crosses real bytes. `testing-route.ts`, `testing-ipset.ts` and `testing-conntrack.ts` have such
 * functions with a memory; they pass the suites of `testing-contract.ts`, as the real kernel does.
 *
 * @module
 */

import { AttributeWriter } from "./attribute-writer.ts";
import type { NetlinkConnection, NetlinkRequest } from "./connection.ts";
import { Conversation } from "./conversation.ts";
import { errnos } from "./kernel-error.ts";
import {
  hostIsLittleEndian,
  MessageCursor,
  messageFlags,
  messageSize,
  messageTypes,
  type NetlinkMessage,
  payloadOf,
  viewOf,
  writeMessage,
} from "./message.ts";
import type { Transport } from "./transport.ts";

/** A request as the fake kernel gets it. */
export interface FakeRequest {
  readonly type: number;
  readonly flags: number;
  readonly payload: Uint8Array;
  /** True if the request came by `dump`. */
  readonly dump: boolean;
}

/** What the fake kernel answers. An error ends the answer; messages before it are delivered. */
export type FakeReply =
  | { readonly type: number; readonly payload: Uint8Array; readonly flags?: number }
  | {
      readonly errno: number;
      /** Text of the extended acknowledgement. */
      readonly text?: string;
      /** The request's payload, sent back as ipset does. */
      readonly echo?: Uint8Array;
    };

/** From request to replies. */
export type FakeKernel = (request: FakeRequest) => readonly FakeReply[];

/** How the fake transport behaves. */
export interface FakeOptions {
  /** Messages of a dump that share a datagram. */
  readonly messagesPerDatagram?: number;
  /** Datagrams that may wait on the socket for requests before answers are thrown away, as with a full buffer. */
  readonly room?: number;
}

/** A connection to a fake kernel. */
export function fakeConnection(kernel: FakeKernel, options: FakeOptions = {}): NetlinkConnection {
  return new Conversation({
    requests: new FakeTransport(kernel, false, options),
    dumps: new FakeTransport(kernel, true, options),
    pause: () => new Promise((resolve) => setImmediate(resolve)),
  });
}

/**
 * The same kernel, but some requests fail and change nothing.
 *
 * @param fault The error number for a request that is to fail, else undefined.
 */
export function faultyKernel(
  kernel: FakeKernel,
  fault: (request: FakeRequest) => number | undefined,
): FakeKernel {
  return (request) => {
    const errno = fault(request);
    return errno === undefined ? kernel(request) : [{ errno }];
  };
}

/** Lays messages out in one datagram, as a socket would deliver them. */
export function datagramOf(messages: readonly FakeMessage[]): Uint8Array {
  const size = messages.reduce((sum, { payload }) => sum + messageSize(payload.length), 0);
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const { payload, ...header } of messages) offset = writeMessage(bytes, offset, header, payload);
  return bytes;
}

/** A message with all that its header says. */
export interface FakeMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly port: number;
  readonly payload: Uint8Array;
}

/** A message to hand to a decoder; what the header says is of no interest unless given. */
export function messageOf(
  type: number,
  payload: Uint8Array,
  header: { readonly flags?: number; readonly sequence?: number; readonly port?: number } = {},
): NetlinkMessage {
  const { flags = 0, sequence = 1, port = 1 } = header;
  return { type, flags, sequence, port, view: viewOf(payload), start: 0, end: payload.length };
}

/** The bytes of a request that is sent alone, as a capture would show them. */
export function requestBytes(
  request: NetlinkRequest,
  options: { readonly sequence: number; readonly dump?: boolean },
): Uint8Array {
  const { sequence, dump = false } = options;
  const { type, payload } = request;
  const flags = (request.flags ?? 0) | messageFlags.request | (dump ? messageFlags.dump : messageFlags.ack);
  return datagramOf([{ type, flags, sequence, port: 0, payload }]);
}

/** Bytes from hex digits; white space is ignored, so that fixtures can be laid out by field. */
export function hexBytes(hex: string): Uint8Array {
  const digits = hex.replace(/\s+/g, "");
  if (!/^([0-9a-f]{2})*$/.test(digits))
    throw new RangeError(`Cannot read ${JSON.stringify(hex)} as hex digits`);
  return Uint8Array.from(digits.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

/** An error message's payload: number, the request's header, then the request's payload or none, then the text. */
export function errorPayload(
  errno: number,
  request: { readonly type: number; readonly flags: number; readonly sequence: number },
  extras: { readonly text?: string; readonly echo?: Uint8Array } = {},
): Uint8Array {
  const echo = extras.echo ?? new Uint8Array(0);
  const header = new Uint8Array(messageSize(echo.length));
  writeMessage(header, 0, { ...request, port: 0 }, echo);
  const head = new Uint8Array(4 + header.length);
  viewOf(head).setInt32(0, -errno, hostIsLittleEndian);
  head.set(header, 4);
  const writer = new AttributeWriter(head);
  if (extras.text !== undefined) writer.string(1, extras.text);
  return writer.finish();
}

class FakeTransport implements Transport {
  /** Looks negative to code that takes it for a signed number, as real ones often do. */
  readonly port = 0xc000_0001;
  readonly #kernel: FakeKernel;
  readonly #dump: boolean;
  readonly #perDatagram: number;
  readonly #room: number;
  #waiting: Uint8Array[] = [];
  #overflowed = false;
  #closed = false;

  constructor(kernel: FakeKernel, dump: boolean, options: FakeOptions) {
    this.#kernel = kernel;
    this.#dump = dump;
    this.#perDatagram = options.messagesPerDatagram ?? 3;
    // A dump waits until there is room, so it never overflows.
    this.#room = dump ? Number.POSITIVE_INFINITY : (options.room ?? Number.POSITIVE_INFINITY);
  }

  send(datagram: Uint8Array): number {
    if (this.#closed) return errnos.EBADF;
    const cursor = new MessageCursor(datagram.slice());
    while (cursor.next()) this.#handle(cursor);
    return 0;
  }

  receive(buffer: Uint8Array): number {
    if (this.#closed) return -errnos.EBADF;
    if (this.#overflowed) {
      this.#overflowed = false;
      return -errnos.ENOBUFS;
    }
    const datagram = this.#waiting.shift();
    if (datagram === undefined) return -errnos.EAGAIN;
    buffer.set(datagram.subarray(0, buffer.length));
    return datagram.length;
  }

  close(): void {
    this.#closed = true;
    this.#waiting = [];
  }

  #handle(request: NetlinkMessage): void {
    if (this.#dump && this.#waiting.length > 0) {
      this.#answerError(request, { errno: errnos.EBUSY });
      return;
    }
    const { type, flags } = request;
    const messages: FakeMessage[] = [];
    let failure: Extract<FakeReply, { errno: number }> | undefined;
    for (const reply of this.#kernel({ type, flags, payload: payloadOf(request), dump: this.#dump })) {
      if ("errno" in reply) {
        failure = reply;
        break;
      }
      const replyFlags = (reply.flags ?? 0) | (this.#dump ? messageFlags.multi : 0);
      messages.push(this.#message(request, reply.type, replyFlags, reply.payload));
    }
    if (this.#dump) this.#answerDump(request, messages, failure);
    else this.#answerRequest(request, messages, failure);
  }

  #answerRequest(
    request: NetlinkMessage,
    messages: readonly FakeMessage[],
    failure: Extract<FakeReply, { errno: number }> | undefined,
  ): void {
    for (const message of messages) this.#deliver([message]);
    if (failure !== undefined) this.#answerError(request, failure);
    else if ((request.flags & messageFlags.ack) !== 0) this.#answerError(request, { errno: 0 });
  }

  #answerDump(
    request: NetlinkMessage,
    messages: readonly FakeMessage[],
    failure: Extract<FakeReply, { errno: number }> | undefined,
  ): void {
    if (failure !== undefined && messages.length === 0) {
      this.#answerError(request, failure);
      return;
    }
    const status = new Uint8Array(4);
    viewOf(status).setInt32(0, -(failure?.errno ?? 0), hostIsLittleEndian);
    const all = [...messages, this.#message(request, messageTypes.done, messageFlags.multi, status)];
    for (let from = 0; from < all.length; from += this.#perDatagram) {
      this.#deliver(all.slice(from, from + this.#perDatagram));
    }
  }

  #answerError(request: NetlinkMessage, failure: Extract<FakeReply, { errno: number }>): void {
    const { errno, text, echo } = failure;
    const flags =
      (echo === undefined ? messageFlags.capped : 0) | (text === undefined ? 0 : messageFlags.extendedAck);
    const payload = errorPayload(errno, request, {
      ...(text === undefined ? {} : { text }),
      ...(echo === undefined ? {} : { echo }),
    });
    this.#deliver([this.#message(request, messageTypes.error, flags, payload)]);
  }

  #message(request: NetlinkMessage, type: number, flags: number, payload: Uint8Array): FakeMessage {
    return { type, flags, sequence: request.sequence, port: this.port, payload };
  }

  #deliver(messages: readonly FakeMessage[]): void {
    if (this.#waiting.length >= this.#room) this.#overflowed = true;
    else this.#waiting.push(datagramOf(messages));
  }
}
