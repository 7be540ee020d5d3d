/**
 * Opens a response of the API and turns every way of not getting one into an outcome.
 *
 * @module
 */
import { readStatus } from "./api-status.ts";
import type { Outcome } from "./reflector-state.ts";
import type { ApiRequest, ApiResponse, Transport } from "./transport.ts";
import { parseJson } from "./watch-event.ts";
import type { Watchdog } from "./watchdog.ts";

/** Most bytes that are read of an error's body. */
const errorBodyLimit = 64 * 1024;

/** A response with status 200, or how the request failed. */
export type Opened =
  | { readonly response: ApiResponse }
  | { readonly response: undefined; readonly outcome: Outcome };

/** Sends the request. `continuing` marks the later pages of a list. Never rejects. */
export async function openResponse(
  transport: Transport,
  request: ApiRequest,
  watchdog: Watchdog,
  continuing = false,
): Promise<Opened> {
  try {
    const response = await transport.request(request, watchdog.signal);
    watchdog.touch();
    if (response.status === 200) {
      return { response };
    }
    const status = readStatus(await readErrorBody(response), response.status, response.retryAfterMs);
    return { response: undefined, outcome: { kind: "status", status, continuing } };
  } catch (error) {
    const outcome: Outcome = watchdog.expired
      ? { kind: "silent", answered: false }
      : { kind: "unreachable", detail: describeError(error) };
    return { response: undefined, outcome };
  }
}

/** How a body that had begun to arrive came to a bad end. */
export function brokenOutcome(error: unknown, watchdog: Watchdog, productive: boolean): Outcome {
  if (watchdog.expired) {
    return { kind: "silent", answered: true };
  }
  // Splitters throw this for a piece that is too long; sockets never do.
  if (error instanceof RangeError) {
    return { kind: "garbled", detail: error.message };
  }
  return { kind: "cut", productive, detail: describeError(error) };
}

/** An error and what it comes from, on one line. */
function describeError(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  // Connecting to a name with several addresses fails with one error for each and no message of its own.
  const errors = error instanceof AggregateError ? error.errors : [];
  const message = error.message === "" ? errors.map(describeError).join("; ") : error.message;
  return error.cause instanceof Error && !message.includes(error.cause.message)
    ? `${message} (${error.cause.message})`
    : message;
}

async function readErrorBody(response: ApiResponse): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > errorBodyLimit) {
      break;
    }
  }
  return parseJson(Buffer.concat(chunks));
}
