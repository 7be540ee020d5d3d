/**
 * @module
 */
import { closeSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  AF_INET,
  addressBytes,
  bindSocket,
  collectIcmpErrors,
  connectSocket,
  currentCpu,
  EINPROGRESS,
  errorName,
  isPortUnreachable,
  isWritable,
  onCpu,
  openSocket,
  receiveDatagram,
  receiveIcmpError,
  SOCK_DGRAM,
  SOCK_STREAM,
  sendDatagram,
  socketAddress,
  takeSocketError,
} from "./libc.ts";

test("addressBytes() reads both families and refuses all else", () => {
  expect([...addressBytes("10.1.2.3")]).toEqual([10, 1, 2, 3]);
  expect(addressBytes("fd00::1").toString("hex")).toBe("fd000000000000000000000000000001");
  for (const text of ["", "10.1.2", "10.1.2.3/8", "fd00:::1", "name"]) {
    expect(() => addressBytes(text)).toThrow(RangeError);
  }
});

test("socketAddress() lays out sockaddr_in and sockaddr_in6", () => {
  expect(socketAddress("10.1.2.3", 80).toString("hex")).toBe("020000500a0102030000000000000000");
  expect(socketAddress("fd00::1", 80).toString("hex")).toBe(
    "0a00005000000000fd00000000000000000000000000000100000000",
  );
});

test("sendDatagram() and receiveDatagram() carry a datagram; an empty socket gives undefined", () => {
  const [from, to] = [openSocket(AF_INET, SOCK_DGRAM), openSocket(AF_INET, SOCK_DGRAM)];
  try {
    // Of loopback's many addresses one that nobody else binds to.
    const address = socketAddress("127.90.17.1", 4004);
    bindSocket(to, address);
    const buffer = Buffer.alloc(16);
    expect(receiveDatagram(to, buffer)).toBeUndefined();
    expect(sendDatagram(from, Buffer.from("hello"), address)).toBe(0);
    expect(receiveDatagram(to, buffer)).toBe(5);
    expect(buffer.toString("utf8", 0, 5)).toBe("hello");
  } finally {
    closeSync(from);
    closeSync(to);
  }
});

test("receiveIcmpError() tells which ICMP error came back for what", () => {
  const descriptor = openSocket(AF_INET, SOCK_DGRAM);
  try {
    collectIcmpErrors(descriptor, 4, true);
    expect(receiveIcmpError(descriptor)).toBeUndefined();
    expect(sendDatagram(descriptor, Buffer.from("hello"), socketAddress("127.90.17.2", 4004))).toBe(0);
    const error = receiveIcmpError(descriptor);
    expect(error).toEqual({ family: 4, type: 3, code: 3, sent: Buffer.from("hello") });
    expect(error && isPortUnreachable(error)).toBe(true);
  } finally {
    closeSync(descriptor);
  }
});

test("isPortUnreachable() knows the message of each family", () => {
  const sent = Buffer.alloc(0);
  expect(isPortUnreachable({ family: 4, type: 3, code: 3, sent })).toBe(true);
  expect(isPortUnreachable({ family: 6, type: 1, code: 4, sent })).toBe(true);
  expect(isPortUnreachable({ family: 4, type: 1, code: 4, sent })).toBe(false);
  expect(isPortUnreachable({ family: 6, type: 3, code: 3, sent })).toBe(false);
});

test("takeSocketError() gives a refused connection's error once, and isWritable() does not take it for connected", () => {
  const descriptor = openSocket(AF_INET, SOCK_STREAM);
  try {
    expect(connectSocket(descriptor, socketAddress("127.90.17.3", 4004))).toBe(EINPROGRESS);
    expect(isWritable(descriptor)).toBe(false);
    expect(errorName(takeSocketError(descriptor))).toBe("ECONNREFUSED");
    expect(takeSocketError(descriptor)).toBe(0);
  } finally {
    closeSync(descriptor);
  }
});

test("onCpu() works on the processor that it is told, and lets the thread go again", () => {
  const allowed = (): string | undefined =>
    /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync("/proc/thread-self/status", "utf8"))?.[1];
  const before = allowed();
  const cpu = currentCpu();
  expect(onCpu(cpu, () => [currentCpu(), allowed()])).toEqual([cpu, String(cpu)]);
  expect(() =>
    onCpu(cpu, () => {
      throw new Error("deliberate");
    }),
  ).toThrow("deliberate");
  expect(allowed()).toBe(before);
});
