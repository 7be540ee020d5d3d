/**
 * The system calls that Node has no name for: entering a network namespace, and sockets with options set before
 * they are bound or connected.
 *
 * Tests call the kernel through these and not through the program's own netlink and socket code, so that a mistake
 * there cannot hide itself. Every call is synchronous; descriptors are closed with `node:fs`' closeSync.
 *
 * @module
 */
import { isIPv4 } from "node:net";
import { getSystemErrorName } from "node:util";
import koffi from "koffi";

export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
/** Given to every socket made here: nothing in a test may block, and no child inherits it. */
const SOCK_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_RCVBUFFORCE = 33;
const CLONE_NEWNET = 0x40000000;
const MSG_DONTWAIT = 0x40;
const MSG_ERRQUEUE = 0x2000;
const POLLOUT = 4;
const EINTR = 4;
const EAGAIN = 11;
/** What `connectSocket` gives for a connection that is on its way. */
export const EINPROGRESS = 115;

/** Option numbers of linux/in.h and linux/in6.h, which differ by family for the same meaning. */
const IP_OPTIONS = {
  4: { level: 0, freeBind: 15, transparent: 19, receiveErrors: 11 },
  6: { level: 41, freeBind: 78, transparent: 75, receiveErrors: 25 },
} as const;

const library = koffi.load("libc.so.6");
const libcSetns = library.func("int setns(int, int)");
const libcIoctl = library.func("int ioctl(int, unsigned long, uint8_t *)");
const libcSchedGetcpu = library.func("int sched_getcpu()");
const libcSchedGetaffinity = library.func("int sched_getaffinity(int, size_t, _Out_ uint8_t *)");
const libcSchedSetaffinity = library.func("int sched_setaffinity(int, size_t, const uint8_t *)");
const libcSocket = library.func("int socket(int, int, int)");
const libcBind = library.func("int bind(int, const uint8_t *, uint32_t)");
const libcConnect = library.func("int connect(int, const uint8_t *, uint32_t)");
const libcSendto = library.func(
  "int64_t sendto(int, const uint8_t *, size_t, int, const uint8_t *, uint32_t)",
);
const libcRecv = library.func("int64_t recv(int, _Out_ uint8_t *, size_t, int)");
const libcSetsockopt = library.func("int setsockopt(int, int, int, const int32_t *, uint32_t)");
const libcGetsockopt = library.func("int getsockopt(int, int, int, _Out_ int32_t *, _Inout_ uint32_t *)");
const libcPoll = library.func("int poll(_Inout_ uint8_t *, uint64_t, int)");
const libcInetPton = library.func("int inet_pton(int, const char *, _Out_ uint8_t *)");
koffi.struct("e2e_iovec", { base: "uint8_t *", length: "size_t" });
koffi.struct("e2e_msghdr", {
  name: "uint8_t *",
  nameLength: "uint32_t",
  vectors: "e2e_iovec *",
  vectorCount: "size_t",
  control: "uint8_t *",
  controlLength: "size_t",
  flags: "int",
});
const libcRecvmsg = library.func("int64_t recvmsg(int, _Inout_ e2e_msghdr *, int)");

/** The error of the call just made, in the shape of Node's own: `code` holds the errno's name. */
function systemError(action: string): Error & { readonly code: string } {
  const code = errorName(koffi.errno());
  return Object.assign(new Error(`Cannot ${action}: ${code}`), { code });
}

/** `ECONNREFUSED` for 111. */
export function errorName(errno: number): string {
  return getSystemErrorName(-errno);
}

/** Moves the calling thread into the network namespace that the open file `descriptor` stands for. */
export function enterNetworkNamespace(descriptor: number): void {
  if (libcSetns(descriptor, CLONE_NEWNET) !== 0) throw systemError("enter a network namespace");
}

/** Linux' TUNSETIFF, and a device of whole packets without a header of the kernel's own: IFF_TUN | IFF_NO_PI. */
const TUNSETIFF = 0x400454ca;
const TUN_FLAGS = 0x1001;

