/**
 * From an HTTP request to its handler: credentials, documents, faults, resources.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { controlFaults, controlPath } from "../faults/control.ts";
import type { FaultAction } from "../faults/fault-action.ts";
import { findAction } from "../faults/fault-action.ts";
import type { Faults } from "../faults/faults.ts";
import type { JsonObject } from "../json.ts";
import { ApiError, internalError, methodNotAllowed, unauthorized, unknownResource } from "../status.ts";
import type { ApiContext } from "./api-context.ts";
import { findDocument, publicPaths } from "./documents.ts";
import type { Exchange } from "./exchange.ts";
import { readJson, sendError } from "./exchange.ts";
import { getObject, listObjects } from "./reads.ts";
import type { LoggedRequest, RequestLog } from "./request-log.ts";
import type { Route, Verb } from "./route.ts";
import { isResourcePath, parseRoute } from "./route.ts";
import { watchObjects } from "./watch-stream.ts";
import { createObject, deleteCollection, deleteObject, patchStored, updateObject } from "./writes.ts";

type Handler = (context: ApiContext, exchange: Exchange, route: Route) => Promise<void>;

const handlers: Readonly<Record<Verb, Handler>> = {
  get: getObject,
  list: listObjects,
  watch: watchObjects,
  create: createObject,
  update: updateObject,
  patch: patchStored,
  delete: deleteObject,
  deletecollection: deleteCollection,
};

/** The reasons of Status objects by code, for faults that give only a code. */
const reasons: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  410: "Expired",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

/** Answers requests. */
export class ApiHandler {
  readonly #context: ApiContext;
  readonly #faults: Faults;
  readonly #log: RequestLog;
  readonly #token: string | undefined;

  /** @param token required of every request as bearer token, if given */
  constructor(context: ApiContext, faults: Faults, log: RequestLog, token: string | undefined) {
    this.#context = context;
    this.#faults = faults;
    this.#log = log;
    this.#token = token;
  }

  /** Answers one request; never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#dispatch(request, response);
    } catch (error) {
      const failure = error instanceof ApiError ? error : internalError(`Internal error occurred: ${error}`);
      sendError(response, failure);
    }
  }

  async #dispatch(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
    if (pathname === controlPath) {
      await this.#control(request, response);
      return;
    }
    this.#authenticate(request, pathname);
    if (isResourcePath(pathname)) {
      await this.#serve(request, response, pathname, searchParams);
      return;
    }
    const document = findDocument(pathname, request.headers.accept);
    if (document === undefined) throw unknownResource();
    if (request.method !== "GET") throw methodNotAllowed(String(request.method).toLowerCase(), "Document");
    const { contentType, body } = document;
    response.writeHead(200, { "Content-Type": contentType, "Content-Length": String(body.length) });
    response.end(body);
  }

  #authenticate(request: IncomingMessage, path: string): void {
    if (this.#token === undefined || publicPaths.includes(path)) return;
    if (request.headers.authorization !== `Bearer ${this.#token}`) throw unauthorized();
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    parameters: URLSearchParams,
  ): Promise<void> {
    const method = request.method ?? "GET";
    const route = parseRoute(method, path, parameters);
    const logged: LoggedRequest = {
      time: this.#context.clock.now(),
      method,
      path,
      verb: route.verb,
      resource: route.resource.collection,
      query: Object.fromEntries(parameters),
    };
    const actions = this.#faults.take(logged);
    const answered = this.#answer({ request, response, parameters, actions }, route);
    // Logged when the answer is under way: whoever waits for the log finds its timers set.
    this.#log.add(logged);
    await answered;
  }

  async #answer(exchange: Exchange, route: Route): Promise<void> {
    const { actions } = exchange;
    const delay = findAction(actions, "delay");
    if (delay !== undefined) {
      await new Promise<void>((resolve) => {
        this.#context.clock.after(delay.milliseconds, resolve);
      });
    }
    if (findAction(actions, "no-headers") !== undefined) return;
    failByFault(actions);
    await handlers[route.verb](this.#context, exchange, route);
  }

  async #control(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readJson(request);
    const { answer, afterwards } = controlFaults(this.#faults, request.method ?? "GET", body, () =>
      this.#describe(),
    );
    response.writeHead(200, { "Content-Type": "application/json" });
    response.end(JSON.stringify(answer), afterwards);
  }

  #describe(): JsonObject {
    const counts: Record<string, number> = {};
    for (const { verb, resource } of this.#log.matching()) {
      const key = `${verb} ${resource}`;
      counts[key] = (counts[key] ?? 0) + 1;
    }
    const streams = [...this.#context.streams].map((stream) => stream.collection);
    return { version: this.#context.store.version, streams, requests: counts };
  }
}

function failByFault(actions: readonly FaultAction[]): void {
  const fault = findAction(actions, "status");
  if (fault === undefined) return;
  const { code, retryAfterSeconds } = fault;
  const reason = fault.reason ?? reasons[code] ?? "";
  throw new ApiError(code, reason, fault.message ?? `injected failure ${code}`, { retryAfterSeconds });
}
