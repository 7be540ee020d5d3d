/**
 * Writes netlink attributes: the type-length-value records that payloads are made of.
 *
 * Pure. The writer owns a buffer that grows, and writes numbers in the byte order that the method names: plain for
 * host order (netlink, rtnetlink, IPVS), `be` for network order (nfnetlink, ports everywhere).
 *
 * Invariants
 * - A value that does not fit its field is a `RangeError`, never a wrapped number: a port of 70000 must not become 4464.
 * - Nested attributes carry `NLA_F_NESTED`. Some subsystems insist on it and none objects.
 *
 * Layout: nlattr of linux/netlink.h.
 *
 * @module
 */
import { align, hostIsLittleEndian, viewOf } from "./message.ts";

/** Bits that share the field of an attribute's type. */
export const attributeFlags = {
  nested: 0x8000,
  /** The value is in network byte order. ipset insists on it, the other subsystems do without. */
  networkOrder: 0x4000,
} as const;

/** Bytes of an attribute's header. */
export const attributeHeaderLength = 4;

/** The length field has 16 bits and counts the header. */
const maximumAttributeLength = 0xffff;

const noHead = new Uint8Array(0);

const encoder = new TextEncoder();

/** Builds a payload: first the subsystem's fixed header, then attributes in the order of the calls. */
export class AttributeWriter {
  #bytes = new Uint8Array(128);
  #view = viewOf(this.#bytes);
  #length = 0;

  /** @param head The fixed header before the attributes; its length is a multiple of four. */
  constructor(head: Uint8Array = noHead) {
    const start = this.#extend(head.length);
    this.#bytes.set(head, start);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  u8(type: number, value: number): this {
    const at = this.#claim(type, 1);
    this.#view.setUint8(at, unsigned(type, value, 8));
    return this;
  }

  /** 16 bits in host order. */
  u16(type: number, value: number): this {
    const at = this.#claim(type, 2);
    this.#view.setUint16(at, unsigned(type, value, 16), hostIsLittleEndian);
    return this;
  }

  /** 32 bits in host order. */
  u32(type: number, value: number): this {
    const at = this.#claim(type, 4);
    this.#view.setUint32(at, unsigned(type, value, 32), hostIsLittleEndian);
    return this;
  }

  /** 64 bits in host order. */
  u64(type: number, value: bigint): this {
    const at = this.#claim(type, 8);
    this.#view.setBigUint64(at, unsigned64(type, value), hostIsLittleEndian);
    return this;
  }

  /** 16 bits in network order. */
  be16(type: number, value: number): this {
    const at = this.#claim(type, 2);
    this.#view.setUint16(at, unsigned(type, value, 16));
    return this;
  }

  /** 32 bits in network order. */
  be32(type: number, value: number): this {
    const at = this.#claim(type, 4);
    this.#view.setUint32(at, unsigned(type, value, 32));
    return this;
  }

  /** 64 bits in network order. */
  be64(type: number, value: bigint): this {
    const at = this.#claim(type, 8);
    this.#view.setBigUint64(at, unsigned64(type, value));
    return this;
  }

  /** Bytes as they are: addresses, opaque structures. */
  bytes(type: number, value: Uint8Array): this {
    const start = this.#claim(type, value.length);
    this.#bytes.set(value, start);
    return this;
  }

  /** Text in UTF-8 and the NUL that ends it. */
  string(type: number, value: string): this {
    if (value.includes("\0")) {
      throw new RangeError(`Cannot write attribute ${type}: ${JSON.stringify(value)} contains a NUL`);
    }
    const text = encoder.encode(value);
    const start = this.#claim(type, text.length + 1);
    this.#bytes.set(text, start);
    return this;
  }

  /** An attribute that holds attributes: those that `write` adds. */
  nested(type: number, write: (inner: this) => void): this {
    const start = this.#extend(attributeHeaderLength);
    write(this);
    const length = this.#length - start;
    checkLength(type, length);
    this.#view.setUint16(start, length, hostIsLittleEndian);
    this.#view.setUint16(start + 2, type | attributeFlags.nested, hostIsLittleEndian);
    return this;
  }

  /** The bytes written. The writer must not be used afterwards: they share its memory. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Writes an attribute's header and returns the offset where its value of `length` bytes goes. */
  #claim(type: number, length: number): number {
    const total = attributeHeaderLength + length;
    checkLength(type, total);
    const start = this.#extend(align(total));
    this.#view.setUint16(start, total, hostIsLittleEndian);
    this.#view.setUint16(start + 2, type, hostIsLittleEndian);
    return start + attributeHeaderLength;
  }

  /** Makes room for `length` bytes, all zero, and returns the offset of the first. */
  #extend(length: number): number {
    const start = this.#length;
    const needed = start + length;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = viewOf(larger);
    }
    this.#length = needed;
    return start;
  }
}

function unsigned(type: number, value: number, bits: 8 | 16 | 32): number {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits) {
    throw new RangeError(`Cannot write attribute ${type}: ${value} is not an unsigned ${bits}-bit number`);
  }
  return value;
}

function unsigned64(type: number, value: bigint): bigint {
  if (BigInt.asUintN(64, value) !== value) {
    throw new RangeError(`Cannot write attribute ${type}: ${value} is not an unsigned 64-bit number`);
  }
  return value;
}

function checkLength(type: number, length: number): void {
  if (length > maximumAttributeLength) {
    throw new RangeError(
      `Cannot write attribute ${type}: ${length} bytes, an attribute holds ${maximumAttributeLength}`,
    );
  }
}
