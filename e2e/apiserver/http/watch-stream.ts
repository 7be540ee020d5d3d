/**
 * A watch over HTTP: headers at once, then lines until somebody has enough.
 *
 * @module
 */

import type { ByteSink } from "../faults/byte-sink.ts";
import { DripSink, ResponseSink } from "../faults/byte-sink.ts";
import type { FaultAction } from "../faults/fault-action.ts";
import { findAction } from "../faults/fault-action.ts";
import type { FaultyStream } from "../faults/faults.ts";
import { FaultyLines } from "../faults/faulty-lines.ts";
import { forbiddenField, invalidObject } from "../field-errors.ts";
import type { ListQuery } from "../reads/list-query.ts";
import { parseWatchQuery } from "../reads/list-query.ts";
import { errorLine } from "../reads/object-format.ts";
import { planWatch } from "../reads/watch-plan.ts";
import type { LineSink, WatchPlan } from "../reads/watcher.ts";
import { Watcher } from "../reads/watcher.ts";
import type { ApiContext } from "./api-context.ts";
import type { Exchange } from "./exchange.ts";
import { requestedFormat, requestedSelection } from "./reads.ts";
import type { Route } from "./route.ts";

/**
 * Answers a watch; resolves when it has begun.
 *
 * @throws ApiError for what is wrong with the parameters; everything later is an event in the stream
 */
export async function watchObjects(context: ApiContext, exchange: Exchange, route: Route): Promise<void> {
  const { resource } = route;
  const { response, actions } = exchange;
  const format = requestedFormat(context, exchange, resource);
  const query = asOldServer(parseWatchQuery(exchange.parameters, resource), actions);
  const request = { resource, query, format, selection: requestedSelection(route, query) };
  response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-cache, private" });
  response.flushHeaders();
  const planned = await planWatch(context.store, request, context.clock, context.random);
  if (response.destroyed) return;
  if ("failure" in planned) {
    response.end(errorLine(planned.failure));
    return;
  }
  run(context, exchange, withInitialFaults(planned.plan, actions));
}

function run(context: ApiContext, { response, actions }: Exchange, plan: WatchPlan): void {
  let watcher: Watcher | undefined;
  const resume = (): void => watcher?.resume();
  const lines = new FaultyLines(byteSink(new ResponseSink(response), actions, resume), actions);
  const stream: FaultyStream = {
    collection: plan.resource.collection,
    end: () => watcher?.finish(),
    cut: () => {
      watcher?.stop();
      lines.cutMidLine();
    },
  };
  const sink: LineSink = {
    get ready() {
      return lines.ready;
    },
    write: (line) => lines.write(line),
    end: () => {
      context.streams.delete(stream);
      lines.end();
    },
  };
  context.streams.add(stream);
  watcher = new Watcher(context.store, plan, context.limits, sink, context.clock);
  response.on("drain", resume);
  response.on("close", () => {
    watcher?.stop();
    context.streams.delete(stream);
  });
}

function byteSink(sink: ByteSink, actions: readonly FaultAction[], drained: () => void): ByteSink {
  const drip = findAction(actions, "drip");
  return drip === undefined ? sink : new DripSink(sink, drip.bytesPerWrite, drained);
}

/** A server without streaming lists does not know two of the parameters. */
function asOldServer(query: ListQuery, actions: readonly FaultAction[]): ListQuery {
  const fault = findAction(actions, "old-server");
  if (fault === undefined || query.sendInitialEvents === undefined) return query;
  if (fault.answer === "reject") {
    const problem = forbiddenField("sendInitialEvents", "the feature gate WatchList is not enabled");
    throw invalidObject({ group: "meta.k8s.io", kind: "ListOptions" }, "", [problem]);
  }
  // Such a server had bookmarks, but none that ended the initial objects.
  return { ...query, sendInitialEvents: undefined, match: undefined };
}

function withInitialFaults(plan: WatchPlan, actions: readonly FaultAction[]): WatchPlan {
  const reordered =
    findAction(actions, "reorder-initial") === undefined ? plan.initial : plan.initial.toReversed();
  const duplicated = findAction(actions, "duplicate-initial") !== undefined;
  const initial = duplicated ? reordered.flatMap((object) => [object, object]) : reordered;
  const unmarked = (["no-initial-events-end", "old-server"] as const).some((kind) =>
    findAction(actions, kind),
  );
  return { ...plan, initial, endBookmark: plan.endBookmark && !unmarked };
}
