/**
 * Failures as the API server reports them: Status objects, in the body of a response or in an ERROR event.
 *
 * Pure.
 *
 * @module
 */
import { asRecord } from "./fields.ts";

/** What a caller may decide on. */
export interface ApiStatus {
  /** HTTP status code; that of the Status object when it stands in an event. 0 when there is none. */
  readonly code: number;
  /** Machine-readable reason such as `Expired`; `""` when there is none. */
  readonly reason: string;
  /** For people, one line, bounded. */
  readonly message: string;
  /** The version asked for is newer than anything the server has. */
  readonly tooLargeVersion: boolean;
  /** How long the server wants to be left alone, in milliseconds; 0 when it does not say. */
  readonly retryAfterMs: number;
}

const messageLength = 300;

/**
 * Reads a Status object. `httpCode` and `retryAfterMs` come from the response, and are 0 for an event.
 *
 * Bodies that are no Status (a proxy's error page) give a status of the HTTP code alone.
 */
export function readStatus(json: unknown, httpCode = 0, retryAfterMs = 0): ApiStatus {
  const status = asRecord(json);
  const details = asRecord(status?.["details"]);
  const code = status?.["code"];
  const reason = status?.["reason"];
  const message = status?.["message"];
  const seconds = details?.["retryAfterSeconds"];
  const text = typeof message === "string" ? message : "";
  return {
    code: httpCode === 0 && typeof code === "number" ? code : httpCode,
    reason: typeof reason === "string" ? reason.slice(0, 64) : "",
    message: text.replaceAll(/\s+/g, " ").slice(0, messageLength),
    tooLargeVersion: hasTooLargeCause(details?.["causes"]) || text.includes("Too large resource version"),
    retryAfterMs: Math.max(retryAfterMs, typeof seconds === "number" && seconds > 0 ? seconds * 1000 : 0),
  };
}

/** Whether the version asked for is older than what the server remembers. */
export function isExpired(status: ApiStatus): boolean {
  return status.code === 410 || status.reason === "Expired" || status.reason === "Gone";
}

/** Whether the server asks for patience: the same request may succeed later. */
export function isThrottled(status: ApiStatus): boolean {
  return status.code === 429 || status.reason === "TooManyRequests";
}

/** The status on one line for a log. */
export function describeStatus(status: ApiStatus): string {
  return [status.code === 0 ? "" : String(status.code), status.reason, status.message]
    .filter((part) => part !== "")
    .join(" ");
}

/** The delay in a `Retry-After` header, in milliseconds; 0 when absent or not in seconds. */
export function retryAfterMs(header: string | undefined): number {
  return header !== undefined && /^[0-9]{1,6}$/.test(header) ? Number.parseInt(header, 10) * 1000 : 0;
}

/** The cause is what client-go looks at; old servers have only the message. */
function hasTooLargeCause(causes: unknown): boolean {
  return (
    Array.isArray(causes) && causes.some((cause) => asRecord(cause)?.["reason"] === "ResourceVersionTooLarge")
  );
}
