/**
 * The door to the kernel: requests in, replies out, over one netlink protocol.
 *
 * Everything above this file builds requests and decodes replies, and is pure; everything below it is bytes and
 * sockets. `conversation.ts` implements the door over any transport, so the fake kernel of the tests runs the same
 * code as the real one.
 *
 * @module
 */
import { type ErrnoCodes, isKernelError, type KernelError } from "./kernel-error.ts";
import type { NetlinkMessage } from "./message.ts";

/** One request. The connection adds the sequence number and the flags that ask for an answer. */
export interface NetlinkRequest {
  /** What is attempted, to be read after "Cannot" in an error: `add address 10.96.0.10/32 to interface 4`. */
  readonly operation: string;
  /** Message type: a command of the protocol's subsystem. */
  readonly type: number;
  /** Flags that qualify the command, such as `create`; `request`, `ack` and `dump` are the connection's affair. */
  readonly flags?: number;
  /** The subsystem's fixed header and the attributes. */
  readonly payload: Uint8Array;
  /** Error numbers that mean something else here than `kernel-error.ts` says. */
  readonly codes?: ErrnoCodes;
}

/** What became of one request. */
export interface NetlinkOutcome {
  /** Undefined when the kernel carried the request out. */
  readonly error: KernelError | undefined;
  /** Messages that answered it, copied: they stay valid. Empty for most changes. */
  readonly messages: readonly NetlinkMessage[];
  /** With an error: the payload of the request as the kernel sent it back, where it did. */
  readonly echo: Uint8Array | undefined;
}

/** A conversation with the kernel over one protocol, in the network namespace it was opened in. */
export interface NetlinkConnection extends Disposable {
  /**
   * Sends requests, several to a datagram, and waits for their answers, which the kernel has ready at once.
   *
   * The kernel handles them in order, and one that fails does not stop those after it. Never throws for what the
   * kernel answers: an outcome of code "lost" says that nobody knows, and that the state must be read back.
   *
   * @returns One outcome per request, in the order of the requests.
   * @throws {KernelError} "truncated" for an answer that does not decode.
   */
  transact(requests: readonly NetlinkRequest[]): readonly NetlinkOutcome[];

  /**
   * The same for long lists: takes the requests one batch at a time, so that they need not exist all at once, and lets
   * the event loop run in between.
   *
   * @param visit Called with each outcome and the place of its request. What it throws ends the work.
   * @throws {KernelError} "truncated" for an answer that does not decode.
   */
  transactEach(
    requests: Iterable<NetlinkRequest>,
    visit: (outcome: NetlinkOutcome, index: number) => void,
  ): Promise<void>;

  /**
   * Dumps a table, entry by entry, and lets the event loop run in between. Dumps of one connection run one after the
   * other; `transact` may be used meanwhile.
   *
   * @param visit Called for each message. The message is a window on the receive buffer and becomes invalid when
   *   `visit` returns. What it throws is thrown here, after the rest of the dump was read and thrown away.
   * @throws {KernelError} "busy" if the table changed meanwhile, after all messages were visited: they may miss or
   *   repeat entries.
   */
  dump(request: NetlinkRequest, visit: (message: NetlinkMessage) => void): Promise<void>;
}

/**
 * Sends one request.
 *
 * @returns The messages that answered it.
 * @throws {KernelError} What the kernel answered.
 */
export function transactOne(
  connection: NetlinkConnection,
  request: NetlinkRequest,
): readonly NetlinkMessage[] {
  const [outcome] = connection.transact([request]);
  if (outcome === undefined)
    throw new TypeError(`Cannot ${request.operation}: the connection gave no outcome`);
  if (outcome.error !== undefined) throw outcome.error;
  return outcome.messages;
}

/** How often a dump that was interrupted by a change is repeated before the caller hears of it. */
const dumpAttempts = 5;

/**
 * Dumps a table into a list, again and again until no change interrupted it.
 *
 * @param decode The entry in a message, or undefined to leave it out.
 * @throws {KernelError} "busy" if the table changed during each of five attempts.
 */
export async function collectDump<Entry>(
  connection: NetlinkConnection,
  request: NetlinkRequest,
  decode: (message: NetlinkMessage) => Entry | undefined,
): Promise<Entry[]> {
  for (let attempt = 1; ; attempt++) {
    const entries: Entry[] = [];
    try {
      await connection.dump(request, (message) => {
        const entry = decode(message);
        if (entry !== undefined) entries.push(entry);
      });
      return entries;
    } catch (error) {
      if (!isKernelError(error, "busy") || attempt === dumpAttempts) throw error;
    }
  }
}
