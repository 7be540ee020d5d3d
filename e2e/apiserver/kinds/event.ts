/**
 * Events: validation. The rules for events.k8s.io/v1 are strict, those for core/v1 almost none, so the face through
 * which an event was created decides which apply.
 *
 * @module
 */
import type { FieldError } from "../field-errors.ts";
import { invalidField, requiredField, tooLongField, unsupportedField } from "../field-errors.ts";
import { objectAt, stringAt } from "../json.ts";
import type { KubeObject } from "../objects.ts";

const maxFieldLength = 128;
const maxNoteLength = 1_024;

/** What is wrong with an event in its stored (core) form, whatever face it came through. */
export function checkEvent(event: KubeObject): readonly FieldError[] {
  const namespace = event.metadata.namespace ?? "";
  const involved = stringAt(objectAt(event, "involvedObject"), "namespace") || "default";
  if (namespace === involved) return [];
  return [invalidField("involvedObject.namespace", involved, "does not match event.namespace")];
}

/** What is wrong with a new event that came through events.k8s.io; `event` is in the stored form. */
export function checkNewStyleEvent(event: KubeObject): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (stringAt(event, "eventTime") === "") errors.push(requiredField("eventTime"));
  for (const [stored, field] of [
    ["reportingComponent", "reportingController"],
    ["reportingInstance", "reportingInstance"],
    ["action", "action"],
    ["reason", "reason"],
  ] as const) {
    const value = stringAt(event, stored);
    if (value === "") errors.push(requiredField(field));
    if (value.length > maxFieldLength) errors.push(tooLongField(field, maxFieldLength, "characters"));
  }
  if (stringAt(event, "message").length > maxNoteLength) {
    errors.push(tooLongField("note", maxNoteLength, "characters"));
  }
  const type = stringAt(event, "type");
  if (type !== "Normal" && type !== "Warning") {
    errors.push(unsupportedField("type", type, ["Normal", "Warning"]));
  }
  return errors;
}
