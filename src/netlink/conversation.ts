/**
 * The netlink protocol over a pair of transports: numbering, batching, acknowledgements, dumps.
 *
 * Two sockets, because a socket runs one dump at a time and mixes its messages with the answers to requests: with one
 * for each, a change can be made while a table is being read. Both are opened together, since a socket belongs for
 * ever to the network namespace in which it was made.
 *
 * Invariants
 * - Sequence numbers never repeat within a conversation until they wrap, and skip 0, which notifications carry.
 * - Nothing waits for the kernel: it handles a request inside `send` and continues a dump inside `receive`, so "nothing
 *   there" before the end means that an answer was lost.
 * - A dump that was begun is read to its end even when its visitor has failed: the socket refuses the next dump before.
 *
 * @module
 */
import type { NetlinkConnection, NetlinkOutcome, NetlinkRequest } from "./connection.ts";
import { cutDatagram, DumpProgress } from "./dump-progress.ts";
import { errnos, type KernelError, kernelErrorFromErrno } from "./kernel-error.ts";
import { MessageCursor, messageFlags, messageSize, type NetlinkMessage, writeMessage } from "./message.ts";
import { PendingRequests } from "./pending-requests.ts";
import type { Transport } from "./transport.ts";

/** Larger than any datagram of the kernel: dumps come in 32 KiB, ipset repeats requests of up to 64 KiB. */
const receiveBufferBytes = 128 * 1024;

/** A datagram of requests. More per datagram was not faster, and the answers must fit the receive buffer. */
const batchBytes = 64 * 1024;
const batchRequests = 400;

/** Datagrams of a dump (about 130 conntrack entries each) between two turns of the event loop: 2 ms of work. */
const datagramsPerTurn = 8;

/** Full batches of requests between two turns of the event loop: 2 to 5 ms of work. */
const batchesPerTurn = 2;

const largestSequence = 0xffff_ffff;

/** What a conversation is made of. */
export interface ConversationParts {
  readonly requests: Transport;
  readonly dumps: Transport;
  /** Lets the event loop run. */
  readonly pause: () => Promise<void>;
  /** Number of the first request; 1 by default. */
  readonly firstSequence?: number;
}

