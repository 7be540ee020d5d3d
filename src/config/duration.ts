/**
 * Durations in Go's notation (`1h30m`, `1.5s`, `-100ms`), the form of every period in a kube-proxy configuration.
 *
 * The grammar is that of Go's `time.ParseDuration`: an optional sign, then pairs of a decimal number and a unit; a
 * value is a signed 64-bit count of nanoseconds. Text is parsed exactly, as a bigint. In memory a duration is a
 * number of milliseconds, which may have a fraction: it is exact to the nanosecond up to 99 days and to half a
 * microsecond at the far end of the range (292 years), and a value that went through text once no longer changes.
 *
 * @module
 */
import { quoteText } from "./quote-text.ts";

const MAX_NANOSECONDS = 2n ** 63n - 1n;
const MIN_NANOSECONDS = -(2n ** 63n);
const NANOSECONDS_PER_MS = 1_000_000n;

// Digits beyond these cannot matter: 19 already overflow 64 bits, and no unit resolves a fraction finer than 1e-13.
const MAX_INTEGER_DIGITS = 19;
const MAX_FRACTION_DIGITS = 18;

const units: ReadonlyMap<string, bigint> = new Map([
  ["ns", 1n],
  ["us", 1_000n],
  ["\u00b5s", 1_000n], // micro sign
  ["\u03bcs", 1_000n], // Greek letter mu
  ["ms", 1_000_000n],
  ["s", 1_000_000_000n],
  ["m", 60_000_000_000n],
  ["h", 3_600_000_000_000n],
]);

/**
 * Parses a duration into nanoseconds.
 *
 * @throws {SyntaxError} with Go's text, e.g. `time: missing unit in duration "30"`.
 */
export function parseDuration(text: string): bigint {
  const sign = /^[+-]/.test(text) ? text.charAt(0) : "";
  const rest = text.slice(sign.length);
  if (rest === "0") {
    return 0n;
  }
  const pair = /([0-9]*)(\.?)([0-9]*)([^0-9.]*)/y;
  let total = 0n;
  while (pair.lastIndex < rest.length) {
    total += parsePair(pair.exec(rest) ?? [], text);
  }
  const value = sign === "-" ? -total : total;
  if (rest === "" || value > MAX_NANOSECONDS || value < MIN_NANOSECONDS) {
    throw invalidDuration(text);
  }
  return value;
}

/** One `number unit` pair in nanoseconds. `match` holds integer digits, point, fraction digits and unit. */
function parsePair(match: readonly string[], text: string): bigint {
  const [, integer = "", , fraction = "", unit = ""] = match;
  if (integer === "" && fraction === "") {
    throw invalidDuration(text);
  }
  if (unit === "") {
    throw new SyntaxError(`time: missing unit in duration ${quoteText(text)}`);
  }
  const scale = units.get(unit);
  if (scale === undefined) {
    throw new SyntaxError(`time: unknown unit ${quoteText(unit)} in duration ${quoteText(text)}`);
  }
  const digits = integer.replace(/^0+/, "");
  if (digits.length > MAX_INTEGER_DIGITS) {
    throw invalidDuration(text);
  }
  const part = fraction.slice(0, MAX_FRACTION_DIGITS);
  return BigInt(digits) * scale + (BigInt(part) * scale) / 10n ** BigInt(part.length);
}

function invalidDuration(text: string): SyntaxError {
  return new SyntaxError(`time: invalid duration ${quoteText(text)}`);
}

/**
 * Prints nanoseconds as Go does: `24h0m0s`, `1m30s`, `1.5s`, below one second `100ms`, `1.5µs` or `1ns`; zero is
 * `0s`. {@link parseDuration} reads it back to the same value.
 */
export function formatDuration(nanoseconds: bigint): string {
  const sign = nanoseconds < 0n ? "-" : "";
  const value = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  if (value === 0n) {
    return "0s";
  }
  if (value < 1_000n) {
    return `${sign}${value}ns`;
  }
  if (value < 1_000_000n) {
    return `${sign}${formatDecimal(value, 3)}\u00b5s`;
  }
  if (value < 1_000_000_000n) {
    return `${sign}${formatDecimal(value, 6)}ms`;
  }
  const minutes = value / 60_000_000_000n;
  const seconds = `${formatDecimal(value % 60_000_000_000n, 9)}s`;
  if (minutes === 0n) {
    return `${sign}${seconds}`;
  }
  const hours = minutes / 60n;
  return hours === 0n ? `${sign}${minutes}m${seconds}` : `${sign}${hours}h${minutes % 60n}m${seconds}`;
}

/** `value / 10^places` in decimal, without trailing zeros. */
function formatDecimal(value: bigint, places: number): string {
  const scale = 10n ** BigInt(places);
  const fraction = (value % scale).toString().padStart(places, "0").replace(/0+$/, "");
  return fraction === "" ? `${value / scale}` : `${value / scale}.${fraction}`;
}

/** Nanoseconds as milliseconds. Whole and fractional part are converted apart, so that little is rounded away. */
export function nanosecondsToMs(nanoseconds: bigint): number {
  return Number(nanoseconds / NANOSECONDS_PER_MS) + Number(nanoseconds % NANOSECONDS_PER_MS) / 1e6;
}

/** Milliseconds as nanoseconds, to the nearest one. Inverse of {@link nanosecondsToMs}. */
export function msToNanoseconds(ms: number): bigint {
  const whole = Math.trunc(ms);
  return BigInt(whole) * NANOSECONDS_PER_MS + BigInt(Math.round((ms - whole) * 1e6));
}

/** Parses a duration into milliseconds. Throws as {@link parseDuration}. */
export function parseDurationMs(text: string): number {
  return nanosecondsToMs(parseDuration(text));
}

/** Prints milliseconds as {@link formatDuration} does. */
export function formatDurationMs(ms: number): string {
  return formatDuration(msToNanoseconds(ms));
}
