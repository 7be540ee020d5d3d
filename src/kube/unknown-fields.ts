/**
 * Fields of a manifest that its kind does not have: a misspelt `externalIPS` would otherwise be lost without a word.
 *
 * Only manifests are looked at this way. What an API server delivers has passed its own check, and a newer server knows
 * fields that this program does not.
 *
 * Pure.
 *
 * @module
 */
import type { Problem } from "../proxier/objects.ts";
import { asRecord, type JsonRecord } from "./fields.ts";
import { ProblemList } from "./problem-list.ts";
import type { ObjectKind } from "./source.ts";

/** Most characters of a path that are shown. */
const pathLength = 100;

/** The fields of an object: `open` when everything below is left alone. */
type Shape = "open" | { readonly [field: string]: Shape };

function shape(open: string, rest: Readonly<Record<string, Shape>> = {}): Shape {
  return { ...Object.fromEntries(open.split(" ").map((name) => [name, "open"] as const)), ...rest };
}

/** Kubernetes 1.36: core/v1 Service, discovery.k8s.io/v1 EndpointSlice. A Node is its kubelet's matter. */
const shapes: Readonly<Record<ObjectKind, Shape>> = {
  Service: shape("apiVersion kind metadata status", {
    spec: shape(
      "allocateLoadBalancerNodePorts clusterIP clusterIPs externalIPs externalName externalTrafficPolicy " +
        "healthCheckNodePort internalTrafficPolicy ipFamilies ipFamilyPolicy loadBalancerClass loadBalancerIP " +
        "loadBalancerSourceRanges publishNotReadyAddresses selector sessionAffinity trafficDistribution type",
      {
        ports: shape("appProtocol name nodePort port protocol targetPort"),
        sessionAffinityConfig: { clientIP: shape("timeoutSeconds") },
      },
    ),
  }),
  EndpointSlice: shape("addressType apiVersion kind metadata", {
    ports: shape("appProtocol name port protocol"),
    endpoints: shape("addresses deprecatedTopology hostname nodeName targetRef zone", {
      conditions: shape("ready serving terminating"),
      hints: shape("forNodes forZones"),
    }),
  }),
  Node: "open",
};

/**
 * Names the fields that the kind does not have.
 *
 * @param object `namespace/name`
 */
export function unknownFields(kind: ObjectKind, object: string, json: JsonRecord): readonly Problem[] {
  const problems = new ProblemList(kind, object);
  look(shapes[kind], json, "", problems);
  return problems.problems;
}

/** Lists are looked through entry by entry: an entry has the shape of its list. */
function look(known: Shape, value: unknown, path: string, problems: ProblemList): void {
  if (known === "open") {
    return;
  }
  if (Array.isArray(value)) {
    for (const [index, entry] of value.entries()) {
      look(known, entry, `${path}[${index}]`, problems);
    }
    return;
  }
  for (const [field, below] of Object.entries(asRecord(value) ?? {})) {
    const at = path === "" ? field : `${path}.${field}`;
    if (Object.hasOwn(known, field)) {
      look(known[field] ?? "open", below, at, problems);
    } else {
      problems.add(printable(at), "there is no such field: it is ignored");
    }
  }
}

/** Names of fields are anybody's text: as JSON has them where they are not plain, and cut. */
function printable(path: string): string {
  const text = path.length > pathLength ? `${path.slice(0, pathLength)}…` : path;
  return /^[\w.[\]\u2026-]*$/.test(text) ? text : JSON.stringify(text);
}
