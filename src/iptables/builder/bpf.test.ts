/**
 * BPF: text form and interpreter.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type BpfInstruction, bytecodeOf, parseBytecode, runBpf, sourceEqualsDestination } from "./bpf.ts";
import { firstBranch, packetBytes } from "./packet.ts";

test("bytecodeOf() writes the IPv4 comparison as seven instructions", () => {
  expect(bytecodeOf(sourceEqualsDestination("IPv4"))).toBe(
    "7,32 0 0 12,2 0 0 0,32 0 0 16,97 0 0 0,29 0 1 0,6 0 0 65535,6 0 0 0",
  );
});

const anyInstruction: fc.Arbitrary<BpfInstruction> = fc.tuple(
  fc.nat({ max: 0xffff }),
  fc.nat({ max: 255 }),
  fc.nat({ max: 255 }),
  fc.nat({ max: 0xffff_ffff }),
);

test("parseBytecode() gives back what bytecodeOf() wrote", () => {
  fc.assert(
    fc.property(fc.array(anyInstruction, { minLength: 1, maxLength: 64 }), (program) => {
      expect(parseBytecode(bytecodeOf(program))).toEqual(program);
    }),
  );
});

test.each(["", "1", "2,6 0 0 0", "1,6 0 0", "1,6 0 0 x", "1,6 0 0 0,", "1,6  0 0 0", "0,"])(
  "parseBytecode() does not know %j",
  (text) => {
    expect(parseBytecode(text)).toBeUndefined();
  },
);

test("bytecodeOf() refuses programs that the kernel cannot hold", () => {
  const programs: (readonly BpfInstruction[])[] = [
    [],
    new Array<BpfInstruction>(65).fill([6, 0, 0, 0]),
    [[0x1_0000, 0, 0, 0]],
    [[6, 256, 0, 0]],
    [[6, 0, -1, 0]],
    [[6, 0, 0, 2 ** 32]],
    [[6, 0, 0, 0.5]],
  ];
  for (const program of programs) {
    expect(() => bytecodeOf(program)).toThrow(RangeError);
  }
});

test.each([
  ["10.0.0.1", "10.0.0.1", true],
  ["10.0.0.1", "10.0.0.2", false],
  ["fd00::1", "fd00::1", true],
  ["fd00::1", "fd00::2", false],
  ["fd00::1", "fd01::1", false],
  ["fd00:0:0:1::1", "fd00:0:0:2::1", false],
  ["fd00::1:0:1", "fd00::2:0:1", false],
])("sourceEqualsDestination() of a packet %s > %s: %s", (source, destination, equal) => {
  const program = sourceEqualsDestination(source.includes(":") ? "IPv6" : "IPv4");
  const packet = packetBytes(firstBranch({ source, destination, protocol: "tcp" }));
  expect(runBpf(program, packet) !== 0).toBe(equal);
});

const packet = Uint8Array.from([0x45, 0x01, 0x02, 0x03, 0xff, 0xfe, 0xfd, 0xfc]);
const returnA: BpfInstruction = [0x16, 0, 0, 0];

test.each<[string, readonly BpfInstruction[], number]>([
  ["ret k", [[0x06, 0, 0, 7]], 7],
  ["ld #k", [[0x00, 0, 0, 9], returnA], 9],
  ["ld [k]", [[0x20, 0, 0, 4], returnA], 0xfffefdfc],
  ["ldh [k]", [[0x28, 0, 0, 2], returnA], 0x0203],
  ["ldb [k]", [[0x30, 0, 0, 1], returnA], 1],
  ["ld [k] beyond the end", [[0x20, 0, 0, 5], returnA], 0],
  ["ld len", [[0x80, 0, 0, 0], returnA], 8],
  ["ldx 4*([k]&0xf), tax/txa", [[0xb1, 0, 0, 0], [0x87, 0, 0, 0], returnA], 20],
  ["ldx #k, ldb [x+k]", [[0x01, 0, 0, 3], [0x50, 0, 0, 1], returnA], 0xff],
  ["st and ld M", [[0x00, 0, 0, 5], [0x02, 0, 0, 3], [0x00, 0, 0, 0], [0x60, 0, 0, 3], returnA], 5],
  ["stx, ldx M", [[0x01, 0, 0, 6], [0x03, 0, 0, 2], [0x61, 0, 0, 2], [0x87, 0, 0, 0], returnA], 6],
  ["tax", [[0x00, 0, 0, 2], [0x07, 0, 0, 0], [0x0c, 0, 0, 0], returnA], 4],
  ["add wraps", [[0x00, 0, 0, 0xffff_ffff], [0x04, 0, 0, 2], returnA], 1],
  ["sub wraps", [[0x00, 0, 0, 1], [0x14, 0, 0, 2], returnA], 0xffff_ffff],
  ["mul wraps", [[0x00, 0, 0, 0xffff_ffff], [0x24, 0, 0, 3], returnA], 0xffff_fffd],
  ["div", [[0x00, 0, 0, 0xffff_ffff], [0x34, 0, 0, 2], returnA], 0x7fff_ffff],
  ["div by zero x", [[0x00, 0, 0, 1], [0x3c, 0, 0, 0], returnA], 0],
  ["mod", [[0x00, 0, 0, 7], [0x94, 0, 0, 4], returnA], 3],
  ["mod by zero x", [[0x00, 0, 0, 1], [0x9c, 0, 0, 0], returnA], 0],
  ["or", [[0x00, 0, 0, 0x8000_0000], [0x44, 0, 0, 1], returnA], 0x8000_0001],
  ["and", [[0x00, 0, 0, 0xffff_ffff], [0x54, 0, 0, 0xf000_000f], returnA], 0xf000_000f],
  ["xor", [[0x00, 0, 0, 0xf0], [0xa4, 0, 0, 0xff], returnA], 0x0f],
  ["lsh", [[0x00, 0, 0, 1], [0x64, 0, 0, 31], returnA], 0x8000_0000],
  ["rsh", [[0x00, 0, 0, 0x8000_0000], [0x74, 0, 0, 31], returnA], 1],
  ["neg", [[0x00, 0, 0, 1], [0x84, 0, 0, 0], returnA], 0xffff_ffff],
  [
    "ja",
    [
      [0x05, 0, 0, 1],
      [0x06, 0, 0, 1],
      [0x06, 0, 0, 2],
    ],
    2,
  ],
  [
    "jeq",
    [
      [0x00, 0, 0, 5],
      [0x15, 0, 1, 5],
      [0x06, 0, 0, 1],
      [0x06, 0, 0, 2],
    ],
    1,
  ],
  [
    "jgt",
    [
      [0x00, 0, 0, 5],
      [0x25, 0, 1, 5],
      [0x06, 0, 0, 1],
      [0x06, 0, 0, 2],
    ],
    2,
  ],
  [
    "jge",
    [
      [0x00, 0, 0, 5],
      [0x35, 0, 1, 5],
      [0x06, 0, 0, 1],
      [0x06, 0, 0, 2],
    ],
    1,
  ],
  [
    "jset",
    [
      [0x00, 0, 0, 5],
      [0x45, 0, 1, 2],
      [0x06, 0, 0, 1],
      [0x06, 0, 0, 2],
    ],
    2,
  ],
  [
    "jeq x",
    [
      [0x00, 0, 0, 5],
      [0x07, 0, 0, 0],
      [0x1d, 0, 1, 0],
      [0x06, 0, 0, 1],
      [0x06, 0, 0, 2],
    ],
    1,
  ],
])("runBpf() executes %s", (_, program, result) => {
  expect(runBpf(program, packet)).toBe(result);
});

test("runBpf() refuses what the kernel does not load", () => {
  expect(() => runBpf([[0x05, 0, 0, 5]], packet)).toThrow(/jump to instruction 6 of 1/);
  expect(() => runBpf([[0x00, 0, 0, 0]], packet)).toThrow(RangeError);
  expect(() => runBpf([[0xc0, 0, 0, 0]], packet)).toThrow(/no load/);
  expect(() => runBpf([[0xf4, 0, 0, 0]], packet)).toThrow(/no arithmetic/);
  expect(() => runBpf([[0x55, 0, 0, 0]], packet)).toThrow(/no jump/);
});
