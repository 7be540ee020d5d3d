/**
 * The types a command-line flag can have: how its text is read and how its value is shown.
 *
 * Reading follows Go's `strconv` and kube-proxy's flag library, including their error texts.
 *
 * Pure.
 *
 * @module
 */
import { parseAddress } from "../proxier/address.ts";
import { formatDurationMs, parseDurationMs } from "./duration.ts";
import { splitHostPort } from "./host-port.ts";
import type { VmoduleEntry } from "./proxy-config.ts";
import { quoteText } from "./quote-text.ts";
import { isQuantity } from "./scalar-codecs.ts";

/** One type of flag. */
export interface FlagType<T> {
  /** What the help text calls the value; empty for a switch. */
  readonly label: string;
  /** The text that a flag without `=value` stands for; undefined when it takes the next argument. */
  readonly bareText?: string;
  /**
   * Reads a text. `current` is the value so far: the default, or what an earlier occurrence set. Lists add to it.
   *
   * @throws {SyntaxError} with the reason alone.
   */
  parse(text: string, current: T): T;
  /** The value as text that {@link parse} reads back. */
  print(value: T): string;
}

/** Any text. */
export const textFlag: FlagType<string> = {
  label: "string",
  parse: (text) => text,
  print: (value) => value,
};

/** A switch: `--name`, `--name=true`, `--name=false`; the value never stands in an argument of its own. */
export const switchFlag: FlagType<boolean> = {
  label: "",
  bareText: "true",
  parse: parseBool,
  print: String,
};

/** A whole number from -2^31 to 2^31-1; prefixes `0x`, `0o`, `0b` and `0` choose the base. */
export const int32Flag: FlagType<number> = {
  label: "int32",
  parse(text) {
    const match = /^([+-]?)(?:(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+)|(0[0-7]+)|(0|[1-9][0-9]*))$/.exec(
      text,
    );
    if (match === null) {
      throw numberError("ParseInt", text, "invalid syntax");
    }
    const [, sign, prefixed, octal, decimal] = match;
    const magnitude = Number(prefixed ?? (octal === undefined ? decimal : `0o${octal}`));
    const value = sign === "-" ? 0 - magnitude : magnitude;
    if (value < -(2 ** 31) || value > 2 ** 31 - 1) {
      throw numberError("ParseInt", text, "value out of range");
    }
    return value;
  },
  print: String,
};

/** A decimal number. */
export const floatFlag: FlagType<number> = {
  label: "float32",
  parse(text) {
    if (!/^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(text)) {
      throw numberError("ParseFloat", text, "invalid syntax");
    }
    const value = Number(text);
    if (!Number.isFinite(Math.fround(value))) {
      throw numberError("ParseFloat", text, "value out of range");
    }
    return value;
  },
  print: String,
};

/** A log verbosity, 0 to 2^31-1. */
export const verbosityFlag: FlagType<number> = {
  label: "Level",
  parse: parseVerbosity,
  print: String,
};

/** A duration in milliseconds. */
export const durationFlag: FlagType<number> = {
  label: "duration",
  parse: (text) => parseDurationMs(text),
  print: formatDurationMs,
};

/** An IP address. The empty text changes nothing. */
export const addressFlag: FlagType<string> = {
  label: "ip",
  parse(text, current) {
    if (text !== "" && parseAddress(text) === undefined) {
      throw new SyntaxError(`${quoteText(text)} is not a valid IP address`);
    }
    return text || current;
  },
  print: (value) => value,
};

/** An IP address with or without a port. The empty text changes nothing. */
export const addressPortFlag: FlagType<string> = {
  label: "ipport",
  parse(text, current) {
    if (text === "" || parseAddress(text) !== undefined) {
      return text || current;
    }
    const parts = splitHostPort(text);
    if (parts === undefined) {
      throw new SyntaxError(`${quoteText(text)} is not in a valid format (ip or ip:port)`);
    }
    if (parseAddress(parts.host) === undefined) {
      throw new SyntaxError(`${quoteText(parts.host)} is not a valid IP address`);
    }
    if (!/^[0-9]{1,5}$/.test(parts.port) || Number(parts.port) > 65_535) {
      throw new SyntaxError(`${quoteText(parts.port)} is not a valid number`);
    }
    return text;
  },
  print: (value) => value,
};

/** A list: split on commas, fields with commas in double quotes. Further occurrences append. */
export const listFlag: FlagType<readonly string[]> = {
  label: "strings",
  parse: (text, current) => [...current, ...splitCsv(text)],
  print: (value) => value.map(quoteCsv).join(","),
};

