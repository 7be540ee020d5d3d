/**
 * Any server, for property tests: what the kernel takes, in canonical form.
 *
 * @module
 */
import fc from "fast-check";
import { type IpFamily, ipText } from "../../netlink/ip-address.ts";
import { type ForwardingMethod, forwardingMethods, largestWeight, type RealServer } from "./real-server.ts";
import type { SyncDaemon } from "./sync-daemon.ts";
import {
  longestPersistenceSeconds,
  schedulerFlagNames,
  type VirtualServer,
  type VirtualServerKey,
} from "./virtual-server.ts";

const anyPort = fc.integer({ min: 0, max: 65_535 });
const any32 = fc.integer({ min: 0, max: 0xffff_ffff });
const anyNonZero32 = fc.integer({ min: 1, max: 0xffff_ffff });
const anyName = fc.stringMatching(/^[a-z][a-z0-9_-]{0,14}$/);

/** An address of either family in canonical text; not always one that the kernel would take. */
export function anyAddress(family: IpFamily): fc.Arbitrary<string> {
  const length = family === "IPv4" ? 4 : 16;
  return fc.uint8Array({ minLength: length, maxLength: length }).map(ipText);
}

const anyFamily = fc.constantFrom<IpFamily>("IPv4", "IPv6");

/** A key of either kind and family. */
export const anyVirtualServerKey: fc.Arbitrary<VirtualServerKey> = anyFamily.chain((family) =>
  fc.oneof(
    fc.record({
      protocol: fc.constantFrom("TCP", "UDP", "SCTP"),
      address: anyAddress(family),
      port: anyPort,
    }),
    fc.record({ firewallMark: anyNonZero32, family: fc.constant(family) }),
  ),
);

function anyNetmask(family: IpFamily): fc.Arbitrary<string> {
  return family === "IPv4"
    ? anyAddress(family).filter((mask) => mask !== "255.255.255.255")
    : fc.integer({ min: 1, max: 127 }).map(String);
}

function anyPersistence(family: IpFamily): fc.Arbitrary<NonNullable<VirtualServer["persistence"]>> {
  return fc.record(
    {
      timeoutSeconds: fc.integer({ min: 1, max: longestPersistenceSeconds }),
      netmask: anyNetmask(family),
      engine: anyName,
    },
    { requiredKeys: ["timeoutSeconds"] },
  );
}

/** A virtual server with any settings. */
export const anyVirtualServer: fc.Arbitrary<VirtualServer> = anyVirtualServerKey.chain((key) => {
  const family = "firewallMark" in key ? key.family : key.address.includes(":") ? "IPv6" : "IPv4";
  return fc
    .record(
      {
        scheduler: anyName,
        schedulerFlags: fc.subarray([...schedulerFlagNames], { minLength: 1 }),
        persistence: anyPersistence(family),
        onePacket: fc.constant(true as const),
      },
      { requiredKeys: ["scheduler"] },
    )
    .map((settings) => ({ ...key, ...settings }));
});

const anyTunnel: fc.Arbitrary<NonNullable<RealServer["tunnel"]>> = fc.oneof(
  fc.record({
    type: fc.constant("gue" as const),
    port: fc.integer({ min: 1, max: 65_535 }),
    checksum: fc.constantFrom("none", "full", "remote"),
  }),
  fc.record({ type: fc.constant("gre" as const), checksum: fc.constantFrom("none", "full") }),
);

/** A real server with any settings, of either family. */
export const anyRealServer: fc.Arbitrary<RealServer> = fc
  .record({
    family: anyFamily,
    forwarding: fc.constantFrom<ForwardingMethod>(...forwardingMethods),
  })
  .chain(({ family, forwarding }) =>
    fc.record(
      {
        address: anyAddress(family),
        port: anyPort,
        forwarding: fc.constant(forwarding),
        weight: fc.integer({ min: 0, max: largestWeight }),
        upperThreshold: anyNonZero32,
        lowerThreshold: anyNonZero32,
        ...(forwarding === "tunnel" ? { tunnel: anyTunnel } : {}),
      },
      { requiredKeys: ["address", "port", "forwarding", "weight"] },
    ),
  );

/** A sync daemon with any settings. */
export const anySyncDaemon: fc.Arbitrary<SyncDaemon> = fc.record(
  {
    role: fc.constantFrom("master", "backup"),
    interface: anyName,
    syncId: fc.integer({ min: 0, max: 255 }),
    maximumLength: anyPort,
    group: anyFamily.chain(anyAddress),
    port: anyPort,
    timeToLive: fc.integer({ min: 0, max: 255 }),
  },
  { requiredKeys: ["role", "interface", "syncId"] },
);

/** Counters as the kernel may have them. */
export const anyTotals: fc.Arbitrary<{
  connections: bigint;
  incomingPackets: bigint;
  outgoingPackets: bigint;
  incomingBytes: bigint;
  outgoingBytes: bigint;
}> = fc.record({
  connections: any32.map(BigInt),
  incomingPackets: any32.map(BigInt),
  outgoingPackets: any32.map(BigInt),
  incomingBytes: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  outgoingBytes: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
});
