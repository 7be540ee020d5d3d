/**
 * Follows one dump to its end.
 *
 * It is told what arrived, hands the dump's messages to the visitor, and says at the end what went wrong. A failure
 * does not end it: the rest of the dump has to be read before the socket can be used again, so messages are taken and
 * thrown away until the last one.
 *
 * Invariants
 * - A message counts only with the dump's sequence number **and** the port id of our own socket.
 * - What is thrown is the first thing that went wrong; that the table changed meanwhile comes last.
 *
 * @module
 */
import { decodeAcknowledgement, decodeDone } from "./acknowledgement.ts";
import type { NetlinkRequest } from "./connection.ts";
import { KernelError, kernelErrorFromErrno } from "./kernel-error.ts";
import { type MessageCursor, messageFlags, messageTypes, type NetlinkMessage } from "./message.ts";

/** What has been seen of a dump, and the first thing that went wrong with it. */
export class DumpProgress {
  readonly #request: NetlinkRequest;
  readonly #sequence: number;
  readonly #port: number;
  readonly #visit: (message: NetlinkMessage) => void;
  #failure: { readonly error: unknown } | undefined;
  #interrupted = false;
  #ended = false;

  constructor(
    request: NetlinkRequest,
    sequence: number,
    port: number,
    visit: (message: NetlinkMessage) => void,
  ) {
    this.#request = request;
    this.#sequence = sequence;
    this.#port = port;
    this.#visit = visit;
  }

  /** True once the dump's last message was seen. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Part of the dump, or its end, will never be seen. */
  markLost(detail: string): void {
    this.#fail(new KernelError("lost", this.#request.operation, { detail }));
  }

  /** Takes a datagram that was received into the cursor's buffer, of this many bytes. */
  acceptDatagram(cursor: MessageCursor, length: number, capacity: number): void {
    try {
      if (length > capacity) throw cutDatagram(length, capacity, this.#request.operation);
      cursor.rewind(length);
      while (!this.#ended && cursor.next()) this.#accept(cursor);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @throws What went wrong: the visitor's own error, the kernel's, or "busy" for a table that changed. */
  finish(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#interrupted) {
      const detail = "the table changed while it was read";
      throw new KernelError("busy", this.#request.operation, { detail });
    }
  }

  /** Only the first failure counts: later ones follow from it. */
  #fail(error: unknown): void {
    this.#failure ??= { error };
  }

  #accept(message: MessageCursor): void {
    if (message.sequence !== this.#sequence || message.port !== this.#port) return;
    // The kernel flags only the first message after the change, not the rest and not the end.
    if ((message.flags & messageFlags.dumpInterrupted) !== 0) this.#interrupted = true;
    switch (message.type) {
      case messageTypes.noop:
        return;
      case messageTypes.overrun:
        this.markLost("the kernel ran out of room");
        return;
      case messageTypes.error:
      case messageTypes.done:
        this.#acceptEnd(message);
        return;
      default:
        if (this.#failure === undefined) this.#visit(message);
    }
  }

  #acceptEnd(message: MessageCursor): void {
    this.#ended = true;
    const { errno, text } =
      message.type === messageTypes.done ? decodeDone(message) : decodeAcknowledgement(message);
    if (errno === 0) return;
    const { operation, codes } = this.#request;
    this.#fail(kernelErrorFromErrno(errno, operation, { codes, extendedAck: text }));
  }
}

/** The error for a datagram that was longer than the buffer it was received into. */
export function cutDatagram(length: number, capacity: number, operation: string): KernelError {
  return new KernelError("truncated", operation, {
    detail: `a datagram of ${length} bytes, room for ${capacity}`,
  });
}
