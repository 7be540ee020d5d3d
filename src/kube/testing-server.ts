/**
 * An API server small enough to be obviously right, with faults: the other side of the reflector's properties.
 *
 * It holds one collection of Services, remembers every change until told to forget, and serves lists in pages of
 * two, watches and WatchLists. Faults are armed one at a time and strike the next request.
 *
 * @module
 */
import type { JsonRecord } from "./fields.ts";
import { ManualBody, serviceJson, statusObject } from "./testing.ts";
import type { ApiRequest, ApiResponse, Transport } from "./transport.ts";

/** What may go wrong with the next request. */
export type Fault =
  | "refuse"
  | "hang"
  | "silence"
  | "garble"
  | "cut"
  | "ignore WatchList"
  | 400
  | 401
  | 410
  | 422
  | 429
  | 500
  | 503;

interface ModelObject {
  readonly version: number;
  readonly port: number;
}

interface ModelEvent {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: JsonRecord;
}

const firstVersion = 2 ** 40;

/** One collection and its watchers. */
export class ModelServer implements Transport {
  objects: Map<string, ModelObject> = new Map();
  #version = firstVersion;
  #restores = 0;
  #history: ModelEvent[] = [];
  #oldest = 0;
  readonly #watchers = new Set<ManualBody>();
  readonly #faults: Fault[] = [];
  readonly #chunkSize: number;

  /** `chunkSize` is the number of bytes that arrive at once. */
  constructor(chunkSize: number) {
    this.#chunkSize = chunkSize;
  }

  /** Creates or changes a Service; the same port again changes its version only. */
  put(name: string, port: number): void {
    this.#version += 1;
    const type = this.objects.has(name) ? "MODIFIED" : "ADDED";
    this.objects.set(name, { version: this.#version, port });
    this.#record(type, serviceJson(name, String(this.#version), port));
  }

  /** Deletes a Service. */
  delete(name: string): void {
    const object = this.objects.get(name);
    if (object !== undefined) {
      this.#version += 1;
      this.objects.delete(name);
      this.#record("DELETED", serviceJson(name, String(this.#version), object.port));
    }
  }

  /** Forgets all changes so far. */
  compact(): void {
    this.#history = [];
    this.#oldest = this.#version;
  }

  /**
   * Loses all objects but the first, as after restoring a backup. The version goes back so far that no client can
   * mistake an old one for one of the new: with that no client could help itself.
   */
  restore(): void {
    this.#restores += 1;
    this.#version = Math.floor(firstVersion / 2 ** this.#restores);
    const version = this.#version;
    this.objects = new Map(
      [...this.objects].slice(0, 1).map(([name, { port }]) => [name, { version, port }]),
    );
    this.compact();
    this.cutAll();
  }

  /** Breaks all watches. */
  cutAll(): void {
    this.#close((watcher) => watcher.fail(new Error("read ECONNRESET")));
  }

  /** Ends all watches properly. */
  endAll(): void {
    this.#close((watcher) => watcher.end());
  }

  /** Sends all watchers a bookmark. */
  bookmark(): void {
    for (const watcher of this.#watchers) {
      this.#send(watcher, "BOOKMARK", { metadata: { resourceVersion: String(this.#version) } });
    }
  }

  /** Lets the next request fail. */
  arm(fault: Fault): void {
    this.#faults.push(fault);
  }

  /** Lets no further request fail. */
  heal(): void {
    this.#faults.length = 0;
  }

  request(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    const fault = this.#faults.shift();
    const body = new ManualBody();
    if (fault === "refuse") {
      return Promise.reject(new Error("connect ECONNREFUSED"));
    }
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => {
        this.#watchers.delete(body);
        body.fail(new Error("aborted"));
        reject(new Error("aborted"));
      });
      if (fault === "hang") {
        return;
      }
      const status = typeof fault === "number" ? fault : 200;
      resolve({ status, retryAfterMs: 0, body });
      if (typeof fault === "number") {
        this.#push(body, JSON.stringify(statusObject(fault, fault === 410 ? "Expired" : "Failure")));
        body.end();
      } else if (request.query["watch"] === "true") {
        this.#watch(request.query, body, fault);
      } else {
        this.#list(request.query, body, fault);
      }
    });
  }

  #list(query: ApiRequest["query"], body: ManualBody, fault: Fault | undefined): void {
    const names = [...this.objects.keys()].sort();
    const start = Number(query["continue"] ?? 0);
    const page = query["limit"] === undefined ? names : names.slice(start, start + 2);
    const more = start + page.length < names.length;
    const metadata = {
      resourceVersion: String(this.#version),
      continue: more ? String(start + 2) : undefined,
    };
    const text = JSON.stringify({ metadata, items: page.map((name) => this.#json(name)) });
    this.#push(body, fault === "garble" ? text.replace(":", "") : text, fault === "cut" ? 0.6 : 1);
    if (fault === "cut") {
      body.fail(new Error("read ECONNRESET"));
    } else if (fault !== "silence") {
      body.end();
    }
  }

  #watch(query: ApiRequest["query"], body: ManualBody, fault: Fault | undefined): void {
    const since = Number(query["resourceVersion"]);
    const initial = query["sendInitialEvents"] === "true";
    if (initial && since > this.#version) {
      this.#send(body, "ERROR", statusObject(504, "Timeout", { message: "Too large resource version: 9" }));
      body.end();
      return;
    }
    if (!initial && since < this.#oldest) {
      this.#send(body, "ERROR", statusObject(410, "Expired"));
      body.end();
      return;
    }
    if (fault === "garble") {
      this.#push(body, '{"type":"ADD\n');
    }
    if (initial) {
      for (const name of this.objects.keys()) {
        this.#send(body, "ADDED", this.#json(name));
      }
      if (fault !== "ignore WatchList" && fault !== "silence") {
        const annotations = { "k8s.io/initial-events-end": "true" };
        this.#send(body, "BOOKMARK", { metadata: { resourceVersion: String(this.#version), annotations } });
      }
    } else if (fault !== "silence") {
      for (const event of this.#history.filter(({ version }) => version > since)) {
        this.#send(body, event.type, event.object);
      }
    }
    if (fault === "cut") {
      this.#push(body, JSON.stringify({ type: "DELETED", object: { metadata: {} } }), 0.5);
      body.fail(new Error("read ECONNRESET"));
    } else if (fault !== "silence") {
      this.#watchers.add(body);
    }
  }

  #record(type: ModelEvent["type"], object: JsonRecord): void {
    this.#history.push({ version: this.#version, type, object });
    for (const watcher of this.#watchers) {
      this.#send(watcher, type, object);
    }
  }

  #json(name: string): JsonRecord {
    const object = this.objects.get(name);
    return serviceJson(name, String(object?.version), object?.port);
  }

  #send(body: ManualBody, type: string, object: JsonRecord): void {
    this.#push(body, `${JSON.stringify({ type, object })}\n`);
  }

  /** Sends a share of the text, chunk by chunk. */
  #push(body: ManualBody, text: string, share = 1): void {
    const bytes = Buffer.from(text);
    const end = Math.floor(bytes.length * share);
    for (let start = 0; start < end; start += this.#chunkSize) {
      body.push(bytes.subarray(start, Math.min(start + this.#chunkSize, end)));
    }
  }

  #close(close: (watcher: ManualBody) => void): void {
    for (const watcher of this.#watchers) {
      close(watcher);
    }
    this.#watchers.clear();
  }
}
