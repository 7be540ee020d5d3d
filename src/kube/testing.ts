/**
 * Stand-ins for tests of this folder: a clock that is turned by hand, a consumer that remembers, a transport that
 * the test plays the server of, and objects as the API writes them.
 *
 * @module
 */
import type { ObjectKey, Problem, WatchedObject } from "../proxier/objects.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { JsonRecord } from "./fields.ts";
import { type LogFields, type LogLevel, type ObjectKind, objectKey, type SourceHandler } from "./source.ts";
import type { ApiRequest, ApiResponse, Transport } from "./transport.ts";

/** The machine's clock in a hurry: every delay is over in a moment. */
export const hurriedClock: Clock = { ...systemClock, after: (_, callback) => systemClock.after(1, callback) };

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that stands still until the test turns it. */
export class FakeClock implements Clock {
  #now = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** Number of timers that wait. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Waits until everybody who could go on without time passing has done so. */
  async settle(): Promise<void> {
    for (let round = 0; round < 5; round++) {
      await this.turn();
    }
  }

  /** Lets time pass, firing the timers that fall due on the way, in order. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.settle();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#timers.delete(next);
      this.#now = next.at;
      next.callback();
      await this.settle();
    }
    this.#now = end;
  }

  #next(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at <= end && timer.at < (first?.at ?? Number.POSITIVE_INFINITY)) {
        first = timer;
      }
    }
    return first;
  }
}

/** A consumer that remembers what it was told. */
export class RecordingHandler implements SourceHandler {
  readonly objects: Map<string, WatchedObject> = new Map();
  /** One line for each call but `log`, e.g. `upsert Service default/web`. */
  readonly calls: string[] = [];
  readonly problems: Problem[] = [];
  readonly #waiting = new Set<{ readonly condition: () => boolean; readonly resolve: () => void }>();
  readonly logs: { readonly level: LogLevel; readonly message: string; readonly fields: LogFields }[] = [];

  upsert(object: WatchedObject): void {
    this.objects.set(`${object.kind} ${objectKey(object)}`, object);
    this.#note(`upsert ${object.kind} ${objectKey(object)}`);
  }

  remove(kind: ObjectKind, key: ObjectKey): void {
    const known = this.objects.delete(`${kind} ${key}`);
    this.#note(`remove ${kind} ${key}`);
    if (!known) {
      throw new Error(`${kind} ${key} was removed but never delivered`);
    }
  }

  synced(kind: ObjectKind): void {
    this.#note(`synced ${kind}`);
  }

  problem(problem: Problem): void {
    this.problems.push(problem);
    this.#note(`problem ${problem.kind} ${problem.object} ${problem.field}`.trimEnd());
  }

  cleared(kind: Problem["kind"], object: string): void {
    this.#note(`cleared ${kind} ${object}`);
  }

  log(level: LogLevel, message: string, fields: LogFields): void {
    this.logs.push({ level, message, fields });
    this.#check();
  }

  /** The calls since the last time, which are forgotten. */
  take(): readonly string[] {
    return this.calls.splice(0);
  }

  /** Resolves as soon as `condition` holds after a call; for sources that run in real time. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add({ condition, resolve });
      this.#check();
    });
  }

  #note(call: string): void {
    this.calls.push(call);
    this.#check();
  }

  #check(): void {
    for (const waiter of this.#waiting) {
      if (waiter.condition()) {
        this.#waiting.delete(waiter);
        waiter.resolve();
      }
    }
  }
}

/** A request that arrived at a {@link ScriptedTransport}; the test answers it. */
export class PlayedRequest {
  readonly request: ApiRequest;
  readonly #resolve: (response: ApiResponse) => void;
  readonly #reject: (error: Error) => void;
  readonly #body = new ManualBody();
  /** Whether the client gave the request up. */
  aborted: boolean = false;

  constructor(
    request: ApiRequest,
    signal: AbortSignal,
    resolve: (response: ApiResponse) => void,
    reject: (error: Error) => void,
  ) {
    this.request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    signal.addEventListener("abort", () => {
      this.aborted = true;
      this.refuse("aborted");
      this.#body.fail(new Error("aborted"));
    });
  }

  /** The parameters of the request. */
  get query(): Readonly<Record<string, string>> {
    return this.request.query;
  }

  /** There is no response. */
  refuse(message = "connect ECONNREFUSED"): void {
    this.#reject(new Error(message));
  }

  /** The response begins. */
  open(status = 200, retryAfterMs = 0): this {
    this.#resolve({ status, retryAfterMs, body: this.#body });
    return this;
  }

  /** Bytes of the response arrive. */
  send(text: string): this {
    this.#body.push(Buffer.from(text));
    return this;
  }

