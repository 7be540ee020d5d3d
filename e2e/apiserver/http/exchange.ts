/**
 * One request and its answer: reading bodies, sending objects, failures and compressed lists.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import type { FaultAction } from "../faults/fault-action.ts";
import { sendBody } from "../faults/faulty-body.ts";
import type { Json } from "../json.ts";
import type { ApiError } from "../status.ts";
import { entityTooLarge, unsupportedMediaType } from "../status.ts";
import { parseBody } from "./negotiation.ts";

/** Most bytes that a request body may have: the real server's limit. */
const maxBodyBytes = 3 * 1024 * 1024;

/** Answers above this size are compressed for clients that accept it; watches never are. */
const minCompressedBytes = 128 * 1024;

const compress = promisify(gzip);

/** A request for a resource on its way through the server. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly parameters: URLSearchParams;
  /** The faults that it meets. */
  readonly actions: readonly FaultAction[];
}

/**
 * The body of a request.
 *
 * @throws ApiError 413 beyond the limit, 415 for a compressed body
 */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  if (request.headers["content-encoding"] !== undefined) throw unsupportedMediaType(["application/json"]);
  const chunks: Buffer[] = [];
  let length = 0;
  // Leaving the loop early must not close the connection: the answer has yet to go out on it.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBodyBytes) throw entityTooLarge(maxBodyBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The parsed body of a request; `undefined` when it is empty. @throws ApiError 400, 413, 415 */
export async function readJson(request: IncomingMessage): Promise<Json | undefined> {
  const body = await readBody(request);
  return body.length === 0 ? undefined : parseBody(request.headers["content-type"], body);
}

/** Sends JSON text, compressed if it is long and the client wants that. */
export async function sendJson(exchange: Exchange, code: number, body: Buffer): Promise<void> {
  const { request, response, actions } = exchange;
  const accepted = request.headers["accept-encoding"];
  const acceptsGzip = typeof accepted === "string" && /\bgzip\b/.test(accepted);
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  let sent = body;
  if (acceptsGzip && body.length > minCompressedBytes) {
    sent = await compress(body, { level: constants.Z_BEST_SPEED });
    headers["Content-Encoding"] = "gzip";
    headers["Vary"] = "Accept-Encoding";
  }
  if (response.destroyed) return;
  response.writeHead(code, { ...headers, "Content-Length": String(sent.length) });
  sendBody(response, sent, actions);
}

/** Sends a failure, unless headers are out: then all that is left is to close the connection. */
export function sendError(response: ServerResponse, error: ApiError): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const body = Buffer.from(JSON.stringify(error.status));
  const headers: Record<string, string> = {
    "Content-Type": "application/json",
    "Content-Length": String(body.length),
  };
  const retryAfter = error.status.details?.retryAfterSeconds;
  if (retryAfter !== undefined) headers["Retry-After"] = String(retryAfter);
  // The rest of a body that was refused is not worth reading.
  if (error.code === 413) headers["Connection"] = "close";
  response.writeHead(error.code, headers);
  response.end(body);
}
