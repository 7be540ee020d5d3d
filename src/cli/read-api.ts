/**
 * Reads the objects of the API server once, for the commands that look at them beside the kernel.
 *
 * @module
 */
import type { Startup } from "../config/load-config.ts";
import { ClusterState } from "../proxier/cluster-state.ts";
import { ClusterFeed } from "./cluster-feed.ts";
import { openSource } from "./open-source.ts";

/** How long the server has to answer. */
const limitMs = 10_000;

type RunStartup = Extract<Startup, { action: "run" }>;

/** Whether anything says where the API server is. */
export function hasApiServer({ config, process: options }: RunStartup): boolean {
  return (
    config.clientConnection.kubeconfig !== "" ||
    options.master !== undefined ||
    process.env["KUBERNETES_SERVICE_HOST"] !== undefined
  );
}

/**
 * Reads them.
 *
 * @throws Error when the server cannot be used, or does not answer in time
 */
export async function readApi(startup: RunStartup): Promise<ClusterState> {
  const state = new ClusterState();
  const stop = new AbortController();
  const complete = Promise.withResolvers<void>();
  let last = "";
  const feed = new ClusterFeed(state, {
    onComplete: () => complete.resolve(),
    onNode: () => {},
    onEvent: () => {},
    onProblems: () => {},
    onLog: (level, message, fields) => {
      if (level === "warn" || level === "error") {
        const { error = fields["reason"] ?? "" } = fields;
        last = `${message}${error === "" ? "" : `: ${error}`}`;
      }
    },
  });
  const limit = AbortSignal.timeout(limitMs);
  limit.addEventListener("abort", () =>
    complete.reject(new Error(`no answer of the API server in ${limitMs / 1000} s${last && `; ${last}`}`)),
  );
  try {
    const { source } = await openSource(startup, startup.nodeName, () => {}, stop.signal);
    source.start(feed, stop.signal).catch((error: unknown) => complete.reject(error));
    await complete.promise;
    return state;
  } finally {
    stop.abort();
  }
}
