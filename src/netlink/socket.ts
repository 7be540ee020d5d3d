/**
 * Netlink sockets, and the connection over them: the only way from this project into the kernel's netlink.
 *
 * Edge. A socket is made, connected to the kernel and set up here; the protocol that is spoken over it is
 * `conversation.ts`.
 *
 * Why `connect` and not `bind`: both give the socket its port id, but a connected one also takes no datagrams from
 * other processes, so nobody can forge an answer.
 *
 * @module
 */
import type { NetlinkConnection } from "./connection.ts";
import { Conversation } from "./conversation.ts";
import { errnos, kernelErrorFromErrno } from "./kernel-error.ts";
import { lastErrno, libc } from "./libc.ts";
import { hostIsLittleEndian, viewOf } from "./message.ts";
import type { Transport } from "./transport.ts";

/** Netlink protocols: interfaces and addresses; conntrack, ipset and nftables; families such as IPVS. */
export type NetlinkProtocol = "route" | "netfilter" | "generic";

const protocolNumbers: Readonly<Record<NetlinkProtocol, number>> = { route: 0, netfilter: 12, generic: 16 };

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;

const MSG_TRUNC = 0x20;

const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;

const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

/** sizeof(struct sockaddr_nl): family, padding, port id, groups. */
const addressLength = 12;

/** Room for 4,000 errors in a row; the default of 208 KiB holds 256. */
const requestReceiveBytes = 4 * 1024 * 1024;
const sendBytes = 1024 * 1024;

/**
 * Opens a connection to the kernel, in the network namespace of the calling thread.
 *
 * @throws {KernelError} The kernel has no such protocol, or no descriptor is left.
 */
export function openNetlink(protocol: NetlinkProtocol): NetlinkConnection {
  const requests = openTransport(protocol);
  try {
    return new Conversation({ requests, dumps: openTransport(protocol), pause });
  } catch (error) {
    requests.close();
    throw error;
  }
}

/**
 * Opens a socket that listens to multicast groups.
 *
 * @param groups Group numbers, not mask bits.
 * @param receiveBytes How much may wait unread before notifications are thrown away.
 * @returns The descriptor, which the caller must close.
 * @throws {KernelError} No such group, or not permitted.
 */
export function openMulticastSocket(
  protocol: NetlinkProtocol,
  groups: readonly number[],
  receiveBytes: number,
): number {
  const descriptor = openSocket(protocol);
  try {
    setBufferSize(descriptor, SO_RCVBUFFORCE, SO_RCVBUF, receiveBytes);
    for (const group of groups) {
      const operation = `join netlink group ${group} of protocol ${protocol}`;
      if (!setOption(descriptor, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)) {
        throw kernelErrorFromErrno(lastErrno(), operation);
      }
    }
    return descriptor;
  } catch (error) {
    libc.close(descriptor);
    throw error;
  }
}

function openTransport(protocol: NetlinkProtocol): Transport {
  const descriptor = openSocket(protocol);
  try {
    // Strict checking makes rtnetlink honour the filters of a dump. Kernels before 4.20 lack it and dump everything.
    if (protocol === "route") setOption(descriptor, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
    setOption(descriptor, SOL_NETLINK, NETLINK_EXT_ACK, 1);
    setOption(descriptor, SOL_NETLINK, NETLINK_CAP_ACK, 1);
    setBufferSize(descriptor, SO_RCVBUFFORCE, SO_RCVBUF, requestReceiveBytes);
    setBufferSize(descriptor, SO_SNDBUFFORCE, SO_SNDBUF, sendBytes);
    return new SocketTransport(descriptor, portOf(descriptor));
  } catch (error) {
    libc.close(descriptor);
    throw error;
  }
}

/** Makes a socket that is connected to the kernel, does not block and is not inherited by child processes. */
function openSocket(protocol: NetlinkProtocol): number {
  const operation = `open a netlink socket of protocol ${protocol}`;
  const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const descriptor = libc.socket(AF_NETLINK, type, protocolNumbers[protocol]);
  if (descriptor < 0) throw kernelErrorFromErrno(lastErrno(), operation);
  const kernel = new Uint8Array(addressLength);
  viewOf(kernel).setUint16(0, AF_NETLINK, hostIsLittleEndian);
  if (libc.connect(descriptor, kernel, kernel.length) < 0) {
    const errno = lastErrno();
    libc.close(descriptor);
    throw kernelErrorFromErrno(errno, operation);
  }
  return descriptor;
}

/** The port id that the kernel chose. */
function portOf(descriptor: number): number {
  const address = new Uint8Array(addressLength);
  const length = new Uint8Array(4);
  viewOf(length).setUint32(0, addressLength, hostIsLittleEndian);
  if (libc.getsockname(descriptor, address, length) < 0) {
    throw kernelErrorFromErrno(lastErrno(), "read a netlink socket's port id");
  }
  return viewOf(address).getUint32(4, hostIsLittleEndian);
}

function setOption(descriptor: number, level: number, option: number, value: number): boolean {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value, hostIsLittleEndian);
  return libc.setsockopt(descriptor, level, option, bytes, bytes.length) === 0;
}

/** The forced option ignores the system's limit but needs CAP_NET_ADMIN; without it, as much as the limit allows. */
function setBufferSize(descriptor: number, forced: number, plain: number, bytes: number): void {
  if (!setOption(descriptor, SOL_SOCKET, forced, bytes)) setOption(descriptor, SOL_SOCKET, plain, bytes);
}

/** One turn of the event loop, timers and I/O included. */
function pause(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

class SocketTransport implements Transport {
  readonly port: number;
  /** Undefined once closed, so that a late call cannot hit a descriptor that was given to something else. */
  #descriptor: number | undefined;

  constructor(descriptor: number, port: number) {
    this.#descriptor = descriptor;
    this.port = port;
  }

  send(datagram: Uint8Array): number {
    if (this.#descriptor === undefined) return errnos.EBADF;
    for (;;) {
      if (libc.send(this.#descriptor, datagram, datagram.length, 0) >= 0) return 0;
      const errno = lastErrno();
      if (errno !== errnos.EINTR) return errno;
    }
  }

  receive(buffer: Uint8Array): number {
    if (this.#descriptor === undefined) return -errnos.EBADF;
    const length = libc.recv(this.#descriptor, buffer, buffer.length, MSG_TRUNC);
    return length >= 0 ? length : -lastErrno();
  }

  close(): void {
    if (this.#descriptor === undefined) return;
    libc.close(this.#descriptor);
    this.#descriptor = undefined;
  }
}
