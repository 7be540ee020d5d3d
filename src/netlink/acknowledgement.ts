/**
 * Decodes the two messages that end an exchange: the acknowledgement of a request, which is an "error" of number 0,
 * and the end of a dump.
 *
 * Pure. Layout: nlmsgerr of linux/netlink.h. Behind the number comes the header of the request, then (unless the
 * message is flagged as capped) the request's payload, then the attributes of the extended acknowledgement. Where they
 * begin depends on that flag and never on what was asked of the socket: ipset repeats a failed batch in full although
 * the socket asked for capped messages.
 *
 * @module
 */
import { AttributeReader } from "./attribute-reader.ts";
import { KernelError } from "./kernel-error.ts";
import {
  align,
  hostIsLittleEndian,
  messageFlags,
  messageHeaderLength,
  type NetlinkMessage,
} from "./message.ts";

/** Attributes of the extended acknowledgement (NLMSGERR_ATTR_*). */
const attribute = { message: 1 } as const;

/** How a request ended. */
export interface Acknowledgement {
  /** 0 for success, else a positive error number. */
  readonly errno: number;
  /** The kernel's own words about the failure, where it has any. */
  readonly text: string | undefined;
  /** The request as the kernel repeated it: offsets of its payload in the message's view. */
  readonly echo: { readonly start: number; readonly end: number } | undefined;
}

/**
 * Decodes a message of type error.
 *
 * @throws {KernelError} "truncated"
 */
export function decodeAcknowledgement(message: NetlinkMessage): Acknowledgement {
  const { view, start, end, flags } = message;
  const header = start + 4;
  if (end < header + messageHeaderLength) {
    throw new KernelError("truncated", "read an acknowledgement", { detail: `it has ${end - start} bytes` });
  }
  const errno = Math.abs(view.getInt32(start, hostIsLittleEndian));
  const payload = header + messageHeaderLength;
  const capped = (flags & messageFlags.capped) !== 0;
  const requestEnd = capped ? payload : header + view.getUint32(header, hostIsLittleEndian);
  // A repetition that does not fit costs the text, not the number, which is what callers decide on.
  if (requestEnd < payload || requestEnd > end) return { errno, text: undefined, echo: undefined };
  const extended = (flags & messageFlags.extendedAck) !== 0;
  const attributes = header + align(requestEnd - header);
  return {
    errno,
    text: extended ? readText(new AttributeReader(view, attributes, end)) : undefined,
    echo: requestEnd > payload ? { start: payload, end: requestEnd } : undefined,
  };
}

/**
 * Decodes a message of type done: the status that a dump ended with.
 *
 * @throws {KernelError} "truncated"
 */
export function decodeDone(message: NetlinkMessage): Acknowledgement {
  const { view, start, end, flags } = message;
  // Old kernels send no status with the end of some dumps.
  if (end - start < 4) return { errno: 0, text: undefined, echo: undefined };
  const extended = (flags & messageFlags.extendedAck) !== 0;
  return {
    errno: Math.abs(view.getInt32(start, hostIsLittleEndian)),
    text: extended ? readText(new AttributeReader(view, start + 4, end)) : undefined,
    echo: undefined,
  };
}

function readText(reader: AttributeReader): string | undefined {
  let text: string | undefined;
  while (reader.next()) {
    if (reader.type === attribute.message) text = reader.string();
  }
  reader.finish("read an extended acknowledgement");
  return text;
}
