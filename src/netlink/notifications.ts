/**
 * What the kernel reports by itself, delivered by the event loop: no polling, no thread.
 *
 * Edge. Node refuses to wait for a netlink socket, and a thread that blocks in a read would keep the process from
 * exiting. But Node does wait for one end of a socket pair, and what a descriptor stands for can be exchanged:
 * `dup3` puts the netlink socket in the place of that end before the event loop first looks at it. Every datagram then
 * arrives as one chunk.
 *
 * The netlink socket itself is kept beside its stand-in. When the kernel runs out of room the stand-in's stream ends
 * with ENOBUFS, and another takes its place on the same socket: nothing is missed in between, and the network namespace
 * stays the one in which the subscription was made.
 *
 * @module
 */
import { Socket } from "node:net";
import { isKernelError, KernelError, kernelErrorFromErrno } from "./kernel-error.ts";
import { lastErrno, libc } from "./libc.ts";
import { hostIsLittleEndian, MessageCursor, messageTypes, type NetlinkMessage, viewOf } from "./message.ts";
import { type NetlinkProtocol, openMulticastSocket } from "./socket.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const O_CLOEXEC = 0o2000000;

/** Room for a burst of tens of thousands of events while the event loop is busy. */
const defaultReceiveBytes = 8 * 1024 * 1024;

const operation = "receive netlink notifications";

/** What to listen to. */
export interface SubscriptionOptions {
  readonly protocol: NetlinkProtocol;
  /** Numbers of multicast groups: `routeGroups`, `nfGroups`. */
  readonly groups: readonly number[];
  /** How much may wait unread before notifications are thrown away. */
  readonly receiveBytes?: number;
}

/** Who is told. */
export interface SubscriptionHandlers {
  /** A notification; a window on bytes that are valid during the call. */
  readonly onMessage: (message: NetlinkMessage) => void;
  /** Notifications were thrown away: read the state again. The subscription goes on. */
  readonly onLost: () => void;
  /** The subscription has ended. */
  readonly onError: (error: KernelError) => void;
}

/**
 * Listens to multicast groups in the network namespace of the calling thread, until disposed of. The process stays
 * alive meanwhile.
 *
 * @throws {KernelError} No such group, or not permitted.
 */
export function subscribe(options: SubscriptionOptions, handlers: SubscriptionHandlers): Disposable {
  const { protocol, groups, receiveBytes = defaultReceiveBytes } = options;
  return new Subscription(openMulticastSocket(protocol, groups, receiveBytes), handlers);
}

class Subscription implements Disposable {
  readonly #descriptor: number;
  readonly #handlers: SubscriptionHandlers;
  #stream: Socket | undefined;
  #closed = false;

  /** @param descriptor A netlink socket, which the subscription owns from here on. */
  constructor(descriptor: number, handlers: SubscriptionHandlers) {
    this.#descriptor = descriptor;
    this.#handlers = handlers;
    try {
      this.#attach();
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stream?.destroy();
    libc.close(this.#descriptor);
  }

  /** Lets a new stream read from the netlink socket. */
  #attach(): void {
    const [standIn, other] = makeSocketPair();
    try {
      const stream = new Socket({ fd: standIn, readable: true, writable: false });
      stream.on("data", (chunk: Buffer) => this.#deliver(chunk));
      stream.on("error", (error: NodeJS.ErrnoException) => this.#recover(error));
      this.#stream = stream;
      // In the same turn of the event loop, or it would wait for the pair and not for the kernel.
      if (libc.dup3(this.#descriptor, standIn, O_CLOEXEC) < 0) {
        throw kernelErrorFromErrno(lastErrno(), operation);
      }
    } finally {
      libc.close(other);
    }
  }

  #deliver(datagram: Uint8Array): void {
    const cursor = new MessageCursor(datagram);
    while (!this.#closed && this.#advance(cursor)) this.#handlers.onMessage(cursor);
  }

  /** Moves to the next notification. One that does not decode is one that was lost. */
  #advance(cursor: MessageCursor): boolean {
    try {
      if (!cursor.next()) return false;
      if (cursor.type !== messageTypes.overrun) return true;
    } catch {
      // Not a matter for the caller to handle otherwise than a loss: the state must be read again.
    }
    this.#handlers.onLost();
    return false;
  }

  /** Goes on after an overflow, and ends after anything else. */
  #recover(error: NodeJS.ErrnoException): void {
    if (this.#closed) return;
    try {
      if (error.code !== "ENOBUFS") throw kernelErrorFromErrno(Math.abs(error.errno ?? 0), operation);
      this.#attach();
    } catch (cause) {
      this[Symbol.dispose]();
      this.#handlers.onError(
        isKernelError(cause)
          ? cause
          : new KernelError("rejected", operation, { detail: String(cause), cause }),
      );
      return;
    }
    this.#handlers.onLost();
  }
}

/** Two connected descriptors, not inherited by child processes. */
function makeSocketPair(): readonly [number, number] {
  const descriptors = new Uint8Array(8);
  if (libc.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, descriptors) < 0) {
    throw kernelErrorFromErrno(lastErrno(), "make a socket pair");
  }
  const view = viewOf(descriptors);
  return [view.getInt32(0, hostIsLittleEndian), view.getInt32(4, hostIsLittleEndian)];
}