/** A connection over any transport. It owns the transports and closes them with itself. */
export class Conversation implements NetlinkConnection {
  readonly #requests: Transport;
  readonly #dumps: Transport;
  readonly #pause: () => Promise<void>;
  readonly #requestBuffer = new Uint8Array(receiveBufferBytes);
  readonly #dumpBuffer = new Uint8Array(receiveBufferBytes);
  #sendBuffer = new Uint8Array(batchBytes);
  #nextSequence: number;
  #lastDump: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(parts: ConversationParts) {
    this.#requests = parts.requests;
    this.#dumps = parts.dumps;
    this.#pause = parts.pause;
    this.#nextSequence = parts.firstSequence ?? 1;
  }

  transact(requests: readonly NetlinkRequest[]): readonly NetlinkOutcome[] {
    this.#assertOpen();
    const outcomes: NetlinkOutcome[] = [];
    for (let from = 0; from < requests.length; ) {
      const to = batchEnd(requests, from);
      outcomes.push(...this.#exchange(requests.slice(from, to)));
      from = to;
    }
    return outcomes;
  }

  async transactEach(
    requests: Iterable<NetlinkRequest>,
    visit: (outcome: NetlinkOutcome, index: number) => void,
  ): Promise<void> {
    let index = 0;
    let turn: NetlinkRequest[] = [];
    let bytes = 0;
    const flush = (): void => {
      for (const outcome of this.transact(turn)) visit(outcome, index++);
      turn = [];
      bytes = 0;
    };
    for (const request of requests) {
      turn.push(request);
      bytes += messageSize(request.payload.length);
      if (turn.length < batchesPerTurn * batchRequests && bytes < batchesPerTurn * batchBytes) continue;
      flush();
      await this.#pause();
    }
    flush();
  }

  dump(request: NetlinkRequest, visit: (message: NetlinkMessage) => void): Promise<void> {
    const dump = this.#lastDump.then(() => this.#runDump(request, visit));
    this.#lastDump = dump.catch(() => undefined);
    return dump;
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#requests.close();
    this.#dumps.close();
  }

  /** Sends one datagram of requests and reads until the last of them is answered. */
  #exchange(requests: readonly NetlinkRequest[]): NetlinkOutcome[] {
    const first = this.#claimSequences(requests.length);
    const sendErrno = this.#requests.send(this.#encode(requests, first));
    if (sendErrno !== 0) {
      return requests.map(({ operation }) => ({
        error: notSent(sendErrno, operation),
        messages: [],
        echo: undefined,
      }));
    }
    const pending = new PendingRequests(requests, first, this.#requests.port);
    const cursor = new MessageCursor(this.#requestBuffer);
    while (!pending.complete) {
      const length = this.#requests.receive(this.#requestBuffer);
      if (length === -errnos.EINTR) continue;
      if (length === -errnos.EAGAIN) {
        pending.markLost();
        break;
      }
      if (length === -errnos.ENOBUFS) {
        pending.markLost();
        continue;
      }
      cursor.rewind(checkedLength(length, this.#requestBuffer, "receive the answers to requests"));
      while (cursor.next()) pending.accept(cursor);
    }
    return pending.outcomes();
  }

  async #runDump(request: NetlinkRequest, visit: (message: NetlinkMessage) => void): Promise<void> {
    this.#assertOpen();
    const sequence = this.#claimSequences(1);
    const header = { type: request.type, flags: dumpFlags(request), sequence, port: 0 };
    const datagram = new Uint8Array(messageSize(request.payload.length));
    writeMessage(datagram, 0, header, request.payload);
    const sendErrno = this.#dumps.send(datagram);
    if (sendErrno !== 0) throw notSent(sendErrno, request.operation);

    const progress = new DumpProgress(request, sequence, this.#dumps.port, visit);
    const cursor = new MessageCursor(this.#dumpBuffer);
    for (let datagrams = 1; !progress.ended; datagrams++) {
      const length = this.#dumps.receive(this.#dumpBuffer);
      if (length === -errnos.EINTR) continue;
      if (length === -errnos.ENOBUFS) progress.markLost("the kernel ran out of room");
      else if (length < 0) {
        progress.markLost(this.#closed ? "the connection was closed" : "its end never came");
        break;
      } else progress.acceptDatagram(cursor, length, this.#dumpBuffer.length);
      if (datagrams % datagramsPerTurn === 0) await this.#pause();
    }
    progress.finish();
  }

  /** Lays the requests out in the send buffer. */
  #encode(requests: readonly NetlinkRequest[], firstSequence: number): Uint8Array {
    const size = requests.reduce((sum, { payload }) => sum + messageSize(payload.length), 0);
    if (size > this.#sendBuffer.length) this.#sendBuffer = new Uint8Array(size);
    let offset = 0;
    requests.forEach((request, index) => {
      const ack = index === requests.length - 1 ? messageFlags.ack : 0;
      const flags = (request.flags ?? 0) | messageFlags.request | ack;
      const header = { type: request.type, flags, sequence: firstSequence + index, port: 0 };
      offset = writeMessage(this.#sendBuffer, offset, header, request.payload);
    });
    return this.#sendBuffer.subarray(0, offset);
  }

  /** Numbers in a row, so that an answer's number gives its place in the batch. */
  #claimSequences(count: number): number {
    if (this.#nextSequence + count > largestSequence) this.#nextSequence = 1;
    const first = this.#nextSequence;
    this.#nextSequence += count;
    return first;
  }

  #assertOpen(): void {
    if (this.#closed) throw new TypeError("Cannot use a netlink connection that is closed");
  }
}

/** Where the batch that begins at `from` ends: at least one request, even one that is larger than a batch. */
function batchEnd(requests: readonly NetlinkRequest[], from: number): number {
  let bytes = 0;
  const limit = Math.min(requests.length, from + batchRequests);
  for (let index = from; index < limit; index++) {
    bytes += messageSize(requests[index]?.payload.length ?? 0);
    if (bytes > batchBytes && index > from) return index;
  }
  return limit;
}

function dumpFlags(request: NetlinkRequest): number {
  // No ack: a dump is ended by its own message, and ipset would answer a dump that fails twice.
  return (request.flags ?? 0) | messageFlags.request | messageFlags.dump;
}

/** Nothing was handled, so unlike a lost answer this is safe to repeat. */
function notSent(errno: number, operation: string): KernelError {
  return kernelErrorFromErrno(errno, operation, { codes: { [errnos.ENOBUFS]: "busy" } });
}

/** The length of a datagram that arrived whole. */
function checkedLength(length: number, buffer: Uint8Array, operation: string): number {
  if (length < 0) throw kernelErrorFromErrno(-length, operation);
  if (length > buffer.length) throw cutDatagram(length, buffer.length, operation);
  return length;
}
