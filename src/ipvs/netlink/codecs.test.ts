/**
 * Every codec: bytes as the kernel takes and gives them (Linux 6.1), any value there and back, any bytes.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AttributeReader } from "../../netlink/attribute-reader.ts";
import { AttributeWriter } from "../../netlink/attribute-writer.ts";
import { KernelError } from "../../netlink/kernel-error.ts";
import { type NetlinkMessage, viewOf } from "../../netlink/message.ts";
import { hexBytes, messageOf, requestBytes } from "../../netlink/testing.ts";
import { decodeInfo } from "./info.ts";
import { decodeRealServer } from "./real-server-codec.ts";
import {
  addRealServerRequest,
  addVirtualServerRequest,
  deleteRealServerRequest,
  deleteVirtualServerRequest,
  editRealServerRequest,
  editVirtualServerRequest,
  flushRequest,
  setTimeoutsRequest,
  startDaemonRequest,
  stopDaemonRequest,
  zeroRequest,
} from "./requests.ts";
import { readStatistics } from "./statistics.ts";
import { decodeDaemon } from "./sync-daemon.ts";
import { anyRealServer, anySyncDaemon, anyTotals, anyVirtualServer } from "./testing-arbitraries.ts";
import { writeCounters } from "./testing-attributes.ts";
import { decodeTimeouts } from "./timeouts.ts";
import { familyOfVirtualServer, type VirtualServer } from "./virtual-server.ts";
import { decodeVirtualServer } from "./virtual-server-codec.ts";
import type { IpvsRequest } from "./wire.ts";

const family = { id: 0x1c, version: 1 };

const web: VirtualServer = { protocol: "TCP", address: "10.96.0.10", port: 80, scheduler: "rr" };
const pod = { address: "10.244.1.5", port: 8080, forwarding: "masquerade", weight: 1 } as const;

const zeros = {
  connections: 0n,
  incomingPackets: 0n,
  outgoingPackets: 0n,
  incomingBytes: 0n,
  outgoingBytes: 0n,
};

describe("requests have the bytes that the kernel took", () => {
  const key =
    "3000 0180 0600 0100 02000000 0600 0200 06000000 1400 0300 0a60000a 000000000000000000000000 0600 0400 00500000";
  const destination = "1400 0100 0af40105 000000000000000000000000 0600 0200 1f900000";
  const requests: readonly (readonly [string, IpvsRequest, string])[] = [
    [
      "add a virtual server",
      addVirtualServerRequest(family, web),
      `68000000 1c00 0500 04000000 00000000 01010000
       5400 0180 0600 0100 02000000 0600 0200 06000000 1400 0300 0a60000a 000000000000000000000000 0600 0400 00500000
       0700 0600 72720000 0c00 0700 00000000 ffffffff 0800 0800 00000000 0800 0900 ffffffff`,
    ],
    [
      "edit a virtual server: persistence",
      editVirtualServerRequest(family, { ...web, persistence: { timeoutSeconds: 10_800 } }),
      `68000000 1c00 0500 04000000 00000000 02010000
       5400 0180 0600 0100 02000000 0600 0200 06000000 1400 0300 0a60000a 000000000000000000000000 0600 0400 00500000
       0700 0600 72720000 0c00 0700 01000000 ffffffff 0800 0800 302a0000 0800 0900 ffffffff`,
    ],
    [
      "add a virtual server of IPv6",
      addVirtualServerRequest(family, {
        protocol: "UDP",
        address: "fd00:10:96::a",
        port: 53,
        scheduler: "rr",
      }),
      `68000000 1c00 0500 04000000 00000000 01010000
       5400 0180 0600 0100 0a000000 0600 0200 11000000 1400 0300 fd000010009600000000000000 00000a 0600 0400 00350000
       0700 0600 72720000 0c00 0700 00000000 ffffffff 0800 0800 00000000 0800 0900 80000000`,
    ],
    [
      "delete a virtual server",
      deleteVirtualServerRequest(family, web),
      `44000000 1c00 0500 04000000 00000000 03010000 ${key}`,
    ],
    [
      "delete a virtual server of a firewall mark",
      deleteVirtualServerRequest(family, { firewallMark: 9, family: "IPv6" }),
      "28000000 1c00 0500 04000000 00000000 03010000 1400 0180 0600 0100 0a000000 0800 0500 09000000",
    ],
    [
      "add a real server",
      addRealServerRequest(family, web, pod),
      `84000000 1c00 0500 04000000 00000000 05010000 ${key}
       4000 0280 ${destination} 0800 0300 00000000 0800 0400 01000000 0800 0500 00000000 0800 0600 00000000`,
    ],
    [
      "take a real server out of service",
      editRealServerRequest(family, web, { ...pod, weight: 0 }),
      `84000000 1c00 0500 04000000 00000000 06010000 ${key}
       4000 0280 ${destination} 0800 0300 00000000 0800 0400 00000000 0800 0500 00000000 0800 0600 00000000`,
    ],
    [
      "delete a real server",
      deleteRealServerRequest(family, web, pod),
      `64000000 1c00 0500 04000000 00000000 07010000 ${key} 2000 0280 ${destination}`,
    ],
    [
      "set the timeouts",
      setTimeoutsRequest(family, { tcp: 900, tcpFin: 120, udp: 300 }),
      `2c000000 1c00 0500 04000000 00000000 0c010000 0800 0400 84030000 0800 0500 78000000 0800 0600 2c010000`,
    ],
    ["zero all counters", zeroRequest(family), "14000000 1c00 0500 04000000 00000000 10010000"],
    ["zero one's counters", zeroRequest(family, web), `44000000 1c00 0500 04000000 00000000 10010000 ${key}`],
    ["delete everything", flushRequest(family), "14000000 1c00 0500 04000000 00000000 11010000"],
    [
      "stop a daemon",
      stopDaemonRequest(family, "backup"),
      "20000000 1c00 0500 04000000 00000000 0a010000 0c00 0380 0800 0100 02000000",
    ],
  ];

  test.each(requests)("%s", (_, request, hex) => {
    expect(requestBytes(request, { sequence: 4 })).toEqual(hexBytes(hex));
  });
});

describe("answers are read as the kernel gave them", () => {
  const counters = `
    6000 0a00 0800 0100 07000000 0800 0200 08000000 0800 0300 09000000 0c00 0400 0a00000000000000 0400 0b00
    0c00 0500 0b00000000000000 0800 0600 01000000 0800 0700 02000000 0800 0800 03000000 0800 0900 04000000
    0800 0a00 05000000`;
  const statistics = {
    totals: {
      connections: 7n,
      incomingPackets: 8n,
      outgoingPackets: 9n,
      incomingBytes: 10n,
      outgoingBytes: 11n,
    },
    rates: {
      connections: 1n,
      incomingPackets: 2n,
      outgoingPackets: 3n,
      incomingBytes: 4n,
      outgoingBytes: 5n,
    },
  };
  const wideCounters = `a000 0c00 ${Array.from({ length: 10 }, (_, index) => `0c00 ${hex16(index + 1)} 00000000000000${index}0`).join(" 0400 0b00 ")}`;

  test("a virtual server with everything, its statistics in 64 bits preferred", () => {
    const hex = `01010000 5c01 0100
      0600 0100 02000000 0600 0200 06000000 1400 0300 0a60000a 000000000000000000000000 0600 0400 00500000
      0700 0600 72720000 0800 0b00 73697000 0c00 0700 2f000000 ffffffff 0800 0800 80de2800 0800 0900 ffff0000
      ${counters} ${wideCounters}`;
    const server = decodeVirtualServer(messageOf(0x1c, hexBytes(hex)));
    expect(server).toEqual({
      ...web,
      schedulerFlags: ["flag-1", "flag-3"],
      persistence: { timeoutSeconds: 2_678_400, netmask: "255.255.0.0", engine: "sip" },
      onePacket: true,
      statistics: {
        totals: {
          connections: 0n,
          incomingPackets: 1n << 60n,
          outgoingPackets: 2n << 60n,
          incomingBytes: 3n << 60n,
          outgoingBytes: 4n << 60n,
        },
        rates: {
          connections: 5n << 60n,
          incomingPackets: 6n << 60n,
          outgoingPackets: 7n << 60n,
          incomingBytes: 8n << 60n,
          outgoingBytes: 9n << 60n,
        },
      },
    });
  });

  test("a real server of a kernel that counts in 32 bits and does not tell its family", () => {
    const hex = `05010000 b800 0200
      1400 0100 0a00004e 000000000000000000000000 0600 0200 00500000 0800 0300 00000000 0800 0400 01000000
      0800 0500 0a000000 0800 0600 0b000000 0800 0700 01000000 0800 0800 02000000 0800 0900 03000000 ${counters}`;
    expect(decodeRealServer(messageOf(0x1c, hexBytes(hex)), "IPv4")).toEqual({
      address: "10.0.0.78",
      port: 80,
      forwarding: "masquerade",
      weight: 1,
      upperThreshold: 10,
      lowerThreshold: 11,
      activeConnections: 1,
      inactiveConnections: 2,
      persistentConnections: 3,
      statistics,
    });
  });

  test("a real server of the other family, wrapped in GUE", () => {
    const hex = `05010000 6000 0200
      1400 0100 fd000000000000000000000000000001 0600 0200 00500000 0800 0300 02000000 0800 0400 01000000
      0500 0d00 01000000 0600 0e00 17c00000 0600 0f00 02000000 0800 0500 00000000 0800 0600 00000000
      0600 0b00 0a000000`;
    expect(decodeRealServer(messageOf(0x1c, hexBytes(hex)), "IPv4")).toEqual({
      address: "fd00::1",
      port: 80,
      forwarding: "tunnel",
      weight: 1,
      tunnel: { type: "gue", port: 6080, checksum: "remote" },
      activeConnections: 0,
      inactiveConnections: 0,
      persistentConnections: 0,
    });
  });

  test("daemons", () => {
    const master = `09010000 3c00 0300 0800 0100 01000000 0700 0200 76300000 0800 0300 05000000 0600 0400 c0050000
      0600 0700 90220000 0500 0800 01000000 0800 0500 e0000051`;
    expect(decodeDaemon(messageOf(0x1c, hexBytes(master)))).toEqual({
      role: "master",
      interface: "v0",
      syncId: 5,
      maximumLength: 1472,
      group: "224.0.0.81",
      port: 8848,
      timeToLive: 1,
    });
  });

  test("timeouts and version", () => {
    const timeouts = "0c010000 0800 0400 14ae4701 0800 0500 78000000 0800 0600 2c010000";
    expect(decodeTimeouts(messageOf(0x1c, hexBytes(timeouts)))).toEqual({
      tcp: 21_474_836,
      tcpFin: 120,
      udp: 300,
    });
    const info = "0e010000 0800 0100 01020100 0800 0200 00100000";
    expect(decodeInfo(messageOf(0x1c, hexBytes(info)))).toEqual({
      version: "1.2.1",
      connectionTableSize: 4096,
    });
  });

  test("a virtual server of a protocol that IPVS does not balance is left out", () => {
    const hex = `01010000 3000 0100
      0600 0100 02000000 0600 0200 33000000 1400 0300 0a60000a 000000000000000000000000 0600 0400 00500000`;
    expect(decodeVirtualServer(messageOf(0x1c, hexBytes(hex)))).toBeUndefined();
  });
});

describe("any value is read as it was written", () => {
  test("virtual servers", () => {
    fc.assert(
      fc.property(anyVirtualServer, (server) => {
        expect(decodeVirtualServer(messageOfRequest(addVirtualServerRequest(family, server)))).toEqual(
          server,
        );
      }),
    );
  });

  test("real servers", () => {
    fc.assert(
      fc.property(anyVirtualServer, anyRealServer, (virtual, server) => {
        const message = messageOfRequest(addRealServerRequest(family, virtual, server));
        const noConnections = { activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 };
        expect(decodeRealServer(message, familyOfVirtualServer(virtual))).toEqual({
          ...server,
          ...noConnections,
        });
      }),
    );
  });

  test("sync daemons", () => {
    fc.assert(
      fc.property(anySyncDaemon, (daemon) => {
        expect(decodeDaemon(messageOfRequest(startDaemonRequest(family, daemon)))).toEqual(daemon);
      }),
    );
  });

  test("timeouts", () => {
    const anyTimeout = fc.integer({ min: 0, max: 0xffff_ffff });
    fc.assert(
      fc.property(fc.record({ tcp: anyTimeout, tcpFin: anyTimeout, udp: anyTimeout }), (timeouts) => {
        expect(decodeTimeouts(messageOfRequest(setTimeoutsRequest(family, timeouts)))).toEqual(timeouts);
      }),
    );
  });

  test("statistics, in either width", () => {
    fc.assert(
      fc.property(anyTotals, fc.constantFrom(1, 2), (totals, width) => {
        const writer = new AttributeWriter();
        writeCounters(writer, totals, { narrow: 1, wide: 2 });
        const bytes = writer.finish();
        const reader = new AttributeReader(viewOf(bytes), 0, bytes.length);
        while (reader.next()) if (reader.type === width) break;
        expect(readStatistics(reader.nested())).toEqual({ totals, rates: zeros });
      }),
    );
  });
});

describe("any bytes are read as a value, or as an error of code truncated", () => {
  const decoders: readonly (readonly [string, number, (message: NetlinkMessage) => unknown])[] = [
    ["virtual server", 1, (message) => decodeVirtualServer(message)],
    ["real server", 5, (message) => decodeRealServer(message, "IPv6")],
    ["sync daemon", 9, decodeDaemon],
    ["timeouts", 12, decodeTimeouts],
    ["info", 14, decodeInfo],
  ];

  test.each(decoders)("%s", (_, command, decode) => {
    // Attributes that are likely to be right, so that what is behind them is reached as well.
    const attribute = fc
      .tuple(fc.integer({ min: 0, max: 16 }), fc.uint8Array({ maxLength: 24 }))
      .map(([type, bytes]) => new AttributeWriter().bytes(type, bytes).finish());
    const nested = fc
      .tuple(fc.integer({ min: 1, max: 3 }), fc.array(attribute))
      .map(([type, inner]) => new AttributeWriter().bytes(type, Buffer.concat(inner)).finish());
    const anyBytes = fc.oneof(
      fc.uint8Array(),
      nested,
      fc.array(attribute).map((all) => Buffer.concat(all)),
    );
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        try {
          decode(messageOf(0x1c, Uint8Array.of(command, 1, 0, 0, ...bytes)));
        } catch (error) {
          expect(error).toBeInstanceOf(KernelError);
          expect(error).toHaveProperty("code", "truncated");
        }
      }),
      { numRuns: 500 },
    );
  });

  test.each(decoders)("%s of another command is undefined", (_, __, decode) => {
    expect(decode(messageOf(0x1c, hexBytes("63010000 ffff")))).toBeUndefined();
    expect(decode(messageOf(0x1c, new Uint8Array(0)))).toBeUndefined();
  });

  const broken: readonly (readonly [string, (message: NetlinkMessage) => unknown, string])[] = [
    ["no service", decodeVirtualServer, "01010000"],
    ["a family that is none", decodeVirtualServer, "01010000 0c00 0100 0600 0100 01000000"],
    [
      "an IPv6 address of 4 bytes",
      decodeVirtualServer,
      "01010000 1400 0100 0600 0100 0a000000 0800 0300 00000000",
    ],
    ["flags without a mask", decodeVirtualServer, "01010000 1400 0100 0600 0100 02000000 0800 0700 00000000"],
    [
      "a netmask of 2 bytes",
      decodeVirtualServer,
      "01010000 1c00 0100 0600 0100 02000000 0800 0500 07000000 0600 0900 ffff0000",
    ],
    ["no destination", (message) => decodeRealServer(message, "IPv4"), "05010000"],
    ["a real server without address", (message) => decodeRealServer(message, "IPv4"), "05010000 0400 0200"],
    ["no daemon", decodeDaemon, "09010000"],
    ["a daemon of no role", decodeDaemon, "09010000 0c00 0300 0800 0100 03000000"],
    ["a group of 5 bytes", decodeDaemon, "09010000 1000 0300 0900 0500 e000005100000000"],
  ];
  test.each(broken)("%s", (_, decode, hex) => {
    expect(() => decode(messageOf(0x1c, hexBytes(hex)))).toThrow(
      expect.objectContaining({ code: "truncated" }),
    );
  });
});

function hex16(number: number): string {
  return `${number.toString(16).padStart(2, "0")}00`;
}

function messageOfRequest(request: IpvsRequest): NetlinkMessage {
  return messageOf(request.type, request.payload);
}
