/**
 * Requests to the API server over HTTP/1.1, one socket for each watch.
 *
 * Responses come as streams: the body is read only as fast as it is consumed, so a slow consumer slows the server
 * down instead of filling memory. Credentials and TLS files are asked for at each request, so that rotated tokens
 * and certificates are used from the next request on.
 *
 * TCP keepalive is on: a peer that vanished is noticed in about 25 seconds (15 s of quiet, then the ten probes that
 * libuv sends a second apart).
 *
 * This file is an edge: it opens sockets.
 *
 * @module
 */
import http from "node:http";
import https from "node:https";
import { pipeline, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { retryAfterMs } from "./api-status.ts";

/** A request to the API server. */
export interface ApiRequest {
  readonly method: "GET" | "POST" | "PATCH";
  /** Path below the server's address, with a leading slash. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** JSON text, and its media type. */
  readonly body?: { readonly text: string; readonly type: string };
  /** Whether the response may be compressed: worth it for lists, never done for watches. */
  readonly compress: boolean;
}

/** The beginning of a response; the rest follows as it is read. */
export interface ApiResponse {
  /** HTTP status code. */
  readonly status: number;
  /** `Retry-After` in milliseconds, 0 when absent. */
  readonly retryAfterMs: number;
  /** The body. Its iteration rejects when the connection breaks or the request is aborted. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Sends requests. */
export interface Transport {
  /** Resolves with the response's headers. Rejects when there is no response, or when `signal` aborts before. */
  request(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse>;
}

/** How to reach the API server, and as whom. */
export interface ApiConnection {
  /** Address of the server; a path in it is kept. */
  readonly server: URL;
  /** URL of an HTTP proxy on the way; undefined when there is none. */
  readonly proxy: string | undefined;
  /** Whether responses may be compressed. */
  readonly compress: boolean;
  /** TLS options and headers with credentials. An agent here takes the place of the transport's own. */
  readonly options: https.RequestOptions;
}

/** Knows how to reach the API server, see `kubeconfig.ts`. */
export interface ApiAccess {
  /** The connection as files and tokens say it now. Rejects when they cannot be read. */
  current(): Promise<ApiConnection>;
  /** After a 401: reads everything anew. Whether the credentials have changed, so that another try makes sense. */
  refresh(): Promise<boolean>;
}

const keepAliveMs = 15_000;

/** A transport over `node:http` or `node:https`, as the server's address says. */
export class HttpTransport implements Transport {
  readonly #access: ApiAccess;
  #agent: http.Agent | undefined;
  /** What the agent was made for; another one is made when it changes. */
  #agentKey = "";

  constructor(access: ApiAccess) {
    this.#access = access;
  }

  async request(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    const response = await this.#attempt(request, signal);
    if (response.statusCode === 401 && (await this.#access.refresh())) {
      response.destroy();
      return describe(await this.#attempt(request, signal));
    }
    return describe(response);
  }

  /** Closes idle connections. */
  close(): void {
    this.#agent?.destroy();
  }

  async #attempt(request: ApiRequest, signal: AbortSignal): Promise<http.IncomingMessage> {
    const connection = await this.#access.current();
    signal.throwIfAborted();
    const options: https.RequestOptions = {
      ...connection.options,
      ...requestTarget(connection, request),
      agent: connection.options.agent ?? this.#agentFor(connection),
      signal,
    };
    try {
      return await send(options, connection.server, request.body?.text);
    } catch (error) {
      // The server may close an idle connection just as it is used again: that says nothing about the server.
      if (error instanceof StaleConnectionError && !signal.aborted) {
        return await send(options, connection.server, request.body?.text);
      }
      throw error;
    }
  }

  #agentFor({ server, proxy }: ApiConnection): http.Agent {
    const key = `${server.protocol} ${proxy ?? ""}`;
    if (this.#agent !== undefined && this.#agentKey === key) {
      return this.#agent;
    }
    this.#agent?.destroy();
    const options: https.AgentOptions = { keepAlive: true, keepAliveMsecs: keepAliveMs, maxFreeSockets: 2 };
    if (proxy !== undefined) {
      options.proxyEnv = { HTTP_PROXY: proxy, HTTPS_PROXY: proxy };
    }
    this.#agent = server.protocol === "http:" ? new http.Agent(options) : new https.Agent(options);
    this.#agentKey = key;
    return this.#agent;
  }
}

/** A kept connection turned out to be closed before the request could use it. */
class StaleConnectionError extends Error {
  override readonly name = "StaleConnectionError";

  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}

/** Sends one request and resolves with the headers of its response. */
function send(options: https.RequestOptions, server: URL, body = ""): Promise<http.IncomingMessage> {
  const module = server.protocol === "http:" ? http : https;
  return new Promise((resolve, reject) => {
    const sent = module.request(options, resolve);
    sent.on("socket", (socket) => socket.setKeepAlive(true, keepAliveMs));
    sent.on("error", (error: NodeJS.ErrnoException) =>
      reject(sent.reusedSocket && error.code === "ECONNRESET" ? new StaleConnectionError(error) : error),
    );
    sent.end(body);
  });
}

/** Where a request goes and what it says about itself. */
function requestTarget(connection: ApiConnection, request: ApiRequest): https.RequestOptions {
  const { server } = connection;
  const base = server.pathname.replace(/\/$/, "");
  const query = new URLSearchParams(request.query).toString();
  const headers: http.OutgoingHttpHeaders = {
    ...(connection.options.headers as http.OutgoingHttpHeaders | undefined),
    Accept: "application/json",
    "User-Agent": "kube-sluice",
  };
  if (request.compress && connection.compress) {
    headers["Accept-Encoding"] = "gzip";
  }
  if (request.body !== undefined) {
    headers["Content-Type"] = request.body.type;
    headers["Content-Length"] = Buffer.byteLength(request.body.text);
  }
  return {
    method: request.method,
    host: server.hostname.replaceAll(/^\[|\]$/g, ""),
    path: query === "" ? `${base}${request.path}` : `${base}${request.path}?${query}`,
    headers,
    ...(server.port === "" ? {} : { port: server.port }),
  };
}

function describe(response: http.IncomingMessage): ApiResponse {
  return {
    status: response.statusCode ?? 0,
    retryAfterMs: retryAfterMs(response.headers["retry-after"]),
    body: response.headers["content-encoding"] === "gzip" ? decompress(response) : response,
  };
}

function decompress(response: http.IncomingMessage): Readable {
  // pipeline() destroys both ends when either fails, so a broken connection ends the reader with an error.
  return pipeline(response, createGunzip(), () => {});
}
