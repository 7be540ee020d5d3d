/**
 * A small Kubernetes API server: Services, EndpointSlices, Nodes, ConfigMaps, Events, Namespaces and a few more, in
 * memory, faithful where clients look: versions, lists, watches, selectors, patches, discovery, tables.
 *
 * It serves tests, which run it in process and make it misbehave, and the demo and the clusters of network
 * namespaces, which run it as a child process (main.ts). It is not a cluster: there are no controllers, no garbage
 * collection, no admission, no authorisation, and no protobuf.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "./clock.ts";
import { systemClock } from "./clock.ts";
import type { FaultyStream } from "./faults/faults.ts";
import { Faults } from "./faults/faults.ts";
import { ApiHandler } from "./http/api-handler.ts";
import type { ListenerOptions } from "./http/listener.ts";
import { Listener } from "./http/listener.ts";
import { RequestLog } from "./http/request-log.ts";
import type { AddressRange } from "./kinds/addresses.ts";
import { parseRange } from "./kinds/addresses.ts";
import type { CollectionName } from "./kinds/resources.ts";
import { ApiStore } from "./storage/api-store.ts";
import { Registry } from "./storage/registry.ts";
import { Store } from "./storage/store.ts";

/** How to start a server; every member has a default: plain HTTP at a free port of 127.0.0.1. */
export interface ApiServerOptions extends ListenerOptions {
  /** Bearer token that every request must carry. */
  readonly token?: string;
  /** Changes to remember in each collection; older ones are compacted. 4096 by default. */
  readonly history?: number;
  /** Changes that a watcher may be behind before its stream is ended; 1000 by default. */
  readonly maxPending?: number;
  /** Time between bookmarks, one minute by default. */
  readonly bookmarkMilliseconds?: number;
  /** Ranges of cluster addresses, the first for single-stack Services. 10.96.0.0/12 and fd00:10:96::/112 by default. */
  readonly serviceRanges?: readonly string[];
  /** Create the namespace of a new object if it is missing (default), instead of failing with 404. */
  readonly createNamespaces?: boolean;
  readonly clock?: Clock;
  /** Numbers in [0, 1), for generated names and for the duration of watches. */
  readonly random?: () => number;
  readonly newUid?: () => string;
}

/** A running server. */
export interface ApiServer extends AsyncDisposable {
  /** Base URL without trailing slash. */
  readonly url: string;
  readonly store: ApiStore;
  readonly faults: Faults;
  readonly requests: RequestLog;
  /** The collection of each open watch. */
  openWatches(): readonly CollectionName[];
  /** Stops listening, closes all connections, forgets everything. */
  close(): Promise<void>;
}

const defaultRanges = ["10.96.0.0/12", "fd00:10:96::/112"];
const initialNamespaces = ["default", "kube-node-lease", "kube-public", "kube-system"];

/**
 * Starts a server.
 *
 * @throws Error when the address cannot be listened on; RangeError for options without sense
 */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const clock = options.clock ?? systemClock;
  const random = options.random ?? Math.random;
  const store = new Store(options.history ?? 4_096);
  const registry = new Registry(store, {
    clock,
    random,
    newUid: options.newUid ?? randomUUID,
    serviceRanges: (options.serviceRanges ?? defaultRanges).map(readRange),
    createNamespaces: options.createNamespaces ?? true,
  });
  const streams = new Set<FaultyStream>();
  const listener = new Listener(options, (request, response) => handler.handle(request, response));
  const faults = new Faults({
    store,
    clock,
    streams: () => [...streams],
    stopListening: () => listener.stop(),
    startListening: () => listener.start(),
  });
  const requests = new RequestLog();
  const limits = {
    maxPending: options.maxPending ?? 1_000,
    bookmarkMilliseconds: options.bookmarkMilliseconds ?? 60_000,
  };
  const handler = new ApiHandler(
    { store, registry, clock, random, limits, streams },
    faults,
    requests,
    options.token,
  );
  store.subscribe({ rewound: () => faults.cutStreams() });
  const apiStore = new ApiStore(store, registry);
  apiStore.load(
    initialNamespaces.map((name) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } })),
  );
  await listener.start();
  const close = async (): Promise<void> => {
    faults.endStreams();
    await listener.stop();
  };
  return {
    url: listener.url,
    store: apiStore,
    faults,
    requests,
    openWatches: () => [...streams].map((stream) => stream.collection),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function readRange(text: string): AddressRange {
  const range = parseRange(text);
  if (range === undefined) throw new RangeError(`Cannot start API server: "${text}" is not an address range`);
  return range;
}
