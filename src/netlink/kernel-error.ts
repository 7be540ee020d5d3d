/**
 * The error of a request that the kernel, or a tool that drives it, did not carry out.
 *
 * Callers decide on `code` alone. `errno` and the kernel's own words are kept for logs, because the same number
 * means different things to different subsystems: what it means to a caller is settled here, once, and where a
 * request gives a number a meaning of its own it carries that meaning along (`NetlinkRequest.codes`).
 *
 * Pure: numbers in, values out.
 *
 * @module
 */

/** What a caller may decide on. Never the message, never the number. */
export type KernelErrorCode =
  /** The thing asked for, or asked to be removed, is not there. */
  | "not-found"
  /** The thing to be added is there already. */
  | "exists"
  /** In use, locked, or changed meanwhile: the same call may succeed next time. */
  | "busy"
  /** The kernel or the tool cannot do this at all: do not retry. */
  | "unsupported"
  /** The process lacks the capability for it: do not retry. */
  | "denied"
  /** A table, a set or memory has no room for it. */
  | "full"
  /** The kernel found the request wrong: a bug on our side. */
  | "rejected"
  /** The answer was lost, so nobody knows whether the request was carried out: read the state back. */
  | "lost"
  /** An answer that does not decode. */
  | "truncated";

/** What is known about a failure beside its code. */
export interface KernelErrorOptions {
  /** Positive error number, or one of ipset's own codes (4096 and up). */
  readonly errno?: number;
  /** The text of the kernel's extended acknowledgement. */
  readonly extendedAck?: string;
  /** Replaces the description that the number and the text would give. */
  readonly detail?: string;
  readonly cause?: unknown;
}

/** A request that was not carried out, or may not have been. */
export class KernelError extends Error {
  override readonly name: string = "KernelError";
  readonly code: KernelErrorCode;
  /** What was attempted, to be read after "Cannot": `add address 10.96.0.10/32 to interface 4`. */
  readonly operation: string;
  readonly errno: number | undefined;
  readonly extendedAck: string | undefined;

  constructor(code: KernelErrorCode, operation: string, options: KernelErrorOptions = {}) {
    super(
      `Cannot ${operation}: ${describe(code, options)}`,
      "cause" in options ? { cause: options.cause } : undefined,
    );
    this.code = code;
    this.operation = operation;
    this.errno = options.errno;
    this.extendedAck = options.extendedAck;
  }
}

/** True for a `KernelError`, of the code given or of any. */
export function isKernelError(error: unknown, code?: KernelErrorCode): error is KernelError {
  return error instanceof KernelError && (code === undefined || error.code === code);
}

/**
 * Makes the error for a number that the kernel answered.
 *
 * @param errno Positive error number.
 * @param codes What a number means to this request, where that differs from the general table.
 */
export function kernelErrorFromErrno(
  errno: number,
  operation: string,
  options: { readonly codes?: ErrnoCodes | undefined; readonly extendedAck?: string | undefined } = {},
): KernelError {
  const code = options.codes?.[errno] ?? errnoTable.get(errno)?.code ?? "rejected";
  return new KernelError(code, operation, {
    errno,
    ...(options.extendedAck === undefined ? {} : { extendedAck: options.extendedAck }),
  });
}

/** Error number to code, for the numbers that a request gives a meaning of its own. */
export type ErrnoCodes = Readonly<Record<number, KernelErrorCode>>;

/** The symbolic name of a number: `ENOENT`, `IPSET_ERR_EXIST`, or `errno 999` for one not in the table. */
export function errnoName(errno: number): string {
  return errnoTable.get(errno)?.name ?? `errno ${errno}`;
}

/** The numbers that this folder itself has to tell apart (asm-generic/errno.h, the same on all of Node's platforms). */
export const errnos = {
  ENOENT: 2,
  EINTR: 4,
  EBADF: 9,
  EAGAIN: 11,
  EBUSY: 16,
  EEXIST: 17,
  EINVAL: 22,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  ENOBUFS: 105,
} as const;

