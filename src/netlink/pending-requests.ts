/**
 * Matches the answers to a batch of requests.
 *
 * Pure state: it is told what was sent and what arrived, and says what became of each request. Only the last request
 * of a batch asks for an acknowledgement. Errors are reported unasked, and the kernel handles requests in order, so
 * the answer to the last one also means that every earlier one without an error was carried out: one acknowledgement
 * for hundreds of requests in place of one each, which would fill the receive buffer.
 *
 * Invariants
 * - An answer counts only with a sequence number of this batch **and** the port id of our own socket. Anything else is
 *   left over from an exchange that was given up.
 * - After a loss, silence proves nothing any more: what was not answered is "lost".
 *
 * @module
 */
import { decodeAcknowledgement, decodeDone } from "./acknowledgement.ts";
import type { NetlinkOutcome, NetlinkRequest } from "./connection.ts";
import { KernelError, kernelErrorFromErrno } from "./kernel-error.ts";
import { copyMessage, messageTypes, type NetlinkMessage, payloadOf } from "./message.ts";

/** The requests of one datagram, numbered in a row, and what is known of their answers. */
export class PendingRequests {
  readonly #requests: readonly NetlinkRequest[];
  readonly #firstSequence: number;
  readonly #port: number;
  readonly #errors = new Map<number, Pick<NetlinkOutcome, "error" | "echo">>();
  readonly #messages = new Map<number, NetlinkMessage[]>();
  readonly #acknowledged = new Set<number>();
  #lost = false;

  constructor(requests: readonly NetlinkRequest[], firstSequence: number, port: number) {
    this.#requests = requests;
    this.#firstSequence = firstSequence;
    this.#port = port;
  }

  /** True once the last request was answered and nothing is known to be lost. */
  get complete(): boolean {
    return !this.#lost && this.#answered(this.#requests.length - 1);
  }

  /** Answers were thrown away, or the last one never came. */
  markLost(): void {
    this.#lost = true;
  }

  /**
   * Takes a message that arrived on the socket.
   *
   * @throws {KernelError} "truncated" if it is an answer that does not decode.
   */
  accept(message: NetlinkMessage): void {
    const index = message.sequence - this.#firstSequence;
    const request = this.#requests[index];
    if (request === undefined || message.port !== this.#port) return;
    switch (message.type) {
      case messageTypes.noop:
        return;
      case messageTypes.overrun:
        this.#lost = true;
        return;
      case messageTypes.error:
      case messageTypes.done:
        this.#acceptEnd(index, request, message);
        return;
      default: {
        const messages = this.#messages.get(index);
        if (messages === undefined) this.#messages.set(index, [copyMessage(message)]);
        else messages.push(copyMessage(message));
      }
    }
  }

  /** What became of each request, in order. */
  outcomes(): NetlinkOutcome[] {
    return this.#requests.map((request, index) => {
      const messages = this.#messages.get(index) ?? [];
      const failure = this.#errors.get(index);
      if (failure !== undefined) return { ...failure, messages };
      if (this.#lost && !this.#answered(index)) {
        const detail = "the answer was lost, it is not known whether it was done";
        return { error: new KernelError("lost", request.operation, { detail }), echo: undefined, messages };
      }
      return { error: undefined, echo: undefined, messages };
    });
  }

  #acceptEnd(index: number, request: NetlinkRequest, message: NetlinkMessage): void {
    const end = message.type === messageTypes.done ? decodeDone(message) : decodeAcknowledgement(message);
    if (end.errno === 0) {
      this.#acknowledged.add(index);
      return;
    }
    const error = kernelErrorFromErrno(end.errno, request.operation, {
      codes: request.codes,
      extendedAck: end.text,
    });
    const echo = end.echo === undefined ? undefined : payloadOf({ view: message.view, ...end.echo }).slice();
    this.#errors.set(index, { error, echo });
  }

  #answered(index: number): boolean {
    return this.#acknowledged.has(index) || this.#errors.has(index);
  }
}
