/**
 * GET: one object, a list.
 *
 * @module
 */
import { findAction } from "../faults/fault-action.ts";
import type { Resource } from "../kinds/resources.ts";
import { objectKey } from "../objects.ts";
import type { ListQuery } from "../reads/list-query.ts";
import { parseListQuery } from "../reads/list-query.ts";
import type { ObjectFormat } from "../reads/object-format.ts";
import { PlainFormat } from "../reads/object-format.ts";
import { expiredContinuation, selectPage } from "../reads/page.ts";
import type { Selection } from "../reads/selection.ts";
import type { IncludeObject } from "../reads/table-format.ts";
import { TableFormat } from "../reads/table-format.ts";
import { notFound, tooLargeVersion } from "../status.ts";
import { waitForVersion } from "../storage/version-wait.ts";
import type { ApiContext } from "./api-context.ts";
import type { Exchange } from "./exchange.ts";
import { sendJson } from "./exchange.ts";
import { negotiate } from "./negotiation.ts";
import type { Route } from "./route.ts";

/** The format that a client asks for. @throws ApiError 406 */
export function requestedFormat(context: ApiContext, exchange: Exchange, resource: Resource): ObjectFormat {
  if (negotiate(exchange.request.headers.accept) === "object") return new PlainFormat(resource);
  const asked = exchange.parameters.get("includeObject");
  const include: IncludeObject = asked === "None" || asked === "Object" ? asked : "Metadata";
  return new TableFormat(resource, include, context.clock);
}

/** What a list or watch is about; a name in the path narrows it to one object. */
export function requestedSelection(route: Route, query: ListQuery): Selection {
  const { namespace, name } = route;
  const named = name === "" ? [] : [{ field: "metadata.name", equal: true, value: name }];
  return { namespace, labels: query.labels, fields: [...query.fields, ...named] };
}

/** Answers a request for one object. */
export async function getObject(context: ApiContext, exchange: Exchange, route: Route): Promise<void> {
  const { resource, namespace, name } = route;
  const format = requestedFormat(context, exchange, resource);
  const stored = context.store.get(resource.collection, objectKey(namespace, name));
  if (stored === undefined) throw notFound(resource, name);
  await sendJson(exchange, 200, format.single(stored));
}

/** Answers a request for a list. */
export async function listObjects(context: ApiContext, exchange: Exchange, route: Route): Promise<void> {
  const { resource } = route;
  const format = requestedFormat(context, exchange, resource);
  const query = parseListQuery(exchange.parameters, resource);
  if (query.continuation !== "" && findAction(exchange.actions, "expire-continue") !== undefined) {
    throw expiredContinuation(query.continuation);
  }
  const version = query.version ?? 0;
  if (!(await waitForVersion(context.store, version, context.clock))) {
    throw tooLargeVersion(version, context.store.version);
  }
  const page = selectPage(context.store, resource, requestedSelection(route, query), query);
  await sendJson(exchange, 200, format.list(page));
}