/** Feature gates, `A=true,B=false`. Further occurrences add and replace. */
export const gatesFlag: FlagType<ReadonlyMap<string, boolean>> = {
  label: "mapStringBool",
  parse(text, current) {
    const gates = new Map(current);
    for (const pair of text.split(",").filter((one) => one !== "")) {
      const [name, value] = splitOnce(pair, "=");
      if (value === undefined) {
        throw new SyntaxError("malformed pair, expect string=bool");
      }
      gates.set(name.trim(), gateValue(name.trim(), value.trim()));
    }
    return gates;
  },
  print: (value) =>
    [...value]
      .map(([name, on]) => `${name}=${on}`)
      .sort()
      .join(","),
};

/** Verbosities by file, `pattern=N,…`. Further occurrences append. */
export const vmoduleFlag: FlagType<readonly VmoduleEntry[]> = {
  label: "pattern=N,...",
  parse(text, current) {
    const entries = text.split(",").filter((one) => one !== "");
    return [...current, ...entries.map(parseVmoduleEntry)];
  },
  print: (value) => value.map(({ filePattern, verbosity }) => `${filePattern}=${verbosity}`).join(","),
};

/** A Kubernetes quantity such as `64Ki`. */
export const quantityFlag: FlagType<string> = {
  label: "quantity",
  parse(text) {
    if (!isQuantity(text)) {
      throw new SyntaxError("quantities must be a number with an optional suffix such as Ki or M");
    }
    return text;
  },
  print: (value) => value,
};

/** `--version`: a switch that also takes `raw`, or the version to report instead of the own one. */
export const versionFlag: FlagType<string> = {
  label: "version[=true]",
  bareText: "true",
  parse(text) {
    if (text === "raw" || /^v[0-9]+\.[0-9]+\.[0-9]+(?:[-+][0-9A-Za-z.+-]*)?$/.test(text)) {
      return text;
    }
    return String(parseBool(text));
  },
  print: (value) => value,
};

/** One of a few words. */
export function wordFlag<T extends string>(words: readonly T[]): FlagType<T> {
  return {
    label: words.join("|"),
    parse(text) {
      const found = words.find((word) => word === text);
      if (found === undefined) {
        throw new SyntaxError(`must be ${words.join(" or ")}`);
      }
      return found;
    },
    print: (value) => value,
  };
}

const trueTexts: readonly string[] = ["1", "t", "T", "TRUE", "true", "True"];
const falseTexts: readonly string[] = ["0", "f", "F", "FALSE", "false", "False"];

/** Whether Go reads the text as a boolean. */
export function isBoolText(text: string): boolean {
  return trueTexts.includes(text) || falseTexts.includes(text);
}

function parseBool(text: string): boolean {
  if (!isBoolText(text)) {
    throw numberError("ParseBool", text, "invalid syntax");
  }
  return trueTexts.includes(text);
}

function parseVerbosity(text: string): number {
  if (!/^[0-9]+$/.test(text)) {
    throw numberError("ParseUint", text, "invalid syntax");
  }
  if (Number(text) > 2 ** 31 - 1) {
    throw numberError("ParseUint", text, "value out of range");
  }
  return Number(text);
}

function numberError(parser: string, text: string, reason: string): SyntaxError {
  return new SyntaxError(`strconv.${parser}: parsing ${quoteText(text)}: ${reason}`);
}

function gateValue(name: string, text: string): boolean {
  try {
    return parseBool(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SyntaxError(`invalid value of ${name}: ${text}, err: ${reason}`, { cause });
  }
}

function parseVmoduleEntry(text: string): VmoduleEntry {
  const parts = text.split("=");
  const [filePattern = "", level = ""] = parts;
  if (parts.length !== 2 || filePattern === "" || level === "") {
    throw new SyntaxError(`${quoteText(text)} does not have the pattern=N format`);
  }
  return { filePattern, verbosity: parseVerbosity(level) };
}

function splitOnce(text: string, separator: string): readonly [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** The fields of one line of CSV (RFC 4180); the empty text has none. */
function splitCsv(text: string): readonly string[] {
  if (text === "") {
    return [];
  }
  const fields: string[] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  let separator = ",";
  while (separator === ",") {
    const match = field.exec(text);
    if (match === null) {
      throw new SyntaxError(`a quote is out of place in the list ${quoteText(text)}`);
    }
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? "");
    separator = match[3] ?? "";
  }
  return fields;
}

function quoteCsv(field: string): string {
  return /[",]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}
