/**
 * Field selectors: which fields each resource offers, parsing, and matching.
 *
 * The selectable values are taken from an object once, when it is stored: a watch over ten thousand Services must
 * not parse each of them again to evaluate `spec.clusterIP!=None`.
 *
 * @module
 */
import { objectAt, stringAt } from "../json.ts";
import type { CollectionName, Resource } from "../kinds/resources.ts";
import { groupVersion } from "../kinds/resources.ts";
import type { KubeObject } from "../objects.ts";
import { badRequest } from "../status.ts";

/** One requirement; a selector is met when all of its requirements are. */
export interface FieldRequirement {
  /** A name as in {@link selectableFields}, or `metadata.name` or `metadata.namespace`. */
  readonly field: string;
  readonly equal: boolean;
  readonly value: string;
}

/** Selectable values by field name, without those of the metadata. */
export type SelectableFields = Readonly<Record<string, string>>;

/** What a field selector is matched against. */
export interface FieldSubject {
  readonly name: string;
  readonly namespace: string;
  readonly fields: SelectableFields;
}

const none: SelectableFields = {};

const involvedParts = [
  "kind",
  "namespace",
  "name",
  "uid",
  "apiVersion",
  "resourceVersion",
  "fieldPath",
] as const;

const eventsNames: ReadonlyMap<string, string> = new Map([
  ...involvedParts.map((part) => [`regarding.${part}`, `involvedObject.${part}`] as const),
  ["reason", "reason"],
  ["reportingController", "reportingComponent"],
  ["type", "type"],
]);

const podSpecFields = ["nodeName", "restartPolicy", "schedulerName", "serviceAccountName"] as const;
const podStatusFields = ["phase", "podIP", "nominatedNodeName"] as const;

const ownNames: Readonly<Partial<Record<CollectionName, readonly string[]>>> = {
  services: ["spec.clusterIP", "spec.type"],
  nodes: ["spec.unschedulable"],
  namespaces: ["status.phase"],
  pods: [
    ...podSpecFields.map((field) => `spec.${field}`),
    ...podStatusFields.map((field) => `status.${field}`),
  ],
  events: [
    ...involvedParts.map((part) => `involvedObject.${part}`),
    "reason",
    "reportingComponent",
    "source",
    "type",
  ],
};

/** The selectable values of an object in its stored form. */
export function selectableFields(collection: CollectionName, object: KubeObject): SelectableFields {
  const spec = objectAt(object, "spec");
  switch (collection) {
    case "services":
      return { "spec.clusterIP": stringAt(spec, "clusterIP"), "spec.type": stringAt(spec, "type") };
    case "nodes":
      return { "spec.unschedulable": String(spec["unschedulable"] === true) };
    case "namespaces":
      return { "status.phase": stringAt(objectAt(object, "status"), "phase") };
    case "pods":
      return podFields(object);
    case "events":
      return eventFields(object);
    default:
      return none;
  }
}

function podFields(pod: KubeObject): SelectableFields {
  const values: Record<string, string> = {};
  for (const field of podSpecFields) values[`spec.${field}`] = stringAt(objectAt(pod, "spec"), field);
  for (const field of podStatusFields) values[`status.${field}`] = stringAt(objectAt(pod, "status"), field);
  return values;
}

function eventFields(event: KubeObject): SelectableFields {
  const involved = objectAt(event, "involvedObject");
  const reporter = stringAt(event, "reportingComponent");
  const values: Record<string, string> = {
    reason: stringAt(event, "reason"),
    type: stringAt(event, "type"),
    reportingComponent: reporter,
    source: stringAt(objectAt(event, "source"), "component") || reporter,
  };
  for (const part of involvedParts) values[`involvedObject.${part}`] = stringAt(involved, part);
  return values;
}

/**
 * Parses a selector for a resource; empty text gives no requirements.
 *
 * @throws ApiError 400 for bad syntax and for fields that the resource does not offer
 */
export function parseFieldSelector(text: string, resource: Resource): readonly FieldRequirement[] {
  return splitUnescaped(text)
    .filter((part) => part !== "")
    .map((part) => readRequirement(part, resource));
}

/** Whether an object meets all requirements. */
export function matchesFields(requirements: readonly FieldRequirement[], subject: FieldSubject): boolean {
  return requirements.every(({ field, equal, value }) => (fieldValue(subject, field) === value) === equal);
}

function fieldValue(subject: FieldSubject, field: string): string {
  if (field === "metadata.name") return subject.name;
  return field === "metadata.namespace" ? subject.namespace : (subject.fields[field] ?? "");
}

/** Splits at commas that no backslash protects. */
function splitUnescaped(text: string): readonly string[] {
  return text.match(/(\\.|[^\\,])+|\\$/gs) ?? [];
}

function readRequirement(text: string, resource: Resource): FieldRequirement {
  const match = /^((?:\\.|[^\\=!])*)(!=|==|=)((?:\\.|[^\\=])*)$/s.exec(text);
  if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${text}'`);
  const [, field = "", operator = "=", value = ""] = match;
  return { field: storedName(field, resource), equal: operator !== "!=", value: withoutEscapes(value) };
}

function withoutEscapes(value: string): string {
  return value.replace(/\\(.)/gs, (_, escaped: string) => {
    if (!"\\,=".includes(escaped)) throw badRequest(`invalid selector: cannot unescape '\\${escaped}'`);
    return escaped;
  });
}

/** Translates a field's name into the one used in storage, refusing those the resource does not offer. */
function storedName(field: string, resource: Resource): string {
  if (field === "metadata.name" || (field === "metadata.namespace" && resource.namespaced)) return field;
  const own = ownNames[resource.collection];
  if (own === undefined) {
    const known = resource.namespaced ? `"metadata.name", "metadata.namespace"` : `"metadata.name"`;
    throw badRequest(`"${field}" is not a known field selector: only ${known}`);
  }
  const stored = groupVersion(resource) === "events.k8s.io/v1" ? eventsNames.get(field) : field;
  if (stored === undefined || !own.includes(stored)) throw badRequest(`field label not supported: ${field}`);
  return stored;
}