  /** An event of a watch arrives. */
  event(type: string, object: JsonRecord): this {
    return this.send(`${JSON.stringify({ type, object })}\n`);
  }

  /** A bookmark arrives. */
  bookmark(resourceVersion: string, endsInitial = false): this {
    const annotations = endsInitial ? { "k8s.io/initial-events-end": "true" } : {};
    return this.event("BOOKMARK", { metadata: { resourceVersion, annotations } });
  }

  /** The response ends as it should. */
  end(): void {
    this.#body.end();
  }

  /** The connection breaks. */
  cut(): void {
    this.#body.fail(new Error("read ECONNRESET"));
  }

  /** The whole response is a list. */
  list(resourceVersion: string, items: readonly JsonRecord[], token = ""): void {
    const metadata = { resourceVersion, ...(token === "" ? {} : { continue: token }) };
    this.open().send(JSON.stringify({ kind: "List", apiVersion: "v1", metadata, items }));
    this.end();
  }

  /** The whole response is a Status. */
  fail(code: number, reason: string, retryAfterMs = 0, extra: JsonRecord = {}): void {
    this.open(code, retryAfterMs).send(JSON.stringify(statusObject(code, reason, extra)));
    this.end();
  }
}

/** A Status as the API reports a failure. */
export function statusObject(code: number, reason: string, extra: JsonRecord = {}): JsonRecord {
  return { kind: "Status", status: "Failure", code, reason, message: `${reason} for a test`, ...extra };
}

/** A transport whose server is the test. */
export class ScriptedTransport implements Transport {
  readonly #arrived: PlayedRequest[] = [];
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  request(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    return new Promise((resolve, reject) => {
      this.#arrived.push(new PlayedRequest(request, signal, resolve, reject));
    });
  }

  /** The next request. Throws when there is none without time passing. */
  async next(): Promise<PlayedRequest> {
    await this.#clock.settle();
    const next = this.#arrived.shift();
    if (next === undefined) {
      throw new Error("There is no request");
    }
    return next;
  }

  /** Whether a request waits for an answer. */
  async idle(): Promise<boolean> {
    await this.#clock.settle();
    return this.#arrived.length === 0;
  }
}

/** A body that arrives when the test says so. */
export class ManualBody implements AsyncIterable<Uint8Array> {
  readonly #chunks: Uint8Array[] = [];
  #end: "open" | "ended" | Error = "open";
  #wake: () => void = () => undefined;

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#wake();
  }

  end(): void {
    this.#end = "ended";
    this.#wake();
  }

  fail(error: Error): void {
    this.#end = error;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    while (true) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        yield chunk;
      } else if (this.#end === "ended") {
        return;
      } else if (this.#end !== "open") {
        throw this.#end;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

/** A Service as the API writes it. `port` tells two states of it apart. */
export function serviceJson(name: string, resourceVersion: string, port = 80): JsonRecord {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default", resourceVersion, managedFields: [{ manager: "kubectl" }] },
    spec: {
      type: "ClusterIP",
      clusterIP: "10.96.0.10",
      clusterIPs: ["10.96.0.10"],
      ipFamilies: ["IPv4"],
      ports: [{ name: "http", protocol: "TCP", port, targetPort: 8080 }],
      selector: { app: name },
      sessionAffinity: "None",
      internalTrafficPolicy: "Cluster",
    },
    status: { loadBalancer: {} },
  };
}

/** An EndpointSlice of a Service as the API writes it. */
export function sliceJson(
  service: string,
  resourceVersion: string,
  addresses: readonly string[],
): JsonRecord {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `${service}-abcde`,
      namespace: "default",
      resourceVersion,
      labels: { "kubernetes.io/service-name": service },
    },
    addressType: "IPv4",
    ports: [{ name: "http", protocol: "TCP", port: 8080 }],
    endpoints: addresses.map((address, index) => ({
      addresses: [address],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: `node-${index % 3}`,
      zone: `zone-${index % 2}`,
      targetRef: { kind: "Pod", name: `${service}-${index}`, namespace: "default" },
    })),
  };
}

/** A Node as the API writes it. */
export function nodeJson(name: string, resourceVersion: string): JsonRecord {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, resourceVersion, labels: { "topology.kubernetes.io/zone": "zone-a" } },
    spec: { podCIDR: "10.244.1.0/24", podCIDRs: ["10.244.1.0/24"] },
    status: {
      addresses: [
        { type: "Hostname", address: name },
        { type: "ExternalIP", address: "203.0.113.7" },
        { type: "InternalIP", address: "192.168.0.7" },
      ],
    },
  };
}
