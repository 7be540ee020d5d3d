/**
 * What a conversation needs of a socket: datagrams out, datagrams in, error numbers instead of exceptions.
 *
 * The real one is a netlink socket (`socket.ts`); tests put a fake kernel behind the same four members.
 *
 * @module
 */

/** A socket that is connected to the kernel and does not block. */
export interface Transport {
  /** The socket's own port id, unsigned. Answers carry it. */
  readonly port: number;
  /**
   * Sends one datagram. The kernel has handled it, and has the answers ready, when this returns.
   *
   * @returns 0, or a positive error number, and then nothing of the datagram was handled.
   */
  send(datagram: Uint8Array): number;
  /**
   * Receives one datagram.
   *
   * @returns Its full length, even if that is more than the buffer holds; or minus an error number: EAGAIN when
   *   nothing is waiting, ENOBUFS once after answers were thrown away, EBADF after `close`.
   */
  receive(buffer: Uint8Array): number;
  /** Closes the socket; once is enough, twice does no harm. */
  close(): void;
}
