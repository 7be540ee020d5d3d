/**
 * Services and EndpointSlices in large numbers, for benchmarks: one slice for each Service, as the endpoint slice
 * controller of a real cluster writes them.
 *
 * @module
 */
import type { Json, JsonObject } from "../json.ts";

/** How many of what. */
export interface Scale {
  /** Number of Services. */
  readonly services: number;
  /** Endpoints in each slice, at most 1000. */
  readonly endpoints: number;
  /** `default` unless given. */
  readonly namespace?: string;
  /** Number of nodes over which the endpoints are spread, 50 unless given. */
  readonly nodes?: number;
  /** Carry `managedFields` such as a real API server adds: bytes that a client should throw away. */
  readonly managedFields?: boolean;
}

const zones = ["zone-a", "zone-b", "zone-c"];

/** The name of the n-th Service, counted from 0; all names of one scale have the same length. */
export function scaleServiceName(index: number): string {
  return `service-${String(index).padStart(5, "0")}`;
}

/** The name of the n-th slice, counted from 0. */
export function scaleSliceName(index: number): string {
  return `${scaleServiceName(index)}-slice`;
}

/** The address of an endpoint; addresses are different over all slices, up to eight million of them. */
export function scaleEndpointAddress(scale: Scale, service: number, endpoint: number): string {
  const number = service * scale.endpoints + endpoint + 1;
  return `10.${128 + ((number >>> 16) & 127)}.${(number >>> 8) & 255}.${number & 255}`;
}

/** Services and slices, each Service right before its slice. */
export function* scaleObjects(scale: Scale): Generator<JsonObject> {
  for (let index = 0; index < scale.services; index++) {
    yield scaleService(scale, index);
    yield scaleSlice(scale, index);
  }
}

/** The n-th Service: one TCP port, address left to the server. */
export function scaleService(scale: Scale, index: number): JsonObject {
  const name = scaleServiceName(index);
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name,
      namespace: scale.namespace ?? "default",
      labels: { app: name },
      ...managed(scale, "kubectl-client-side-apply", serviceFields),
    },
    spec: {
      type: "ClusterIP",
      selector: { app: name },
      ports: [{ name: "http", protocol: "TCP", port: 80, targetPort: 8080 }],
    },
  };
}

/** The n-th slice, all endpoints ready. */
export function scaleSlice(scale: Scale, index: number): JsonObject {
  const service = scaleServiceName(index);
  const namespace = scale.namespace ?? "default";
  const owner = {
    apiVersion: "v1",
    kind: "Service",
    name: service,
    uid: placeholderUid(index),
    controller: true,
    blockOwnerDeletion: true,
  };
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: scaleSliceName(index),
      namespace,
      labels: {
        app: service,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": service,
      },
      annotations: { "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z" },
      ownerReferences: [owner],
      ...managed(scale, "kube-controller-manager", sliceFields),
    },
    addressType: "IPv4",
    endpoints: Array.from({ length: scale.endpoints }, (_, endpoint) =>
      scaleEndpoint(scale, index, endpoint),
    ),
    ports: [{ name: "http", protocol: "TCP", port: 8080 }],
  };
}

function scaleEndpoint(scale: Scale, service: number, endpoint: number): JsonObject {
  const node = (service * scale.endpoints + endpoint) % (scale.nodes ?? 50);
  const name = `${scaleServiceName(service)}-${String(endpoint).padStart(3, "0")}`;
  return {
    addresses: [scaleEndpointAddress(scale, service, endpoint)],
    conditions: { ready: true, serving: true, terminating: false },
    nodeName: `node-${String(node).padStart(3, "0")}`,
    targetRef: {
      kind: "Pod",
      name,
      namespace: scale.namespace ?? "default",
      uid: placeholderUid(service * scale.endpoints + endpoint),
    },
    zone: zones[node % zones.length],
  };
}

/** Unique and of the right form, but not random: the same scale gives the same objects. */
function placeholderUid(number: number): string {
  return `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
}

const serviceFields: JsonObject = {
  "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
  "f:spec": {
    "f:internalTrafficPolicy": {},
    "f:ports": {
      ".": {},
      'k:{"port":80,"protocol":"TCP"}': {
        ".": {},
        "f:name": {},
        "f:port": {},
        "f:protocol": {},
        "f:targetPort": {},
      },
    },
    "f:selector": {},
    "f:sessionAffinity": {},
    "f:type": {},
  },
};

const sliceFields: JsonObject = {
  "f:addressType": {},
  "f:endpoints": {},
  "f:metadata": {
    "f:annotations": { ".": {}, "f:endpoints.kubernetes.io/last-change-trigger-time": {} },
    "f:generateName": {},
    "f:labels": {
      ".": {},
      "f:app": {},
      "f:endpointslice.kubernetes.io/managed-by": {},
      "f:kubernetes.io/service-name": {},
    },
    "f:ownerReferences": { ".": {} },
  },
  "f:ports": {},
};

function managed(scale: Scale, manager: string, fieldsV1: JsonObject): JsonObject {
  if (scale.managedFields !== true) return {};
  const entry: Json = {
    manager,
    operation: "Update",
    apiVersion: "v1",
    time: "2026-01-01T00:00:00Z",
    fieldsType: "FieldsV1",
    fieldsV1,
  };
  return { managedFields: [entry] };
}
