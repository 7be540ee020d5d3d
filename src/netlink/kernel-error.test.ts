/**
 * Numbers of the kernel, and what callers are told of them.
 *
 * @module
 */
import { expect, test } from "vitest";
import {
  errnoName,
  errnos,
  errnoTable,
  ipsetErrnos,
  isKernelError,
  KernelError,
  type KernelErrorCode,
  kernelErrorFromErrno,
} from "./kernel-error.ts";

/** A number that the kernel answers for each code; undefined for the code that no number stands for. */
const numberOf: Readonly<Record<KernelErrorCode, number | undefined>> = {
  "not-found": 2,
  exists: 17,
  busy: 16,
  unsupported: 95,
  denied: 1,
  full: 28,
  rejected: 22,
  lost: 105,
  truncated: undefined,
};

test("kernelErrorFromErrno() reaches every code that a number can stand for", () => {
  for (const [code, errno] of Object.entries(numberOf)) {
    if (errno !== undefined) expect(kernelErrorFromErrno(errno, "try").code).toBe(code);
  }
  const reached = new Set([...errnoTable.values()].map(({ code }) => code));
  expect([...reached, "truncated"].toSorted()).toEqual(Object.keys(numberOf).toSorted());
});

test.each([
  [1, "EPERM", "denied"],
  [2, "ENOENT", "not-found"],
  [3, "ESRCH", "not-found"],
  [16, "EBUSY", "busy"],
  [17, "EEXIST", "exists"],
  [19, "ENODEV", "not-found"],
  [22, "EINVAL", "rejected"],
  [85, "ERESTART", "busy"],
  [90, "EMSGSIZE", "rejected"],
  [95, "EOPNOTSUPP", "unsupported"],
  [97, "EAFNOSUPPORT", "unsupported"],
  [99, "EADDRNOTAVAIL", "not-found"],
  [101, "ENETUNREACH", "not-found"],
  [105, "ENOBUFS", "lost"],
  [4098, "IPSET_ERR_FIND_TYPE", "unsupported"],
  [4100, "IPSET_ERR_BUSY", "busy"],
  [4103, "IPSET_ERR_EXIST", "exists"],
  [4352, "IPSET_ERR_HASH_FULL", "full"],
])("kernelErrorFromErrno() takes %i, %s, for %s", (errno, name, code) => {
  const error = kernelErrorFromErrno(errno, "add a thing");
  expect(error).toMatchObject({ code, errno, message: `Cannot add a thing: ${name}` });
});

test("kernelErrorFromErrno() takes a number it does not know for a rejection", () => {
  expect(kernelErrorFromErrno(999, "try")).toMatchObject({
    code: "rejected",
    message: "Cannot try: errno 999",
  });
  expect(errnoName(999)).toBe("errno 999");
});

test("kernelErrorFromErrno() lets the request say what a number means", () => {
  const codes = { [errnos.ENOENT]: "unsupported" } as const;
  expect(kernelErrorFromErrno(errnos.ENOENT, "try", { codes }).code).toBe("unsupported");
  expect(kernelErrorFromErrno(errnos.EEXIST, "try", { codes }).code).toBe("exists");
});

test("kernelErrorFromErrno() adds the kernel's own words", () => {
  const error = kernelErrorFromErrno(22, "add a route", { extendedAck: "Invalid prefsrc address" });
  expect(error.message).toBe("Cannot add a route: EINVAL: Invalid prefsrc address");
  expect(error.extendedAck).toBe("Invalid prefsrc address");
});

test("KernelError keeps a cause only if there is one", () => {
  const cause = new Error("reason");
  expect(new KernelError("busy", "try", { cause })).toMatchObject({ cause, message: "Cannot try: busy" });
  expect("cause" in new KernelError("busy", "try")).toBe(false);
  expect(new KernelError("busy", "try", { detail: "in use", errno: 16 }).message).toBe("Cannot try: in use");
});

test("isKernelError() tells kernel errors from others, and one code from another", () => {
  const error = new KernelError("busy", "try");
  expect(isKernelError(error)).toBe(true);
  expect(isKernelError(error, "busy")).toBe(true);
  expect(isKernelError(error, "exists")).toBe(false);
  expect(isKernelError(new Error("busy"))).toBe(false);
  expect(isKernelError(undefined)).toBe(false);
});

test("errnos and ipsetErrnos are numbers that the table knows by the same name", () => {
  for (const [name, errno] of Object.entries(errnos)) expect(errnoName(errno)).toBe(name);
  expect(errnoName(ipsetErrnos.EXIST)).toBe("IPSET_ERR_EXIST");
  expect(errnoName(ipsetErrnos.EXIST_SETNAME2)).toBe("IPSET_ERR_EXIST_SETNAME2");
  expect(errnoTable.has(ipsetErrnos.TYPE_SPECIFIC)).toBe(true);
});
