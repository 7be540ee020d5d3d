/**
 * A Node of the API as the plain value that the core works with.
 *
 * Never throws; rules as in `decode-service.ts`. Pure.
 *
 * @module
 */
import type { NodeObject } from "../proxier/objects.ts";
import type { Fields } from "./fields.ts";
import { type Decoded, type IdentityRule, identify, isLabelValue, subdomainLength } from "./identity.ts";
import { StringPool } from "./string-pool.ts";

/** How Nodes are named. */
export const nodeIdentity: IdentityRule = { kind: "Node", namespaced: false, nameLength: subdomainLength };

const zoneLabel = "topology.kubernetes.io/zone";

const podCidrLimit = 16;
const addressLimit = 256;
const taintLimit = 256;
const addressLength = 128;
/** Prefix of a DNS subdomain, a slash, a name. */
const taintKeyLength = 253 + 1 + 63;
/** Types are words such as `InternalIP`; host names of up to 253 characters stand in the same list. */
const wordLength = 64;

/** Reads a `v1` Node. `pool` shares texts that repeat between objects. */
export function decodeNode(json: unknown, pool: StringPool = new StringPool()): Decoded<NodeObject> {
  const identity = identify(nodeIdentity, json);
  if (identity.root === undefined) {
    return { object: undefined, problems: identity.problems.problems };
  }
  const { root, metadata, problems } = identity;
  const spec = root.record("spec");
  const isZone = (text: string): boolean => text === "" || isLabelValue(text);
  const object: NodeObject = {
    kind: "Node",
    name: pool.text(identity.name),
    resourceVersion: identity.resourceVersion,
    zone: pool.text(metadata.record("labels").checkedText(zoneLabel, isZone, "a zone") ?? ""),
    podCIDRs: readPodCidrs(spec),
    addresses: readAddresses(root.record("status")),
    taints: readTaints(spec),
    deleting: metadata.has("deletionTimestamp"),
  };
  return { object, problems: problems.problems };
}

/** `podCIDR` is the older field; the API server keeps it equal to the first of `podCIDRs`. */
function readPodCidrs(spec: Fields): readonly string[] {
  const cidrs = spec.texts("podCIDRs", podCidrLimit, addressLength);
  const single = spec.text("podCIDR", addressLength) ?? "";
  return cidrs.length === 0 && single !== "" ? [single] : cidrs;
}

function readAddresses(status: Fields): readonly string[] {
  const internal: string[] = [];
  const external: string[] = [];
  for (const entry of status.entries("addresses", addressLimit)) {
    const type = entry.text("type", wordLength);
    if (type !== "InternalIP" && type !== "ExternalIP") {
      continue;
    }
    const address = entry.text("address", addressLength);
    if (address !== undefined) {
      (type === "InternalIP" ? internal : external).push(address);
    }
  }
  return [...internal, ...external];
}

function readTaints(spec: Fields): readonly string[] {
  const keys: string[] = [];
  for (const entry of spec.entries("taints", taintLimit)) {
    const key = entry.text("key", taintKeyLength);
    if (key !== undefined) {
      keys.push(key);
    }
  }
  return keys;
}