/** Makes the open /dev/net/tun that `descriptor` stands for the other end of a new device. */
export function attachTunnel(descriptor: number, device: string): void {
  const request = Buffer.alloc(40);
  request.write(device, 0, 15, "latin1");
  request.writeUInt16LE(TUN_FLAGS, 16);
  if (libcIoctl(descriptor, TUNSETIFF, request) !== 0) throw systemError("make a tunnel");
}

/** The number of the processor that the calling thread is on. */
export function currentCpu(): number {
  return libcSchedGetcpu();
}

/** glibc's cpu_set_t. */
const CPU_SET_BYTES = 128;

/** Calls `work`, which must be synchronous, with the calling thread kept on processor `cpu`. */
export function onCpu<T>(cpu: number, work: () => T): T {
  const before = Buffer.alloc(CPU_SET_BYTES);
  if (libcSchedGetaffinity(0, CPU_SET_BYTES, before) !== 0) throw systemError("read the thread's processors");
  const only = Buffer.alloc(CPU_SET_BYTES);
  only.writeUInt8(1 << (cpu % 8), cpu >> 3);
  if (libcSchedSetaffinity(0, CPU_SET_BYTES, only) !== 0) throw systemError(`move to processor ${cpu}`);
  try {
    return work();
  } finally {
    libcSchedSetaffinity(0, CPU_SET_BYTES, before);
  }
}

/** The bytes of an address in network order: 4 for IPv4, 16 for IPv6. Throws a RangeError for anything else. */
export function addressBytes(address: string): Buffer {
  const v4 = isIPv4(address);
  const bytes = Buffer.alloc(v4 ? 4 : 16);
  if (libcInetPton(v4 ? AF_INET : AF_INET6, address, bytes) !== 1) {
    throw new RangeError(`Cannot read address: "${address}" is neither IPv4 nor IPv6`);
  }
  return bytes;
}

/** A `sockaddr_in` or `sockaddr_in6`. */
export function socketAddress(address: string, port: number): Buffer {
  const bytes = addressBytes(address);
  const v4 = bytes.length === 4;
  const result = Buffer.alloc(v4 ? 16 : 28);
  result.writeUInt16LE(v4 ? AF_INET : AF_INET6, 0);
  result.writeUInt16BE(port, 2);
  result.set(bytes, v4 ? 4 : 8);
  return result;
}

/** A new non-blocking socket's descriptor, in the network namespace that the thread is in; it stays there for ever. */
export function openSocket(family: number, type: number, protocol = 0): number {
  const descriptor: number = libcSocket(family, type | SOCK_NONBLOCK_CLOEXEC, protocol);
  if (descriptor < 0) throw systemError("open a socket");
  return descriptor;
}

function setOption(descriptor: number, level: number, option: number, value: number): void {
  if (libcSetsockopt(descriptor, level, option, [value], 4) !== 0) {
    throw systemError(`set socket option ${level}/${option} to ${value}`);
  }
}

/** Lets the socket be bound to, and send from, addresses that the machine does not have. */
export function allowForeignSource(descriptor: number, family: 4 | 6): void {
  const { level, freeBind, transparent } = IP_OPTIONS[family];
  setOption(descriptor, level, freeBind, 1);
  setOption(descriptor, level, transparent, 1);
}

/** Makes ICMP errors readable with `receiveIcmpError`, or stops that and throws away those not yet read. */
export function collectIcmpErrors(descriptor: number, family: 4 | 6, collect: boolean): void {
  const { level, receiveErrors } = IP_OPTIONS[family];
  setOption(descriptor, level, receiveErrors, collect ? 1 : 0);
}

/** Room for `bytes` of unread messages, beyond what the administrator allows others. */
export function setReceiveBuffer(descriptor: number, bytes: number): void {
  setOption(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, bytes);
}

/** Binds; `address` is a sockaddr. The error's `code` is `EADDRINUSE` for a port that is taken. */
export function bindSocket(descriptor: number, address: Buffer): void {
  if (libcBind(descriptor, address, address.length) !== 0) throw systemError("bind a socket");
}

