/**
 * Reads netlink attributes, with one check at the end instead of one per field.
 *
 * Pure. The reader is a cursor with a sticky error: once something does not decode, `next()` is false, numbers read as
 * 0 and texts as empty, and `finish()` throws. A nested reader shares the error of the one it came from. Unknown
 * attributes are skipped by not asking for them, so newer kernels are understood.
 *
 * Invariants
 * - Nothing is read outside the window, whatever the bytes say, and every step moves forward: random bytes end in a
 *   value or in a `KernelError` "truncated".
 * - The two flag bits are masked off the type: kernels set them inconsistently.
 *
 * @module
 */
import { attributeHeaderLength } from "./attribute-writer.ts";
import { KernelError } from "./kernel-error.ts";
import { align, hostIsLittleEndian, type NetlinkMessage, payloadOf } from "./message.ts";

/** The type without its flag bits. */
const typeMask = 0x3fff;

const decoder = new TextDecoder();

/**
 * For the one loop that must not even allocate a reader (flow-view.ts): the length of the attribute at an offset,
 * header included.
 *
 * @param end Offset behind the attributes; at least a header's length from `offset`.
 * @throws {KernelError} "truncated" if the attribute passes the end.
 */
export function attributeLengthAt(view: DataView, offset: number, end: number): number {
  const length = view.getUint16(offset, hostIsLittleEndian);
  if (length < attributeHeaderLength || length > end - offset) {
    const detail = `an attribute claims ${length} bytes, ${end - offset} are left`;
    throw new KernelError("truncated", "read netlink attributes", { detail });
  }
  return length;
}

/** The type of the attribute at an offset, without flag bits. */
export function attributeTypeAt(view: DataView, offset: number): number {
  return view.getUint16(offset + 2, hostIsLittleEndian) & typeMask;
}

/** Walks through the attributes of a payload or of a nested attribute. */
export class AttributeReader {
  readonly #view: DataView;
  readonly #parent: AttributeReader | undefined;
  #position: number;
  readonly #end: number;
  #start = 0;
  #length = 0;
  #type = 0;
  #error: string | undefined;

  /**
   * @param view Bytes around the attributes.
   * @param start Offset of the first attribute.
   * @param end Offset behind the last one.
   */
  constructor(view: DataView, start: number, end: number, parent?: AttributeReader) {
    this.#view = view;
    this.#position = start;
    this.#end = end;
    this.#parent = parent;
    if (start > end) this.#fail(`the fixed header ends at ${start}, the payload at ${end}`);
  }

  /** The attributes of a message behind the subsystem's fixed header of `headerLength` bytes. */
  static of(message: NetlinkMessage, headerLength: number): AttributeReader {
    return new AttributeReader(message.view, message.start + headerLength, message.end);
  }

  /** Moves to the next attribute. False at the end, and for ever after an error. */
  next(): boolean {
    const left = this.#end - this.#position;
    // Less than a header can only be padding: the kernel itself stops there (nla_ok).
    if (this.failed || left < attributeHeaderLength) return false;
    const length = this.#view.getUint16(this.#position, hostIsLittleEndian);
    if (length < attributeHeaderLength || length > left) {
      this.#fail(`an attribute claims ${length} bytes, ${left} are left`);
      return false;
    }
    this.#type = this.#view.getUint16(this.#position + 2, hostIsLittleEndian) & typeMask;
    this.#start = this.#position + attributeHeaderLength;
    this.#length = length - attributeHeaderLength;
    this.#position += align(length);
    return true;
  }

  /** Type of the attribute, without flag bits. */
  get type(): number {
    return this.#type;
  }

  /** Bytes of the attribute's value. */
  get length(): number {
    return this.#length;
  }

  /** True once something did not decode, here or in a reader that shares the error. */
  get failed(): boolean {
    return this.#root().#error !== undefined;
  }

  u8(): number {
    return this.#holds(1) ? this.#view.getUint8(this.#start) : 0;
  }

  /** 16 bits in host order. */
  u16(): number {
    return this.#holds(2) ? this.#view.getUint16(this.#start, hostIsLittleEndian) : 0;
  }

  /** 32 bits in host order. */
  u32(): number {
    return this.#holds(4) ? this.#view.getUint32(this.#start, hostIsLittleEndian) : 0;
  }

  /** 64 bits in host order. */
  u64(): bigint {
    return this.#holds(8) ? this.#view.getBigUint64(this.#start, hostIsLittleEndian) : 0n;
  }

  /** 16 bits in network order. */
  be16(): number {
    return this.#holds(2) ? this.#view.getUint16(this.#start) : 0;
  }

  /** 32 bits in network order. */
  be32(): number {
    return this.#holds(4) ? this.#view.getUint32(this.#start) : 0;
  }

  /** 64 bits in network order. */
  be64(): bigint {
    return this.#holds(8) ? this.#view.getBigUint64(this.#start) : 0n;
  }

  /** The value, sharing the message's memory. */
  bytes(): Uint8Array {
    return payloadOf({ view: this.#view, start: this.#start, end: this.#start + this.#length });
  }

  /** Text up to the first NUL, or all of it where there is none. */
  string(): string {
    const bytes = this.bytes();
    const end = bytes.indexOf(0);
    return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
  }

  /** A reader for the attributes inside this one. */
  nested(): AttributeReader {
    return new AttributeReader(this.#view, this.#start, this.#start + this.#length, this);
  }

  /** Marks what was read as undecodable, for rules that the reader cannot know. Ignored after an earlier error. */
  reject(reason: string): void {
    this.#fail(reason);
  }

  /**
   * The one check, after all reading.
   *
   * @throws {KernelError} "truncated" if something did not decode.
   */
  finish(operation: string): void {
    const detail = this.#root().#error;
    if (detail !== undefined) throw new KernelError("truncated", operation, { detail });
  }

  #holds(length: number): boolean {
    if (this.#length === length) return !this.failed;
    this.#fail(`attribute ${this.#type} has ${this.#length} bytes in place of ${length}`);
    return false;
  }

  #fail(reason: string): void {
    const root = this.#root();
    root.#error ??= reason;
  }

  #root(): AttributeReader {
    return this.#parent === undefined ? this : this.#parent.#root();
  }
}
