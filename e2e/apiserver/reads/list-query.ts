/**
 * The query parameters of lists and watches: parsing, and the rules about which go together
 * (Kubernetes documentation, "Kubernetes API Concepts": resource versions, watches, streaming lists).
 *
 * What can be known from the parameters alone is refused here, with a plain HTTP error, before a stream starts.
 *
 * @module
 */
import type { FieldError } from "../field-errors.ts";
import { forbiddenField, invalidObject, unsupportedField } from "../field-errors.ts";
import type { Resource } from "../kinds/resources.ts";
import type { FieldRequirement } from "../selectors/fields.ts";
import { parseFieldSelector } from "../selectors/fields.ts";
import type { LabelRequirement } from "../selectors/labels.ts";
import { parseLabelSelector } from "../selectors/labels.ts";
import { badRequest } from "../status.ts";

/** How a `resourceVersion` is to be understood; absent means the default of the request. */
export type VersionMatch = "Exact" | "NotOlderThan";

/** What a list or watch asks for. */
export interface ListQuery {
  /** `undefined` for an absent or empty version. */
  readonly version: number | undefined;
  readonly match: VersionMatch | undefined;
  /** 0 for no limit. */
  readonly limit: number;
  /** Empty for a first page. */
  readonly continuation: string;
  readonly labels: readonly LabelRequirement[];
  readonly fields: readonly FieldRequirement[];
  readonly sendInitialEvents: boolean | undefined;
  readonly allowBookmarks: boolean;
  /** 0 when the client leaves the duration to the server. */
  readonly timeoutSeconds: number;
}

/**
 * Whether a boolean parameter is set. As in the real server `watch`, `watch=`, `watch=1` and `watch=yes` are true,
 * and only `false` and `0` are not.
 */
export function booleanParameter(parameters: URLSearchParams, name: string): boolean | undefined {
  const value = parameters.get(name);
  if (value === null) return undefined;
  return !(value.toLowerCase() === "false" || value === "0");
}

/**
 * Reads the parameters of a list.
 *
 * @throws ApiError 400 for unreadable values, 422 for combinations that make no sense
 */
export function parseListQuery(parameters: URLSearchParams, resource: Resource): ListQuery {
  const errors: FieldError[] = [];
  const match = parameters.get("resourceVersionMatch") ?? "";
  const version = parameters.get("resourceVersion") ?? "";
  const continuation = parameters.get("continue") ?? "";
  if (match !== "") {
    if (version === "") errors.push(forbidden("resourceVersionMatch", "needs a resourceVersion"));
    if (continuation !== "")
      errors.push(forbidden("resourceVersionMatch", "may not be combined with continue"));
    if (match !== "Exact" && match !== "NotOlderThan") errors.push(unsupportedMatch(match));
    if (match === "Exact" && version === "0") {
      errors.push(forbidden("resourceVersionMatch", `"Exact" is not possible with resourceVersion "0"`));
    }
  }
  if (parameters.has("sendInitialEvents")) errors.push(forbidden("sendInitialEvents", "is for watches only"));
  failIf(errors);
  if (continuation !== "" && version !== "" && version !== "0") {
    throw badRequest("specifying resource version is not allowed when using continue");
  }
  return readQuery(parameters, resource);
}

/**
 * Reads the parameters of a watch.
 *
 * @throws ApiError 400 for unreadable values, 422 for combinations that make no sense
 */
export function parseWatchQuery(parameters: URLSearchParams, resource: Resource): ListQuery {
  const errors: FieldError[] = [];
  const match = parameters.get("resourceVersionMatch") ?? "";
  const hasInitial = parameters.has("sendInitialEvents");
  if (hasInitial && match !== "NotOlderThan") {
    errors.push(
      forbidden("resourceVersionMatch", "sendInitialEvents needs resourceVersionMatch NotOlderThan"),
    );
  }
  if (match !== "") {
    if (!hasInitial) errors.push(forbidden("resourceVersionMatch", "needs sendInitialEvents in a watch"));
    if (match !== "NotOlderThan") errors.push(unsupportedMatch(match));
    if ((parameters.get("continue") ?? "") !== "") {
      errors.push(forbidden("resourceVersionMatch", "may not be combined with continue"));
    }
  }
  failIf(errors);
  return readQuery(parameters, resource);
}

function forbidden(field: string, why: string): FieldError {
  return forbiddenField(field, why);
}

function unsupportedMatch(match: string): FieldError {
  return unsupportedField("resourceVersionMatch", match, ["Exact", "NotOlderThan"]);
}

function failIf(errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalidObject({ group: "meta.k8s.io", kind: "ListOptions" }, "", errors);
}

function readQuery(parameters: URLSearchParams, resource: Resource): ListQuery {
  const match = parameters.get("resourceVersionMatch") ?? "";
  return {
    version: integerParameter(parameters, "resourceVersion"),
    match: match === "Exact" || match === "NotOlderThan" ? match : undefined,
    limit: integerParameter(parameters, "limit") ?? 0,
    continuation: parameters.get("continue") ?? "",
    labels: parseLabelSelector(parameters.get("labelSelector") ?? ""),
    fields: parseFieldSelector(parameters.get("fieldSelector") ?? "", resource),
    sendInitialEvents: booleanParameter(parameters, "sendInitialEvents"),
    allowBookmarks: booleanParameter(parameters, "allowWatchBookmarks") ?? false,
    timeoutSeconds: integerParameter(parameters, "timeoutSeconds") ?? 0,
  };
}

function integerParameter(parameters: URLSearchParams, name: string): number | undefined {
  const text = parameters.get(name) ?? "";
  if (text === "") return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw badRequest(`invalid ${name} "${text}": must be a non-negative integer`);
}
