/**
 * Classic BPF programs as `-m bpf` takes them: their text, an interpreter, and one program that rules need often.
 *
 * xt_bpf runs the program over the packet from its network header on (net/netfilter/xt_bpf.c) and matches when it returns
 * non-zero. Instruction set: Documentation/networking/filter.rst and linux/bpf_common.h. The interpreter exists for the
 * tracer; it knows the whole instruction set but no ancillary loads (negative offsets), which tracing does not need.
 *
 * @module
 */
import type { Family } from "./address.ts";

/** code, jump if true, jump if false, operand. */
export type BpfInstruction = readonly [code: number, jt: number, jf: number, k: number];

/** XT_BPF_MAX_NUM_INSTR of linux/netfilter/xt_bpf.h. */
const maxInstructions = 64;

/** Words of scratch memory, BPF_MEMWORDS. */
const memoryWords = 16;

/** One form of the match text: a count and so many instructions. */
const bytecodePattern = /^\d+(?:,\d+ \d+ \d+ \d+)+$/;

/**
 * `count,code jt jf k,…` as iptables-save prints it.
 *
 * @throws {RangeError} when the program is empty or too long or a number does not fit its field.
 */
export function bytecodeOf(program: readonly BpfInstruction[]): string {
  const fits = ([code, jt, jf, k]: BpfInstruction): boolean =>
    isUnsigned(code, 16) && isUnsigned(jt, 8) && isUnsigned(jf, 8) && isUnsigned(k, 32);
  if (program.length === 0 || program.length > maxInstructions || !program.every(fits)) {
    throw new RangeError(
      `Cannot render BPF program of ${program.length} instructions: must have 1 to ${maxInstructions}, ` +
        "each a 16-bit code, two 8-bit jumps and a 32-bit operand",
    );
  }
  return [program.length, ...program.map((instruction) => instruction.join(" "))].join(",");
}

/** The program of a match text, or undefined when the text is malformed. */
export function parseBytecode(bytecode: string): readonly BpfInstruction[] | undefined {
  if (!bytecodePattern.test(bytecode)) {
    return undefined;
  }
  const [count, ...instructions] = bytecode.split(",");
  const program = instructions.map((text): BpfInstruction => {
    const [code = 0, jt = 0, jf = 0, k = 0] = text.split(" ").map(Number);
    return [code, jt, jf, k];
  });
  return Number(count) === program.length && program.length <= maxInstructions ? program : undefined;
}

/**
 * A program that returns non-zero when source and destination address of the packet are equal: after DNAT, a client that
 * was sent to itself.
 */
export function sourceEqualsDestination(family: Family): readonly BpfInstruction[] {
  const [sourceAt, destinationAt, words] = family === "IPv4" ? [12, 16, 1] : [8, 24, 4];
  const program: BpfInstruction[] = [];
  for (let word = 0; word < words; word++) {
    // To the last instruction: over the five of each later word and the "yes" after them.
    const toMismatch = (words - word - 1) * 5 + 1;
    program.push(
      [0x20, 0, 0, sourceAt + word * 4], // A = source word
      [0x02, 0, 0, 0], // M[0] = A
      [0x20, 0, 0, destinationAt + word * 4], // A = destination word
      [0x61, 0, 0, 0], // X = M[0]
      [0x1d, 0, toMismatch, 0], // A == X, else return 0
    );
  }
  return [...program, [0x06, 0, 0, 0xffff], [0x06, 0, 0, 0]];
}

/** The registers of the machine. */
interface Machine {
  a: number;
  x: number;
  readonly memory: Uint32Array;
}

/**
 * What the program returns for the packet. A load beyond the end of the packet and a division by zero end the program
 * with 0, as in the kernel.
 *
 * @throws {RangeError} for an instruction that does not exist or a jump out of the program, which the kernel refuses to load.
 */
