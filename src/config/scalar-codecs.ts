/**
 * Codecs of the scalar fields: texts, booleans, numbers, durations, quantities and closed lists of words.
 *
 * Types are as strict as kube-proxy's: no string counts as a number, no number as a string.
 *
 * @module
 */
import { type Codec, type DecodeReport, reportWrongType } from "./codec.ts";
import type { DocumentNode } from "./document.ts";
import { formatDurationMs, nanosecondsToMs, parseDurationMs } from "./duration.ts";
import { unsupportedValue } from "./field-error.ts";

/** A string; zero is the empty one. */
export const text: Codec<string> = {
  absent: "",
  decode(node, path, report) {
    if (typeof node.value === "string") {
      return node.value;
    }
    reportWrongType("a string", node, path, report);
    return "";
  },
  encode: (value) => value,
};

/** A boolean; zero is false. */
export const bool: Codec<boolean> = {
  absent: false,
  decode(node, path, report) {
    if (typeof node.value === "boolean") {
      return node.value;
    }
    reportWrongType("a boolean", node, path, report);
    return false;
  },
  encode: (value) => value,
};

/** A whole number from -2^31 to 2^31-1. */
export const int32: Codec<number> = integer("a 32-bit integer", -(2 ** 31), 2 ** 31 - 1);

/** A whole number from 0 to 2^32-1. */
export const uint32: Codec<number> = integer("an unsigned 32-bit integer", 0, 2 ** 32 - 1);

function integer(expected: string, least: number, greatest: number): Codec<number> {
  return {
    absent: 0,
    decode(node, path, report) {
      const { value } = node;
      if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= greatest) {
        return value;
      }
      reportWrongType(expected, node, path, report);
      return 0;
    },
    encode: (value) => value,
  };
}

const MAX_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;

/** A number in the range of a 32-bit float. It is kept as it was written, not rounded to one. */
export const float32: Codec<number> = {
  absent: 0,
  decode(node, path, report) {
    const { value } = node;
    if (typeof value === "number" && Math.abs(value) <= MAX_FLOAT32) {
      return value;
    }
    reportWrongType("a 32-bit floating-point number", node, path, report);
    return 0;
  },
  encode: (value) => value,
};

const durationExpected = 'a duration string such as "30s"';

/** A duration in milliseconds. Only strings will do: `30` is refused, because its unit is anybody's guess. */
export const durationMs: Codec<number> = {
  absent: 0,
  decode(node, path, report) {
    if (typeof node.value === "string") {
      return durationOf(node.value, node, path, report);
    }
    reportWrongType(durationExpected, node, path, report);
    return 0;
  },
  encode: formatDurationMs,
};

/** A duration in milliseconds that may also be written as a whole number of nanoseconds. */
export const durationOrNanosecondsMs: Codec<number> = {
  absent: 0,
  decode(node, path, report) {
    const { value } = node;
    if (typeof value === "string") {
      return durationOf(value, node, path, report);
    }
    if (typeof value === "number" && Number.isInteger(value) && Math.abs(value) < 2 ** 63) {
      return nanosecondsToMs(BigInt(value));
    }
    reportWrongType(`${durationExpected} or a number of nanoseconds`, node, path, report);
    return 0;
  },
  encode: formatDurationMs,
};

function durationOf(value: string, node: DocumentNode, path: string, report: DecodeReport): number {
  try {
    return parseDurationMs(value);
  } catch (error) {
    if (!(error instanceof SyntaxError)) {
      throw error;
    }
    report.errors.push(`${path}: ${error.message} (line ${node.line})`);
    return 0;
  }
}

const quantityForm = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$/;

/** Whether the text is a Kubernetes quantity such as `0`, `512`, `64Ki` or `1.5M`. */
export function isQuantity(value: string): boolean {
  return quantityForm.test(value);
}

/** Whether a quantity is zero, whatever its suffix. */
export function isZeroQuantity(value: string): boolean {
  return !/^[+-]?[0-9.]*[1-9]/.test(value);
}

/** A Kubernetes quantity, kept as it was written. */
export const quantity: Codec<string> = {
  absent: "0",
  decode(node, path, report) {
    const written = typeof node.value === "number" ? String(node.value) : node.value;
    if (typeof written === "string" && isQuantity(written)) {
      return written;
    }
    reportWrongType('a quantity such as "64Ki"', node, path, report);
    return "0";
  },
  encode: (value) => value,
};

/** One of a few words; the first is the default. */
export function oneOf<T extends string>(words: readonly [T, ...T[]]): Codec<T> {
  const [first] = words;
  return {
    absent: first,
    decode(node, path, report) {
      const found = words.find((word) => word === node.value);
      if (found !== undefined) {
        return found;
      }
      if (typeof node.value === "string") {
        report.errors.push(unsupportedValue(path, node.value, words));
      } else {
        reportWrongType("a string", node, path, report);
      }
      return first;
    },
    encode: (value) => value,
  };
}
