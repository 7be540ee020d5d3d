/**
 * POST, PUT, PATCH, DELETE: from a request to a call of the registry, and back.
 *
 * @module
 */
import { invalidObject, requiredField, unsupportedField } from "../field-errors.ts";
import type { Json } from "../json.ts";
import { isJsonObject, objectAt, stringAt, stringsAt } from "../json.ts";
import { decodeObject } from "../objects.ts";
import type { PatchType } from "../patch/patch-object.ts";
import { patchTypes } from "../patch/patch-object.ts";
import { parseListQuery } from "../reads/list-query.ts";
import type { Page } from "../reads/page.ts";
import { selects } from "../reads/selection.ts";
import { badRequest, deleted, unsupportedMediaType } from "../status.ts";
import type { DeleteOptions, WriteOptions } from "../storage/registry.ts";
import type { ApiContext } from "./api-context.ts";
import type { Exchange } from "./exchange.ts";
import { readBody, readJson, sendJson } from "./exchange.ts";
import { mediaType, parseBody } from "./negotiation.ts";
import { requestedFormat, requestedSelection } from "./reads.ts";
import type { Route } from "./route.ts";

/** Answers a POST. */
export async function createObject(context: ApiContext, exchange: Exchange, route: Route): Promise<void> {
  const format = requestedFormat(context, exchange, route.resource);
  const object = decodeObject(await requiredJson(exchange));
  const options = writeOptions(exchange, route, "CreateOptions");
  const { stored } = context.registry.create(route.resource, route.namespace, object, options);
  await sendJson(exchange, 201, format.single(stored));
}

/** Answers a PUT. */
export async function updateObject(context: ApiContext, exchange: Exchange, route: Route): Promise<void> {
  const format = requestedFormat(context, exchange, route.resource);
  const object = decodeObject(await requiredJson(exchange));
  const options = writeOptions(exchange, route, "UpdateOptions");
  const { stored, created } = context.registry.update(route, object, options);
  await sendJson(exchange, created ? 201 : 200, format.single(stored));
}

/** Answers a PATCH. */
export async function patchStored(context: ApiContext, exchange: Exchange, route: Route): Promise<void> {
  const format = requestedFormat(context, exchange, route.resource);
  const contentType = exchange.request.headers["content-type"];
  const type = patchTypes.get(mediaType(contentType));
  if (type === undefined) throw unsupportedMediaType([...patchTypes.keys()]);
  const patch = parseBody(contentType, await readBody(exchange.request));
  requireFieldManager(exchange, type);
  const options = writeOptions(exchange, route, "PatchOptions");
  const { stored, created } = context.registry.patch(route, type, patch, options);
  await sendJson(exchange, created ? 201 : 200, format.single(stored));
}

/** Answers a DELETE of one object: some kinds return the object, the others a Status. */
export async function deleteObject(context: ApiContext, exchange: Exchange, route: Route): Promise<void> {
  const { resource, name } = route;
  const format = requestedFormat(context, exchange, resource);
  const options = deleteOptions(exchange, await readJson(exchange.request));
  const { stored, uid, gone } = context.registry.delete(route, options);
  const asObject = resource.returnsDeleted || !gone;
  const answer = asObject ? format.single(stored) : Buffer.from(JSON.stringify(deleted(resource, name, uid)));
  await sendJson(exchange, 200, answer);
}

/** Answers a DELETE of a collection with the list of what was deleted. */
export async function deleteCollection(context: ApiContext, exchange: Exchange, route: Route): Promise<void> {
  const { resource } = route;
  const format = requestedFormat(context, exchange, resource);
  const options = deleteOptions(exchange, await readJson(exchange.request));
  const selection = requestedSelection(route, parseListQuery(exchange.parameters, resource));
  const doomed = context.store.snapshot(resource.collection).filter((object) => selects(selection, object));
  const objects = doomed.map(
    ({ namespace, name }) => context.registry.delete({ resource, namespace, name }, options).stored,
  );
  const page: Page = { objects, version: context.store.version };
  await sendJson(exchange, 200, format.list(page));
}

async function requiredJson(exchange: Exchange): Promise<Json> {
  const body = await readJson(exchange.request);
  if (body === undefined) throw badRequest("the request has no body");
  return body;
}

function writeOptions(exchange: Exchange, route: Route, kind: string): WriteOptions {
  return { dryRun: readDryRun(exchange.parameters.getAll("dryRun"), kind), status: route.status };
}

function readDryRun(values: readonly string[], kind: string): boolean {
  const wrong = values.find((value) => value !== "All" && value !== "");
  if (wrong !== undefined) {
    throw invalidObject({ group: "meta.k8s.io", kind }, "", [unsupportedField("dryRun", wrong, ["All"])]);
  }
  return values.includes("All");
}

function requireFieldManager(exchange: Exchange, type: PatchType): void {
  if (type !== "apply" || (exchange.parameters.get("fieldManager") ?? "") !== "") return;
  const missing = requiredField("fieldManager", "is required for apply patch");
  throw invalidObject({ group: "meta.k8s.io", kind: "PatchOptions" }, "", [missing]);
}

/** Options of a delete; they may come in the body or as parameters. */
function deleteOptions(exchange: Exchange, body: Json | undefined): DeleteOptions {
  const options = isJsonObject(body) ? body : {};
  const preconditions = objectAt(options, "preconditions");
  const dryRun = [...stringsAt(options, "dryRun"), ...exchange.parameters.getAll("dryRun")];
  return {
    dryRun: readDryRun(dryRun, "DeleteOptions"),
    uid: stringAt(preconditions, "uid"),
    resourceVersion: stringAt(preconditions, "resourceVersion"),
  };
}
