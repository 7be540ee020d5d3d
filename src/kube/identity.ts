/**
 * Who an object is: its namespace, name and version, and the rules of Kubernetes names.
 *
 * Names end up in rule comments, chain hashes, logs and metrics. They are checked here, once: a name that gets
 * through consists of `a-z 0-9 . -` only (of a port also of `A-Z _`), so no quote, blank or line break can reach the
 * text of a rule. An object whose name does not get through is refused as a whole, for nothing could be said about it
 * safely.
 *
 * @module
 */
import type { Problem } from "../proxier/objects.ts";
import { asRecord, Fields } from "./fields.ts";
import { ProblemList, showValue } from "./problem-list.ts";

/** What reading an object gave: the object unless its identity is unusable, and what was wrong with it. */
export interface Decoded<T> {
  readonly object: T | undefined;
  readonly problems: readonly Problem[];
}

/** Length of a DNS label: names of namespaces, Services and ports; also that of a label's value. */
export const labelLength = 63;

/** Length of a DNS subdomain: names of EndpointSlices and Nodes. */
export const subdomainLength = 253;

/** Length of a version. Versions are opaque; today's are decimal numbers of at most 20 digits. */
const versionLength = 128;

/** Whether the text can be a name in Kubernetes, of at most `length` characters. */
export function isName(text: string, length: number): boolean {
  return text.length <= length && /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/.test(text);
}

/** Whether the text can be a DNS label in the wide sense of {@link isName}. */
export function isLabel(text: string): boolean {
  return isName(text, labelLength);
}

/** Whether the text can be a DNS subdomain. */
export function isSubdomain(text: string): boolean {
  return isName(text, subdomainLength);
}

/**
 * Whether the text can be a port's name, `""` meaning none. Wider than the API server's rule, which has no upper case:
 * port names are only ever compared and shown, and manifests that never met an API server use them.
 */
export function isPortName(text: string): boolean {
  return text === "" || isLabelValue(text);
}

/** Whether the text can be the value of a label, zones included. */
export function isLabelValue(text: string): boolean {
  return text.length <= labelLength && /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(text);
}

/** How an object of a kind is named. */
export interface IdentityRule {
  readonly kind: "Service" | "EndpointSlice" | "Node";
  readonly namespaced: boolean;
  /** Greatest length of the name. */
  readonly nameLength: number;
}

/** The usable part of an object's metadata, and readers for the rest. */
export interface Identity {
  /** `""` for a kind that has no namespaces. */
  readonly namespace: string;
  readonly name: string;
  /** `""` when absent. */
  readonly resourceVersion: string;
  readonly root: Fields;
  readonly metadata: Fields;
  readonly problems: ProblemList;
}

/** Reads who an object is. The second form means that it cannot be used. */
export function identify(
  rule: IdentityRule,
  json: unknown,
): Identity | { readonly root: undefined; readonly problems: ProblemList } {
  const record = asRecord(json);
  const metadata = asRecord(record?.["metadata"]);
  const namespace = rule.namespaced ? metadata?.["namespace"] : "";
  const name = metadata?.["name"];
  const problems = new ProblemList(rule.kind, objectLabel(rule, namespace, name));
  const refuse = (field: string, message: string): { root: undefined; problems: ProblemList } => {
    problems.add(field, `${message}: the object is skipped`);
    return { root: undefined, problems };
  };
  if (record === undefined) {
    return refuse("", `${showValue(json)} is not an object`);
  }
  if (typeof name !== "string" || !isName(name, rule.nameLength)) {
    return refuse("metadata.name", `${showValue(name)} is not a name`);
  }
  if (typeof namespace !== "string" || (rule.namespaced && !isLabel(namespace))) {
    return refuse("metadata.namespace", `${showValue(namespace)} is not a name`);
  }
  const root = Fields.root(record, problems);
  const reader = root.record("metadata");
  const resourceVersion = reader.text("resourceVersion", versionLength) ?? "";
  return { namespace, name, resourceVersion, root, metadata: reader, problems };
}

/** `namespace/name` for messages: unusable characters become `?`, so that it stays one short word. */
function objectLabel(rule: IdentityRule, namespace: unknown, name: unknown): string {
  const harmless = (part: unknown): string =>
    typeof part === "string" && part !== ""
      ? part.slice(0, rule.nameLength).replaceAll(/[^A-Za-z0-9.-]/g, "?")
      : "?";
  return rule.namespaced ? `${harmless(namespace)}/${harmless(name)}` : harmless(name);
}
