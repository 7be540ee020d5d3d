/**
 * Status objects: how the API reports failure, and success without an object.
 *
 * Every failure of a request is an {@link ApiError}; the HTTP layer prints its `status`. Messages, reasons and
 * details follow the real server (Kubernetes API conventions, "Response Status Kind"), because clients decide by
 * `reason` and `details.causes`, and people read the message.
 *
 * @module
 */
import type { JsonObject } from "./json.ts";

/** One cause in `details.causes`. */
export interface StatusCause extends JsonObject {
  readonly reason: string;
  readonly message: string;
  readonly field?: string | undefined;
}

/** `details` of a Status. */
export interface StatusDetails extends JsonObject {
  readonly name?: string | undefined;
  readonly group?: string | undefined;
  /** The plural resource for NotFound, AlreadyExists and Conflict; the Kind for Invalid. */
  readonly kind?: string | undefined;
  readonly uid?: string | undefined;
  readonly causes?: readonly StatusCause[] | undefined;
  readonly retryAfterSeconds?: number | undefined;
}

/** A Status object. */
export interface Status extends JsonObject {
  readonly kind: "Status";
  readonly apiVersion: "v1";
  readonly metadata: JsonObject;
  readonly status: "Success" | "Failure";
  readonly message?: string | undefined;
  readonly reason?: string | undefined;
  readonly details?: StatusDetails | undefined;
  readonly code?: number | undefined;
}

/** A request that fails; `status` is what the client gets. */
export class ApiError extends Error {
  override readonly name: string = "ApiError";
  readonly status: Status;
  /** HTTP status code, equal to `status.code`. */
  readonly code: number;

  constructor(
    code: number,
    reason: string,
    message: string,
    details?: StatusDetails,
    metadata: JsonObject = {},
  ) {
    super(message);
    this.code = code;
    this.status = {
      kind: "Status",
      apiVersion: "v1",
      metadata,
      status: "Failure",
      message,
      reason,
      details,
      code,
    };
  }
}

/** What errors need to know of a resource to name it. */
export interface NamedResource {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
}

/** `services`, or `endpointslices.discovery.k8s.io`: the spelling inside messages. */
export function qualifiedResource(resource: NamedResource): string {
  return resource.group === "" ? resource.plural : `${resource.plural}.${resource.group}`;
}

function resourceDetails(resource: NamedResource, name: string): StatusDetails {
  return { name, group: resource.group === "" ? undefined : resource.group, kind: resource.plural };
}

/** 400 with a free message. */
export function badRequest(message: string): ApiError {
  return new ApiError(400, "BadRequest", message);
}

/** 401. */
export function unauthorized(): ApiError {
  return new ApiError(401, "Unauthorized", "Unauthorized");
}

/** 404 for a named object. */
export function notFound(resource: NamedResource, name: string): ApiError {
  const message = `${qualifiedResource(resource)} "${name}" not found`;
  return new ApiError(404, "NotFound", message, resourceDetails(resource, name));
}

/** 404 for a path or resource that the server does not have. */
export function unknownResource(): ApiError {
  return new ApiError(404, "NotFound", "the server could not find the requested resource", {});
}

/** 405: the resource exists, the verb does not apply to it. */
export function methodNotAllowed(verb: string, kind: string): ApiError {
  return new ApiError(405, "MethodNotAllowed", `${verb} is not supported on resources of kind "${kind}"`, {});
}

/** 406: nothing that we produce is accepted. */
export function notAcceptable(): ApiError {
  const message = "only the following media types are accepted: application/json";
  return new ApiError(406, "NotAcceptable", message);
}

/** 409: the name is taken. */
export function alreadyExists(resource: NamedResource, name: string): ApiError {
  const message = `${qualifiedResource(resource)} "${name}" already exists`;
  return new ApiError(409, "AlreadyExists", message, resourceDetails(resource, name));
}

/** 409: a precondition (version, uid) does not hold. */
export function conflict(resource: NamedResource, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${qualifiedResource(resource)} "${name}": ${why}`;
  return new ApiError(409, "Conflict", message, resourceDetails(resource, name));
}

/** 409 for a stale `resourceVersion`. */
export function modifiedConflict(resource: NamedResource, name: string): ApiError {
  const why = "the object has been modified; please apply your changes to the latest version and try again";
  return conflict(resource, name, why);
}

/** 409 for a different `uid`. */
export function uidConflict(resource: NamedResource, name: string, wanted: string, found: string): ApiError {
  const why = `Precondition failed: UID in precondition: ${wanted}, UID in object meta: ${found}`;
  return conflict(resource, name, why);
}

/** 410: the requested version is no longer in the history. `continuation` lets a list go on, inconsistently. */
export function expired(message: string, continuation?: string): ApiError {
  const metadata = continuation === undefined ? {} : { continue: continuation };
  return new ApiError(410, "Expired", message, undefined, metadata);
}

/** 410 for a watch or a list that starts before the oldest remembered change. */
export function tooOldVersion(requested: number, oldest: number): ApiError {
  return expired(`too old resource version: ${requested} (${oldest})`);
}

/** 413. */
export function entityTooLarge(limitBytes: number): ApiError {
  return new ApiError(413, "RequestEntityTooLarge", `Request entity too large: limit is ${limitBytes}`);
}

/** 415: the body's content type is not one of `accepted`. */
export function unsupportedMediaType(accepted: readonly string[]): ApiError {
  const list = accepted.join(", ");
  const message = `the body of the request was in an unknown format - accepted media types include: ${list}`;
  return new ApiError(415, "UnsupportedMediaType", message);
}

/** 504: a version above the newest one did not come within the wait. */
export function tooLargeVersion(requested: number, current: number): ApiError {
  const message = `Timeout: Too large resource version: ${requested}, current: ${current}`;
  const cause: StatusCause = { reason: "ResourceVersionTooLarge", message: "Too large resource version" };
  return new ApiError(504, "Timeout", message, { causes: [cause], retryAfterSeconds: 1 });
}

/** 500. */
export function internalError(message: string): ApiError {
  return new ApiError(500, "InternalError", message);
}

/** The answer to a successful delete that does not return the object. */
export function deleted(resource: NamedResource, name: string, uid: string): Status {
  const details = { ...resourceDetails(resource, name), uid };
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details };
}
