/**
 * The calls into the C library that Node has no counterpart for: sockets of the netlink family, and the descriptor
 * juggling of notifications.
 *
 * Edge. Through koffi, which costs less than a microsecond a call; a native addon of our own was measured and is not
 * faster. Only calls cross here: everything that is encoded or decoded is bytes made in TypeScript, so nothing of
 * koffi's type system is used beyond numbers and pointers to those bytes. Symbols are looked up in the running program,
 * whose C library is already there, so neither glibc's nor musl's file name matters.
 *
 * @module
 */
import koffi from "koffi";

/** Thin signatures: descriptors and lengths as numbers, memory as byte arrays. Each returns −1 on failure. */
export interface Libc {
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly socketpair: (domain: number, type: number, protocol: number, descriptors: Uint8Array) => number;
  readonly connect: (descriptor: number, address: Uint8Array, length: number) => number;
  readonly getsockname: (descriptor: number, address: Uint8Array, length: Uint8Array) => number;
  readonly setsockopt: (
    descriptor: number,
    level: number,
    option: number,
    value: Uint8Array,
    length: number,
  ) => number;
  readonly send: (descriptor: number, bytes: Uint8Array, length: number, flags: number) => number;
  readonly recv: (descriptor: number, bytes: Uint8Array, length: number, flags: number) => number;
  readonly dup3: (from: number, to: number, flags: number) => number;
  readonly close: (descriptor: number) => number;
}

const program = koffi.load(null);

/** The C library of this process. */
export const libc: Libc = {
  socket: program.func("int socket(int, int, int)"),
  socketpair: program.func("int socketpair(int, int, int, void *)"),
  connect: program.func("int connect(int, void *, unsigned int)"),
  getsockname: program.func("int getsockname(int, void *, void *)"),
  setsockopt: program.func("int setsockopt(int, int, int, void *, unsigned int)"),
  send: program.func("long send(int, void *, size_t, int)"),
  recv: program.func("long recv(int, void *, size_t, int)"),
  dup3: program.func("int dup3(int, int, int)"),
  close: program.func("int close(int)"),
};

/** The error number of the call that has just failed. */
export function lastErrno(): number {
  return koffi.errno();
}
