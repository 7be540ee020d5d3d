/**
 * Validation failures of single fields, and the 422 Status they add up to.
 *
 * @module
 */
import type { Json } from "./json.ts";
import type { NamedResource, StatusCause } from "./status.ts";
import { ApiError } from "./status.ts";

/** One wrong field. */
export interface FieldError {
  /** As in `details.causes[].reason`. */
  readonly reason:
    | "FieldValueInvalid"
    | "FieldValueRequired"
    | "FieldValueDuplicate"
    | "FieldValueForbidden"
    | "FieldValueNotSupported"
    | "FieldValueTooLong";
  /** Path such as `spec.ports[0].port`. */
  readonly field: string;
  /** The message without the field's path. */
  readonly message: string;
}

/** The value is wrong by itself. */
export function invalidField(field: string, value: Json | undefined, why: string): FieldError {
  const shown = JSON.stringify(value ?? null);
  return { reason: "FieldValueInvalid", field, message: `Invalid value: ${shown}: ${why}` };
}

/** The value is missing. */
export function requiredField(field: string, why = ""): FieldError {
  const message = why === "" ? "Required value" : `Required value: ${why}`;
  return { reason: "FieldValueRequired", field, message };
}

/** The value is there already. */
export function duplicateField(field: string, value: Json): FieldError {
  return { reason: "FieldValueDuplicate", field, message: `Duplicate value: ${JSON.stringify(value)}` };
}

/** The field may not be set here. */
export function forbiddenField(field: string, why: string): FieldError {
  return { reason: "FieldValueForbidden", field, message: `Forbidden: ${why}` };
}

/** The value is not one of the possible ones. */
export function unsupportedField(
  field: string,
  value: Json | undefined,
  values: readonly string[],
): FieldError {
  const supported = values.map((one) => JSON.stringify(one)).join(", ");
  const shown = JSON.stringify(value ?? null);
  const message = `Unsupported value: ${shown}: supported values: ${supported}`;
  return { reason: "FieldValueNotSupported", field, message };
}

/** The value exceeds a limit. */
export function tooLongField(field: string, limit: number, unit: string): FieldError {
  const message = `Too long: may not be more than ${limit} ${unit}`;
  return { reason: "FieldValueTooLong", field, message };
}

/** Appends `.name` to a path. */
export function child(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

/**
 * 422 for one or more wrong fields.
 *
 * @param errors at least one
 */
export function invalidObject(
  resource: Pick<NamedResource, "group" | "kind">,
  name: string,
  errors: readonly FieldError[],
): ApiError {
  const kind = resource.group === "" ? resource.kind : `${resource.kind}.${resource.group}`;
  const lines = errors.map((error) => `${error.field}: ${error.message}`);
  const text = lines.length === 1 ? lines[0] : `[${lines.join(", ")}]`;
  const causes: readonly StatusCause[] = errors.map(({ reason, message, field }) => ({
    reason,
    message,
    field,
  }));
  const group = resource.group === "" ? undefined : resource.group;
  return new ApiError(422, "Invalid", `${kind} "${name}" is invalid: ${text}`, {
    name,
    group,
    kind: resource.kind,
    causes,
  });
}