/** ipset's own codes that mean different things to different commands (linux/netfilter/ipset/ip_set.h). */
export const ipsetErrnos = {
  /** RENAME: the new name is taken. SWAP: the second set does not exist. */
  EXIST_SETNAME2: 4101,
  /** ADD: the entry is there already. DEL and TEST: it is not there. */
  EXIST: 4103,
  /** The first of the codes that belong to the set's type: a hash is full, a bitmap does not reach that far. */
  TYPE_SPECIFIC: 4352,
} as const;

/** Every number known here, with its name and what it means unless the request says otherwise. */
export const errnoTable: ReadonlyMap<number, { readonly name: string; readonly code: KernelErrorCode }> =
  new Map(
    (
      [
        [1, "EPERM", "denied"],
        [2, "ENOENT", "not-found"],
        [3, "ESRCH", "not-found"],
        [4, "EINTR", "busy"],
        [6, "ENXIO", "not-found"],
        [7, "E2BIG", "full"],
        [9, "EBADF", "rejected"],
        [11, "EAGAIN", "busy"],
        [12, "ENOMEM", "full"],
        [13, "EACCES", "denied"],
        [16, "EBUSY", "busy"],
        [17, "EEXIST", "exists"],
        [19, "ENODEV", "not-found"],
        [22, "EINVAL", "rejected"],
        [23, "ENFILE", "full"],
        [24, "EMFILE", "full"],
        [28, "ENOSPC", "full"],
        [34, "ERANGE", "rejected"],
        [38, "ENOSYS", "unsupported"],
        [85, "ERESTART", "busy"],
        [90, "EMSGSIZE", "rejected"],
        [93, "EPROTONOSUPPORT", "unsupported"],
        [95, "EOPNOTSUPP", "unsupported"],
        [97, "EAFNOSUPPORT", "unsupported"],
        [99, "EADDRNOTAVAIL", "not-found"],
        [101, "ENETUNREACH", "not-found"],
        [105, "ENOBUFS", "lost"],
        [4097, "IPSET_ERR_PROTOCOL", "rejected"],
        [4098, "IPSET_ERR_FIND_TYPE", "unsupported"],
        [4099, "IPSET_ERR_MAX_SETS", "full"],
        [4100, "IPSET_ERR_BUSY", "busy"],
        [4101, "IPSET_ERR_EXIST_SETNAME2", "exists"],
        [4102, "IPSET_ERR_TYPE_MISMATCH", "rejected"],
        [4103, "IPSET_ERR_EXIST", "exists"],
        [4104, "IPSET_ERR_INVALID_CIDR", "rejected"],
        [4105, "IPSET_ERR_INVALID_NETMASK", "rejected"],
        [4106, "IPSET_ERR_INVALID_FAMILY", "rejected"],
        [4107, "IPSET_ERR_TIMEOUT", "rejected"],
        [4108, "IPSET_ERR_REFERENCED", "busy"],
        [4109, "IPSET_ERR_IPADDR_IPV4", "rejected"],
        [4110, "IPSET_ERR_IPADDR_IPV6", "rejected"],
        [4111, "IPSET_ERR_COUNTER", "rejected"],
        [4112, "IPSET_ERR_COMMENT", "rejected"],
        [4113, "IPSET_ERR_INVALID_MARKMASK", "rejected"],
        [4114, "IPSET_ERR_SKBINFO", "rejected"],
        [4352, "IPSET_ERR_HASH_FULL", "full"],
        [4353, "IPSET_ERR_HASH_ELEM", "rejected"],
        [4354, "IPSET_ERR_INVALID_PROTO", "rejected"],
        [4355, "IPSET_ERR_MISSING_PROTO", "rejected"],
      ] satisfies readonly (readonly [number, string, KernelErrorCode])[]
    ).map(([errno, name, code]) => [errno, { name, code }]),
  );

function describe(code: KernelErrorCode, options: KernelErrorOptions): string {
  if (options.detail !== undefined) return options.detail;
  const name = options.errno === undefined ? code : errnoName(options.errno);
  return options.extendedAck === undefined ? name : `${name}: ${options.extendedAck}`;
}
