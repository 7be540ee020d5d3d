/**
 * A Service of the API as the plain value that the core works with.
 *
 * Never throws. A field that cannot be used is left out and named in a problem; only a Service without a usable
 * name is refused as a whole. Everything that is not in {@link ServiceObject} is dropped here.
 *
 * Pure.
 *
 * @module
 */
import type { IngressObject, Protocol, ServiceObject, ServicePortObject } from "../proxier/objects.ts";
import type { Fields } from "./fields.ts";
import {
  type Decoded,
  type IdentityRule,
  identify,
  isLabelValue,
  isPortName,
  labelLength,
} from "./identity.ts";
import { StringPool } from "./string-pool.ts";

/** How Services are named. */
export const serviceIdentity: IdentityRule = { kind: "Service", namespaced: true, nameLength: labelLength };

/** Beginnings of the annotations that this program reads. All others are dropped. */
const annotationPrefixes = [
  "sluice.",
  "kube-sluice.io/",
  "kube-router.io/service.sched",
  "service.cilium.io/lb-algorithm",
  "service.kubernetes.io/topology-mode",
] as const;

/** Presence of this label, whatever its value, gives a Service to another proxy. */
const proxyNameLabel = "service.kubernetes.io/service-proxy-name";

const annotationLength = 1024;
const annotationLimit = 64;
/** Characters of all annotations together; the API accepts 256 KiB, each copy of which every node would be sent. */
const annotationsLength = 64 * 1024;
/** Prefix of a DNS subdomain, a slash, a name. */
const annotationKeyLength = 253 + 1 + 63;
/** Words such as `LoadBalancer` or `ClientIP`. */
const wordLength = 64;
/** An address or a CIDR with room for leading zeros, blanks and nonsense worth quoting. */
const addressLength = 128;
const addressLimit = 1000;
const portLimit = 1000;
/** Greatest affinity timeout that the API accepts: one day. */
const affinityTimeoutLimit = 86_400;

/** Reads a `v1` Service. `pool` shares texts that repeat between objects. */
export function decodeService(json: unknown, pool: StringPool = new StringPool()): Decoded<ServiceObject> {
  const identity = identify(serviceIdentity, json);
  if (identity.root === undefined) {
    return { object: undefined, problems: identity.problems.problems };
  }
  const { root, metadata, problems } = identity;
  const spec = root.record("spec");
  const word = (name: string): string => pool.text(spec.text(name, wordLength) ?? "");
  const addresses = (name: string): readonly string[] =>
    pool.list(spec.texts(name, addressLimit, addressLength));
  const clusterIP = spec.text("clusterIP", addressLength) ?? "";
  const clusterIPs = addresses("clusterIPs");
  const affinity = spec.record("sessionAffinityConfig").record("clientIP");
  const object: ServiceObject = {
    kind: "Service",
    namespace: pool.text(identity.namespace),
    name: pool.text(identity.name),
    resourceVersion: identity.resourceVersion,
    annotations: readAnnotations(metadata),
    proxyName: readProxyName(metadata),
    type: word("type"),
    // The API server fills the list from the single one; manifests need not pass through it.
    clusterIP,
    clusterIPs: clusterIPs.length === 0 && clusterIP !== "" ? pool.list([clusterIP]) : clusterIPs,
    ipFamilies: pool.list(spec.texts("ipFamilies", 2, wordLength)),
    ports: readPorts(spec, pool, () => problems.count),
    externalIPs: addresses("externalIPs"),
    sessionAffinity: word("sessionAffinity"),
    affinityTimeoutSeconds: affinity.integer("timeoutSeconds", 1, affinityTimeoutLimit),
    internalTrafficPolicy: word("internalTrafficPolicy"),
    externalTrafficPolicy: word("externalTrafficPolicy"),
    healthCheckNodePort: spec.integer("healthCheckNodePort", 0, 65_535) ?? 0,
    loadBalancerSourceRanges: addresses("loadBalancerSourceRanges"),
    loadBalancerIngress: readIngress(root.record("status").record("loadBalancer"), pool),
  };
  return { object, problems: problems.problems };
}

