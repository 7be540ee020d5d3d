/**
 * An EndpointSlice of the API as the plain value that the core works with.
 *
 * Never throws; rules as in `decode-service.ts`. This is the hot path of a cold sync (a slice may hold 1,000
 * endpoints), so an endpoint is one small object of shared texts.
 *
 * Pure.
 *
 * @module
 */
import type { EndpointSliceObject, SliceEndpointObject, SlicePortObject } from "../proxier/objects.ts";
import { readProtocol } from "./decode-service.ts";
import type { Fields } from "./fields.ts";
import {
  type Decoded,
  type Identity,
  type IdentityRule,
  identify,
  isLabel,
  isLabelValue,
  isPortName,
  isSubdomain,
  subdomainLength,
} from "./identity.ts";
import { StringPool } from "./string-pool.ts";

/** How EndpointSlices are named. */
export const sliceIdentity: IdentityRule = {
  kind: "EndpointSlice",
  namespaced: true,
  nameLength: subdomainLength,
};

const serviceNameLabel = "kubernetes.io/service-name";
const headlessLabel = "service.kubernetes.io/headless";
const triggerTimeAnnotation = "endpoints.kubernetes.io/last-change-trigger-time";

/** The API accepts at most 1,000 endpoints and 20,000 ports in a slice; a Service has no use for that many ports. */
const endpointLimit = 1000;
const portLimit = 1000;
/** The API accepts 8 hints of each kind. */
const hintLimit = 64;
const addressLength = 128;
const addressTypeLength = 16;
const targetKindLength = 64;
/** RFC 3339 with nanoseconds has 35 characters. */
const timeLength = 64;

/** Reads a `discovery.k8s.io/v1` EndpointSlice. `pool` shares texts that repeat between objects. */
export function decodeSlice(
  json: unknown,
  pool: StringPool = new StringPool(),
): Decoded<EndpointSliceObject> {
  const identity = identify(sliceIdentity, json);
  if (identity.root === undefined) {
    return { object: undefined, problems: identity.problems.problems };
  }
  const { root, metadata, problems } = identity;
  const labels = metadata.record("labels");
  const serviceName = labels.checkedText(
    serviceNameLabel,
    (text) => text === "" || isLabel(text),
    "a Service name",
  );
  const object: EndpointSliceObject = {
    kind: "EndpointSlice",
    namespace: pool.text(identity.namespace),
    name: identity.name,
    resourceVersion: identity.resourceVersion,
    serviceName: pool.text(serviceName ?? ""),
    headless: labels.has(headlessLabel),
    addressType: pool.text(root.text("addressType", addressTypeLength) ?? ""),
    ports: readPorts(identity, pool),
    endpoints: readEndpoints(identity, pool),
    triggerTime: metadata.record("annotations").text(triggerTimeAnnotation, timeLength) ?? "",
  };
  return { object, problems: problems.problems };
}

function readPorts({ root, problems }: Identity, pool: StringPool): readonly SlicePortObject[] {
  const ports: SlicePortObject[] = [];
  for (const entry of root.entries("ports", portLimit)) {
    const before = problems.count;
    const name = entry.checkedText("name", isPortName, "a port name");
    const protocol = readProtocol(entry) ?? "TCP";
    const port = entry.integer("port", 0, 65_535);
    if (problems.count === before) {
      ports.push({ name: name === undefined ? undefined : pool.text(name), protocol, port });
    }
  }
  return compact(ports);
}

function readEndpoints({ root, problems }: Identity, pool: StringPool): readonly SliceEndpointObject[] {
  const endpoints: SliceEndpointObject[] = [];
  for (const entry of root.entries("endpoints", endpointLimit)) {
    const before = problems.count;
    // Only the first address is ever used; the others need not even be sound.
    const address = entry.firstText("addresses", addressLength);
    const conditions = entry.record("conditions");
    const ready = conditions.boolean("ready") ?? true;
    const serving = conditions.boolean("serving") ?? true;
    const terminating = conditions.boolean("terminating") ?? false;
    const nodeName = entry.checkedText("nodeName", isNodeName, "a node name") ?? "";
    if (problems.count > before) {
      continue;
    }
    // What follows only steers topology: an endpoint without it is still an endpoint.
    const hints = entry.record("hints");
    endpoints.push({
      address,
      ready,
      serving,
      terminating,
      nodeName: pool.text(nodeName),
      zone: pool.text(readZone(entry)),
      zoneHints: pool.list(hintNames(hints, "forZones", isLabelValue)),
      nodeHints: pool.list(hintNames(hints, "forNodes", isSubdomain)),
      ...(pool.keepsPods ? podOf(entry) : {}),
    });
  }
  return compact(endpoints);
}

/** A list that grew keeps room for 16 more items or so. A copy does not, and lists of slices are kept for long. */
function compact<T>(list: readonly T[]): readonly T[] {
  return list.slice();
}

/** The pod behind an endpoint, where `targetRef` names one. */
function podOf(entry: Fields): { readonly pod?: string } {
  const target = entry.record("targetRef");
  const name = target.text("name", subdomainLength);
  return target.text("kind", targetKindLength) !== "Pod" || name === undefined ? {} : { pod: name };
}

function isNodeName(text: string): boolean {
  return text === "" || isSubdomain(text);
}

function readZone(entry: Fields): string {
  const isZone = (text: string): boolean => text === "" || isLabelValue(text);
  return entry.checkedText("zone", isZone, "a zone", "the zone is ignored") ?? "";
}

function hintNames(hints: Fields, list: string, accepts: (text: string) => boolean): readonly string[] {
  if (!hints.has(list)) {
    return noNames;
  }
  const names: string[] = [];
  for (const hint of hints.entries(list, hintLimit)) {
    const name = hint.checkedText("name", accepts, "a name");
    if (name !== undefined) {
      names.push(name);
    }
  }
  return names;
}

const noNames: readonly string[] = [];