/** Starts a connection; the errno, 0 when it is complete at once. */
export function connectSocket(descriptor: number, address: Buffer): number {
  return libcConnect(descriptor, address, address.length) === 0 ? 0 : koffi.errno();
}

/** Sends one datagram; the errno, or 0. */
export function sendDatagram(descriptor: number, data: Uint8Array, address: Buffer): number {
  return libcSendto(descriptor, data, data.length, MSG_DONTWAIT, address, address.length) >= 0
    ? 0
    : koffi.errno();
}

/** One datagram into `buffer`: its length, or undefined when none is waiting. */
export function receiveDatagram(descriptor: number, buffer: Buffer): number | undefined {
  const length: number = libcRecv(descriptor, buffer, buffer.length, MSG_DONTWAIT);
  if (length >= 0) return length;
  if (koffi.errno() === EAGAIN) return undefined;
  throw systemError("receive from a socket");
}

/** Whether a socket may be written to, which for a stream means that it is connected. */
export function isWritable(descriptor: number): boolean {
  // struct pollfd: descriptor, wanted events, events that hold. POLLERR and POLLHUP come unasked and undo POLLOUT.
  const pollfd = Buffer.alloc(8);
  pollfd.writeInt32LE(descriptor, 0);
  pollfd.writeInt16LE(POLLOUT, 4);
  // A signal, such as the end of a child process, may come in between.
  while (libcPoll(pollfd, 1, 0) < 0) {
    if (koffi.errno() !== EINTR) throw systemError("poll a socket");
  }
  return pollfd.readInt16LE(6) === POLLOUT;
}

/** The socket's pending error, which this takes away: an errno, or 0. */
export function takeSocketError(descriptor: number): number {
  const value = [0];
  if (libcGetsockopt(descriptor, SOL_SOCKET, SO_ERROR, value, [4]) !== 0) throw systemError("read SO_ERROR");
  return value[0] ?? 0;
}

/** An ICMP or ICMPv6 error message that came back for what a socket sent. */
export interface IcmpError {
  readonly family: 4 | 6;
  readonly type: number;
  readonly code: number;
  /** The beginning of what had been sent: from the transport header on, with UDP from behind it. */
  readonly sent: Buffer;
}

/** Whether an ICMP error is a port unreachable: RFC 792 type 3 code 3, RFC 4443 type 1 code 4. */
export function isPortUnreachable({ family, type, code }: IcmpError): boolean {
  return family === 4 ? type === 3 && code === 3 : type === 1 && code === 4;
}

/** SO_EE_ORIGIN_ICMP and SO_EE_ORIGIN_ICMP6 of linux/errqueue.h. */
const ICMP_ORIGINS: ReadonlyMap<number, 4 | 6> = new Map([
  [2, 4],
  [3, 6],
]);
/** A cmsghdr on 64-bit machines: length (8 bytes), level, type. The sock_extended_err follows it. */
const CONTROL_HEADER_LENGTH = 16;

/** Takes the oldest ICMP error of a socket with `collectIcmpErrors`; undefined when there is none. */
export function receiveIcmpError(descriptor: number): IcmpError | undefined {
  const control = Buffer.alloc(256);
  const sent = Buffer.alloc(256);
  const header = {
    name: Buffer.alloc(28),
    nameLength: 28,
    vectors: { base: sent, length: sent.length },
    vectorCount: 1,
    control,
    controlLength: control.length,
    flags: 0,
  };
  const length: number = libcRecvmsg(descriptor, header, MSG_ERRQUEUE | MSG_DONTWAIT);
  if (length < 0) {
    if (koffi.errno() === EAGAIN) return undefined;
    throw systemError("read a socket's error queue");
  }
  const family = ICMP_ORIGINS.get(control.readUInt8(CONTROL_HEADER_LENGTH + 4));
  if (family === undefined) return undefined;
  return {
    family,
    type: control.readUInt8(CONTROL_HEADER_LENGTH + 5),
    code: control.readUInt8(CONTROL_HEADER_LENGTH + 6),
    sent: sent.subarray(0, length),
  };
}
