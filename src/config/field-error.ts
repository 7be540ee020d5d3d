/**
 * Validation errors in the words of Kubernetes' API machinery, which tools and people search for:
 * `path: Invalid value: value: text`.
 *
 * @module
 */
import { formatDurationMs } from "./duration.ts";
import { quoteText } from "./quote-text.ts";

/** A value as such an error shows it: text quoted, numbers bare, lists as JSON. */
export type ShownValue = string | number | readonly string[];

/** The value at the path breaks the rule that `text` states. */
export function invalidValue(path: string, value: ShownValue, text: string): string {
  return `${path}: Invalid value: ${show(value)}: ${text}`;
}

/** The duration at the path, in milliseconds, breaks the rule that `text` states. */
export function invalidDuration(path: string, durationMs: number, text: string): string {
  return `${path}: Invalid value: ${formatDurationMs(durationMs)}: ${text}`;
}

/** The value at the path is none of a closed list. */
export function unsupportedValue(path: string, value: string, supported: readonly string[]): string {
  const list = supported.map((one) => quoteText(one)).join(", ");
  return `${path}: Unsupported value: ${quoteText(value)}: supported values: ${list}`;
}

/** A value is missing. */
export function requiredValue(path: string, text: string): string {
  return `${path}: Required value: ${text}`;
}

/** The path must not be set together with what else is set. */
export function forbiddenValue(path: string, text: string): string {
  return `${path}: Forbidden: ${text}`;
}

// The message is one line that a person reads.
const MAX_LISTED_ERRORS = 20;

/** One error bare, several as `[e1, e2]`; each text once, and no more than twenty of them. */
export function joinErrors(errors: readonly string[]): string {
  const distinct = [...new Set(errors)];
  if (distinct.length === 1) {
    return distinct.join("");
  }
  const listed = distinct.slice(0, MAX_LISTED_ERRORS);
  const more = distinct.length > listed.length ? `, and ${distinct.length - listed.length} more` : "";
  return `[${listed.join(", ")}${more}]`;
}

function show(value: ShownValue): string {
  if (typeof value === "string") {
    return quoteText(value);
  }
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}
