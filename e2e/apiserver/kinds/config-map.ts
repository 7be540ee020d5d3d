/**
 * ConfigMaps: validation (Kubernetes documentation, "ConfigMaps").
 *
 * @module
 */
import type { FieldError } from "../field-errors.ts";
import { forbiddenField, invalidField, tooLongField } from "../field-errors.ts";
import { equalJson, objectAt } from "../json.ts";
import type { KubeObject } from "../objects.ts";

const maxBytes = 1_048_576;
const keyPattern = /^[-._a-zA-Z0-9]{1,253}$/;

/** What is wrong with a ConfigMap. */
export function checkConfigMap(configMap: KubeObject): readonly FieldError[] {
  const errors: FieldError[] = [];
  const data = objectAt(configMap, "data");
  const binary = objectAt(configMap, "binaryData");
  let bytes = 0;
  for (const [field, map] of [
    ["data", data],
    ["binaryData", binary],
  ] as const) {
    for (const [key, value] of Object.entries(map)) {
      if (typeof value !== "string") errors.push(invalidField(`${field}[${key}]`, value, "must be a string"));
      else bytes += field === "data" ? Buffer.byteLength(value) : Buffer.byteLength(value, "base64");
      if (!keyPattern.test(key))
        errors.push(invalidField(`${field}[${key}]`, key, "must be a valid config key"));
    }
  }
  for (const key of Object.keys(binary)) {
    if (key in data) errors.push(invalidField(`data[${key}]`, key, "duplicate of key present in binaryData"));
  }
  if (bytes > maxBytes) errors.push(tooLongField("", maxBytes, "bytes"));
  return errors;
}

/** An immutable ConfigMap stays as it is, immutability included. */
export function checkConfigMapUpdate(next: KubeObject, old: KubeObject): readonly FieldError[] {
  if (old["immutable"] !== true) return [];
  const why = "field is immutable when `immutable` is set";
  return ["immutable", "data", "binaryData"]
    .filter((field) => !equalJson(next[field], old[field]))
    .map((field) => forbiddenField(field, why));
}
