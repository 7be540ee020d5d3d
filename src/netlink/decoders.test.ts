/**
 * Whatever bytes arrive, every decoder ends in a value or in a `KernelError`: never in a crash, never in a loop.
 *
 * Random bytes rarely get past the first length field, so real messages are also damaged a little at random.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeAcknowledgement, decodeDone } from "./acknowledgement.ts";
import { decodeAddress } from "./address.ts";
import { readFlowEvent } from "./conntrack.ts";
import { FlowView } from "./flow-view.ts";
import { decodeFamily } from "./generic.ts";
import { SetListing } from "./ipset-list.ts";
import { isKernelError } from "./kernel-error.ts";
import { decodeLink } from "./link.ts";
import type { NetlinkMessage } from "./message.ts";
import { decodeNftGeneration } from "./nft-generation.ts";
import { decodeNftTable } from "./nft-tables.ts";
import { decodeRouteEvent } from "./route-event.ts";
import { errorPayload, hexBytes, messageOf } from "./testing.ts";
import { encodeFlow, fakeFlow } from "./testing-conntrack.ts";
import { encodeAddress, encodeLink } from "./testing-route.ts";

interface Decoder {
  readonly name: string;
  readonly type: number;
  readonly flags?: number;
  readonly sample: Uint8Array;
  readonly decode: (message: NetlinkMessage) => unknown;
}

const link = encodeLink({
  index: 2,
  name: "kube-ipvs0",
  kind: "dummy",
  up: true,
  loopback: false,
  mtu: 1500,
});
const vxlan = encodeLink({
  index: 4,
  name: "flannel.1",
  kind: "vxlan",
  up: true,
  loopback: false,
  mtu: 1450,
  underlay: 2,
});
const nftTable = hexBytes("02000002 0f000100 6b7562652d70726f78790000");
const address = encodeAddress({
  family: "IPv6",
  address: "fd00::1",
  prefixLength: 128,
  interfaceIndex: 2,
  scope: 0,
  flags: 0x80,
});
const flow = encodeFlow(
  fakeFlow(
    {
      protocol: 17,
      source: "10.0.0.6",
      sourcePort: 4000,
      destination: "10.96.0.10",
      destinationPort: 53,
      zone: 3,
    },
    { address: "10.244.1.6", port: 5353 },
    { zone: 7, counters: { originalPackets: 1n, originalBytes: 2n } },
  ),
);
const set = hexBytes(`
  02000000 05000100 06000000 06000200 4c000000 15000300 68617368 3a69702c 706f7274 2c6e6574 00000000
  05000500 02000000 05000400 08000000 14000780 08001340 00010000 08001940 00000000
  38000880 34000780 0c000180 08000100 0a60000b 0c001480 08000100 0a000000 06000440 00500000 05001500 08000000
  05000700 11000000`);
const family = hexBytes(`
  01020000 0b000200 6e6c6374 726c0000 06000100 10000000 08000300 02000000
  1c000700 18000100 08000200 10000000 0b000100 6e6f7469 66790000`);
const generation = hexBytes(
  "00000001 08000100 00000001 08000200 00004106 0f000300 4d61696e 54687265 61640000",
);
const request = { type: 24, flags: 5, sequence: 1 };

const decoders: readonly Decoder[] = [
  {
    name: "decodeAcknowledgement()",
    type: 2,
    flags: 0x200,
    sample: errorPayload(22, request, { text: "Invalid prefsrc address", echo: new Uint8Array(36) }),
    decode: decodeAcknowledgement,
  },
  {
    name: "decodeDone()",
    type: 3,
    flags: 0x202,
    sample: hexBytes("eaffffff 0b000100 6e6f7469 66790000"),
    decode: decodeDone,
  },
  { name: "decodeLink()", type: 16, sample: link.payload, decode: decodeLink },
  { name: "decodeAddress()", type: 20, sample: address.payload, decode: decodeAddress },
  { name: "decodeRouteEvent()", type: 21, sample: address.payload, decode: decodeRouteEvent },
  { name: "decodeFamily()", type: 16, sample: family, decode: decodeFamily },
  { name: "decodeNftGeneration()", type: 0x0a0f, sample: generation, decode: decodeNftGeneration },
  { name: "decodeNftTable()", type: 0x0a00, sample: nftTable, decode: decodeNftTable },
  { name: "decodeLink() of a vxlan", type: 16, sample: vxlan.payload, decode: decodeLink },
  {
    name: "SetListing",
    type: 0x0607,
    sample: set,
    decode: (message) => {
      const listing = new SetListing(true);
      listing.accept(message);
      return listing.sets();
    },
  },
  {
    name: "FlowView",
    type: 0x0100,
    sample: flow,
    decode: (message) => {
      const view = new FlowView();
      readFlowEvent(message, view);
      const { protocol, status, timeoutSeconds, mark, zone, id } = view;
      return [
        view.key(),
        view.tuple("reply"),
        view.counters(),
        protocol,
        status,
        timeoutSeconds,
        mark,
        zone,
        id,
      ];
    },
  },
];

/** A payload in the middle of a larger buffer, as in a datagram: reading outside it goes unpunished by the runtime. */
function decodeWithin({ type, flags = 0, decode }: Decoder, payload: Uint8Array): unknown {
  const bytes = new Uint8Array(payload.length + 64).fill(0xee);
  bytes.set(payload, 32);
  const window = { ...messageOf(type, bytes, { flags }), start: 32, end: 32 + payload.length };
  const alone = messageOf(type, payload, { flags });
  const results = [window, alone].map((message) => {
    try {
      return { value: decode(message) };
    } catch (error) {
      if (!isKernelError(error, "truncated")) throw error;
      return { error: error.message.replace(/at \d+/g, "at") };
    }
  });
  // What lies around a message must not show in what is read from it.
  expect(withoutOffsets(results[0])).toEqual(withoutOffsets(results[1]));
  return results[1];
}

/** Offsets count from the beginning of the buffer. */
function withoutOffsets(result: unknown): unknown {
  if (typeof result !== "object" || result === null || !("value" in result)) return result;
  const { value } = result;
  return typeof value === "object" && value !== null && "echo" in value
    ? { ...value, echo: undefined }
    : value;
}

describe.each(decoders)("$name", (decoder) => {
  test("reads its sample", () => {
    expect(decodeWithin(decoder, decoder.sample)).toHaveProperty("value");
  });

  test("ends for random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 160 }), (bytes) => {
        decodeWithin(decoder, bytes);
      }),
    );
  });

  test("ends for a damaged message", () => {
    const damage = fc.array(fc.tuple(fc.nat(decoder.sample.length - 1), fc.nat(255)), { maxLength: 4 });
    fc.assert(
      fc.property(damage, fc.nat(decoder.sample.length), (changes, length) => {
        const bytes = decoder.sample.slice();
        for (const [at, value] of changes) bytes[at] = value;
        decodeWithin(decoder, bytes);
        decodeWithin(decoder, bytes.subarray(0, length));
      }),
      { numRuns: 1000 },
    );
  });
});