export function runBpf(program: readonly BpfInstruction[], packet: Uint8Array): number {
  const machine: Machine = { a: 0, x: 0, memory: new Uint32Array(memoryWords) };
  let at = 0;
  for (;;) {
    const instruction = program[at];
    if (instruction === undefined) {
      throw new RangeError(`Cannot run BPF program: jump to instruction ${at} of ${program.length}`);
    }
    const [code, jt, jf, k] = instruction;
    at++;
    const instructionClass = code & 0x07;
    if (instructionClass === 0x06) {
      return (code & 0x18) === 0x10 ? machine.a : k;
    }
    if (instructionClass === 0x05) {
      // Jumps go forward only, so that every program ends.
      at += jumpDistance(machine, code, jt, jf, k);
    } else if (!execute(machine, code, k, packet)) {
      return 0;
    }
  }
}

/** Executes anything but a jump or return. False: the program ends with 0. */
function execute(machine: Machine, code: number, k: number, packet: Uint8Array): boolean {
  switch (code & 0x07) {
    case 0x00: // BPF_LD
    case 0x01: {
      // BPF_LDX
      const value = load(machine, code, k, packet);
      if (value === undefined) {
        return false;
      }
      machine[(code & 0x07) === 0 ? "a" : "x"] = value;
      return true;
    }
    case 0x02: // BPF_ST
      machine.memory[k] = machine.a;
      return true;
    case 0x03: // BPF_STX
      machine.memory[k] = machine.x;
      return true;
    case 0x04: // BPF_ALU
      return calculate(machine, code, (code & 0x08) === 0 ? k : machine.x);
    default: // BPF_MISC
      if ((code & 0xf8) === 0x80) {
        machine.a = machine.x;
      } else {
        machine.x = machine.a;
      }
      return true;
  }
}

function load(machine: Machine, code: number, k: number, packet: Uint8Array): number | undefined {
  const size = { 0: 4, 8: 2, 16: 1 }[code & 0x18];
  switch (code & 0xe0) {
    case 0x00: // BPF_IMM
      return k;
    case 0x20: // BPF_ABS
      return loadBytes(packet, k, size);
    case 0x40: // BPF_IND
      return loadBytes(packet, machine.x + k, size);
    case 0x60: // BPF_MEM
      return machine.memory[k];
    case 0x80: // BPF_LEN
      return packet.length;
    case 0xa0: {
      // BPF_MSH: four times the header length nibble
      const byte = loadBytes(packet, k, 1);
      return byte === undefined ? undefined : (byte & 0x0f) * 4;
    }
    default:
      throw new RangeError(`Cannot run BPF program: no load instruction ${code}`);
  }
}

function loadBytes(packet: Uint8Array, offset: number, size: number | undefined): number | undefined {
  if (size === undefined || offset + size > packet.length) {
    return undefined;
  }
  let value = 0;
  for (let index = 0; index < size; index++) {
    value = value * 256 + (packet[offset + index] ?? 0);
  }
  return value;
}

function calculate(machine: Machine, code: number, operand: number): boolean {
  const { a } = machine;
  const result = arithmetic(code & 0xf0, a, operand);
  if (result === undefined) {
    return false;
  }
  machine.a = result >>> 0;
  return true;
}

function arithmetic(operation: number, a: number, operand: number): number | undefined {
  switch (operation) {
    case 0x00:
      return a + operand;
    case 0x10:
      return a - operand;
    case 0x20:
      return Math.imul(a, operand);
    case 0x30:
      return operand === 0 ? undefined : Math.floor(a / operand);
    case 0x40:
      return a | operand;
    case 0x50:
      return a & operand;
    case 0x60:
      return a << operand;
    case 0x70:
      return a >>> operand;
    case 0x80:
      return -a;
    case 0x90:
      return operand === 0 ? undefined : a % operand;
    case 0xa0:
      return a ^ operand;
    default:
      throw new RangeError(`Cannot run BPF program: no arithmetic operation ${operation}`);
  }
}

function jumpDistance(machine: Machine, code: number, jt: number, jf: number, k: number): number {
  const operand = (code & 0x08) === 0 ? k : machine.x;
  switch (code & 0xf0) {
    case 0x00:
      return k;
    case 0x10:
      return machine.a === operand ? jt : jf;
    case 0x20:
      return machine.a > operand ? jt : jf;
    case 0x30:
      return machine.a >= operand ? jt : jf;
    case 0x40:
      return (machine.a & operand) === 0 ? jf : jt;
    default:
      throw new RangeError(`Cannot run BPF program: no jump instruction ${code}`);
  }
}

function isUnsigned(value: number, bits: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** bits;
}