/** The protocol in a field; TCP when absent, undefined (and a problem) when it is none. */
export function readProtocol(entry: Fields): Protocol | undefined {
  const known = (text: string): boolean => text === "" || text === "TCP" || text === "UDP" || text === "SCTP";
  switch (entry.checkedText("protocol", known, "a protocol (TCP, UDP, SCTP)") ?? "TCP") {
    case "UDP":
      return "UDP";
    case "SCTP":
      return "SCTP";
    default:
      return "TCP";
  }
}

function readPorts(spec: Fields, pool: StringPool, problemCount: () => number): readonly ServicePortObject[] {
  const ports: ServicePortObject[] = [];
  for (const entry of spec.entries("ports", portLimit)) {
    const before = problemCount();
    const port = readPort(entry, pool);
    if (port === undefined || problemCount() > before) {
      continue;
    }
    const twin = ports.find((other) => clash(other, port));
    if (twin === undefined) {
      ports.push(port);
    } else {
      const what = twin.port === port.port ? `port ${port.port}` : `name "${port.name}"`;
      entry.problem("", `${what} with protocol ${port.protocol} stands in an earlier entry`);
    }
  }
  return ports;
}

/** Name and protocol identify a service port, port and protocol its frontend: each may occur only once. */
function clash(one: ServicePortObject, other: ServicePortObject): boolean {
  return one.protocol === other.protocol && (one.port === other.port || one.name === other.name);
}

function readPort(entry: Fields, pool: StringPool): ServicePortObject | undefined {
  const name = entry.checkedText("name", isPortName, "a port name") ?? "";
  const protocol = readProtocol(entry) ?? "TCP";
  const nodePort = entry.integer("nodePort", 0, 65_535) ?? 0;
  if (!entry.has("port")) {
    entry.problem("port", "there is no port number");
    return undefined;
  }
  const port = entry.integer("port", 1, 65_535);
  return port === undefined ? undefined : { name: pool.text(name), protocol, port, nodePort };
}

function readIngress(loadBalancer: Fields, pool: StringPool): readonly IngressObject[] {
  const ingress: IngressObject[] = [];
  for (const entry of loadBalancer.entries("ingress", addressLimit)) {
    const ip = entry.text("ip", addressLength);
    const ipMode = entry.text("ipMode", wordLength);
    // An entry of the wrong shape has been named already; one with a host name only is an ordinary entry.
    if ((ip !== undefined || !entry.has("ip")) && (ipMode !== undefined || !entry.has("ipMode"))) {
      ingress.push({ ip: ip ?? "", ipMode: pool.text(ipMode ?? "") });
    }
  }
  return ingress;
}

function readAnnotations(metadata: Fields): Readonly<Record<string, string>> {
  const annotations = metadata.record("annotations");
  const kept: Record<string, string> = {};
  const keys = annotations.names();
  if (annotations.textLength() > annotationsLength) {
    const message = `there are more than ${annotationsLength >> 10} KiB of them`;
    metadata.problem("annotations", message, "those that are not for this program are dropped");
  }
  let count = 0;
  for (const key of keys) {
    const ours = annotationPrefixes.some((prefix) => key.startsWith(prefix));
    if (!ours || key.length > annotationKeyLength) {
      continue;
    }
    if (count === annotationLimit) {
      metadata.problem(
        "annotations",
        `more than ${annotationLimit} are meant for this program`,
        "the later ones are ignored",
      );
      break;
    }
    const value = annotations.text(key, annotationLength);
    if (value !== undefined) {
      kept[key] = value;
      count += 1;
    }
  }
  return count === 0 ? noAnnotations : kept;
}

const noAnnotations: Readonly<Record<string, string>> = Object.freeze({});

function readProxyName(metadata: Fields): string | undefined {
  const labels = metadata.record("labels");
  if (!labels.has(proxyNameLabel)) {
    return undefined;
  }
  const value = labels.checkedText(
    proxyNameLabel,
    (text) => text === "" || isLabelValue(text),
    "a label value",
  );
  // An unusable value is still a label: presence alone decides.
  return value ?? "";
}
