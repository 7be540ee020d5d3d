/**
 * What the tests of this folder share: requests, a reader of watches, and small objects. Imported by tests only.
 *
 * @module
 */
import type { IncomingMessage } from "node:http";
import { get } from "node:http";
import type { Clock } from "./clock.ts";
import { ManualClock } from "./clock.ts";
import type { Json, JsonObject } from "./json.ts";
import { parseRange } from "./kinds/addresses.ts";
import type { Status } from "./status.ts";
import { ApiError } from "./status.ts";
import { ApiStore } from "./storage/api-store.ts";
import { Registry } from "./storage/registry.ts";
import { Store } from "./storage/store.ts";

/** An answer, its body parsed. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: JsonObject;
}

/** Sends a request with a JSON body, if any, and parses the JSON that comes back. */
export async function send(
  method: string,
  url: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
    body: body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as JsonObject };
}

/** An event of a watch. */
export interface WatchEvent {
  readonly type: string;
  readonly object: JsonObject & { readonly metadata: JsonObject };
}

/** A watch, read line by line over a connection of its own. */
export class WatchReader implements AsyncDisposable {
  readonly response: IncomingMessage;
  readonly #chunks: AsyncIterator<Buffer>;
  #unread: Buffer = Buffer.alloc(0);
  #ended = false;

  private constructor(response: IncomingMessage) {
    this.response = response;
    this.#chunks = response[Symbol.asyncIterator]();
  }

  /** Resolves as soon as the headers have come. */
  static open(url: string, headers: Readonly<Record<string, string>> = {}): Promise<WatchReader> {
    return new Promise((resolve, reject) => {
      const request = get(url, { agent: false, headers }, (response) => resolve(new WatchReader(response)));
      request.on("error", reject);
    });
  }

  /** The next line, or what there is of it when the stream ends; `undefined` at the end, be it clean or not. */
  async nextLine(): Promise<string | undefined> {
    while (!this.#ended && !this.#unread.includes("\n")) {
      const chunk = await this.#nextChunk();
      if (chunk === undefined) this.#ended = true;
      else this.#unread = Buffer.concat([this.#unread, chunk]);
    }
    if (this.#unread.length === 0) return undefined;
    const newline = this.#unread.indexOf("\n");
    const end = newline < 0 ? this.#unread.length : newline;
    const line = this.#unread.subarray(0, end).toString();
    this.#unread = this.#unread.subarray(end + 1);
    return line;
  }

  async #nextChunk(): Promise<Buffer | undefined> {
    try {
      const next = await this.#chunks.next();
      return next.done === true ? undefined : next.value;
    } catch {
      // The connection broke: an outcome like another here, which `response.complete` tells apart.
      return undefined;
    }
  }

  /** The next event. */
  async next(): Promise<WatchEvent> {
    const line = await this.nextLine();
    if (line === undefined) throw new Error("Cannot read event: the stream has ended");
    return JSON.parse(line) as WatchEvent;
  }

  /** The next events. */
  async take(count: number): Promise<readonly WatchEvent[]> {
    const events: WatchEvent[] = [];
    while (events.length < count) events.push(await this.next());
    return events;
  }

  /** Reads to the end; true when the server ended the body, false when the connection broke. */
  async drain(): Promise<boolean> {
    while ((await this.nextLine()) !== undefined);
    return this.response.complete;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.response.destroy();
  }
}

/** `TYPE name` of an event: enough for most assertions. */
export function brief(event: WatchEvent): string {
  return `${event.type} ${event.object.metadata["name"] ?? ""}`.trimEnd();
}

/** A Service with one port 80. */
export function serviceObject(name: string, more: JsonObject = {}): JsonObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default", ...(more["metadata"] as JsonObject | undefined) },
    spec: { ports: [{ port: 80 }], ...(more["spec"] as JsonObject | undefined) },
  };
}

/** A ConfigMap: the kind with the fewest rules. */
export function configMapObject(name: string, data: JsonObject = {}, labels: JsonObject = {}): JsonObject {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "default", labels }, data };
}

/** A slice of IPv4 endpoints, one for each address. */
export function sliceObject(name: string, service: string, addresses: readonly string[]): JsonObject {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name, namespace: "default", labels: { "kubernetes.io/service-name": service } },
    addressType: "IPv4",
    endpoints: addresses.map((address): Json => ({ addresses: [address] })),
    ports: [{ name: "http", port: 8080 }],
  };
}

/** A store and its registry without a server around them; uids are counted, generated names are all the same. */
export function inMemoryApi(options: { readonly clock?: Clock; readonly createNamespaces?: boolean } = {}): {
  readonly store: Store;
  readonly registry: Registry;
  readonly api: ApiStore;
} {
  let uid = 0;
  const store = new Store(100);
  const registry = new Registry(store, {
    clock: options.clock ?? new ManualClock(),
    random: () => 0,
    newUid: () => `uid-${++uid}`,
    serviceRanges: ["10.96.0.0/12"].flatMap((text) => parseRange(text) ?? []),
    createNamespaces: options.createNamespaces ?? true,
  });
  return { store, registry, api: new ApiStore(store, registry) };
}

/** The Status of the ApiError that an action throws. */
export function failure(action: () => unknown): Status {
  try {
    action();
  } catch (error) {
    if (error instanceof ApiError) return error.status;
    throw error;
  }
  throw new Error("Cannot find a failure: the action succeeded");
}
