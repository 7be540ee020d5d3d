/**
 * From the JSON of an API object to the plain value of its kind.
 *
 * Never throws, whatever the JSON. Pure.
 *
 * @module
 */
import type { ObjectKey, WatchedObject } from "../proxier/objects.ts";
import { decodeNode, nodeIdentity } from "./decode-node.ts";
import { decodeService, serviceIdentity } from "./decode-service.ts";
import { decodeSlice, sliceIdentity } from "./decode-slice.ts";
import { asRecord } from "./fields.ts";
import { type Decoded, type IdentityRule, isLabel, isName } from "./identity.ts";
import { keyOf, type ObjectKind } from "./source.ts";
import type { StringPool } from "./string-pool.ts";

const identityRules: Readonly<Record<ObjectKind, IdentityRule>> = {
  Service: serviceIdentity,
  EndpointSlice: sliceIdentity,
  Node: nodeIdentity,
};

/** Reads an object that is known to be of the kind. The JSON's own `kind` is not looked at: list items have none. */
export function decodeObject(kind: ObjectKind, json: unknown, pool: StringPool): Decoded<WatchedObject> {
  switch (kind) {
    case "Service":
      return decodeService(json, pool);
    case "EndpointSlice":
      return decodeSlice(json, pool);
    case "Node":
      return decodeNode(json, pool);
  }
}

/** Key and version of an object, without the cost of reading the rest. */
export interface ObjectHead {
  readonly key: ObjectKey;
  /** `""` when absent. */
  readonly resourceVersion: string;
}

/** Reads key and version only. Undefined when the key is unusable; {@link decodeObject} then says why. */
export function readHead(kind: ObjectKind, json: unknown): ObjectHead | undefined {
  const rule = identityRules[kind];
  const metadata = asRecord(asRecord(json)?.["metadata"]);
  const name = metadata?.["name"];
  const namespace = rule.namespaced ? metadata?.["namespace"] : "";
  if (typeof name !== "string" || !isName(name, rule.nameLength)) {
    return undefined;
  }
  if (typeof namespace !== "string" || (rule.namespaced && !isLabel(namespace))) {
    return undefined;
  }
  const version = metadata?.["resourceVersion"];
  return {
    key: keyOf(kind, namespace, name),
    resourceVersion: typeof version === "string" ? version : "",
  };
}
