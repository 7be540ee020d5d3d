/**
 * What the server does with an object of each kind on its way into the store.
 *
 * @module
 */
import type { FieldError } from "../field-errors.ts";
import type { JsonObject } from "../json.ts";
import { objectAt } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import type { AddressRange } from "./addresses.ts";
import { checkConfigMap, checkConfigMapUpdate } from "./config-map.ts";
import { checkEndpointSlice, checkEndpointSliceUpdate, defaultEndpointSlice } from "./endpoint-slice.ts";
import { checkEvent } from "./event.ts";
import type { NameRule } from "./names.ts";
import type { CollectionName } from "./resources.ts";
import { defaultService } from "./service-defaults.ts";
import { carryOverService } from "./service-update.ts";
import { checkService, checkServiceUpdate } from "./service-validation.ts";

/** The steps of a write that differ by kind. All are pure. */
export interface KindRules {
  readonly nameRule: NameRule;
  /** Keeps `metadata.generation`: 1 at first, one more with every change outside the metadata. */
  readonly hasGeneration: boolean;
  /** The status of a new object; clients do not choose it, except where kubelets register with one. */
  readonly initialStatus: (object: KubeObject) => JsonObject | undefined;
  /** What an update that leaves fields empty takes over from the stored object. */
  readonly carryOver: (next: KubeObject, old: KubeObject) => KubeObject;
  readonly defaults: (object: KubeObject) => KubeObject;
  readonly check: (object: KubeObject) => readonly FieldError[];
  readonly checkUpdate: (next: KubeObject, old: KubeObject) => readonly FieldError[];
}

const none = (): readonly FieldError[] => [];

const lenient: KindRules = {
  nameRule: "subdomain",
  hasGeneration: false,
  initialStatus: () => undefined,
  carryOver: (next) => next,
  defaults: (object) => object,
  check: none,
  checkUpdate: none,
};

/** The rules of all kinds in a cluster whose Services get addresses from `ranges`. */
export function kindRules(ranges: readonly AddressRange[]): Readonly<Record<CollectionName, KindRules>> {
  return {
    services: {
      nameRule: "label",
      hasGeneration: false,
      initialStatus: () => ({ loadBalancer: {} }),
      carryOver: carryOverService,
      defaults: defaultService,
      check: (service) => checkService(service, ranges),
      checkUpdate: checkServiceUpdate,
    },
    endpointslices: {
      ...lenient,
      hasGeneration: true,
      defaults: defaultEndpointSlice,
      check: checkEndpointSlice,
      checkUpdate: checkEndpointSliceUpdate,
    },
    configmaps: { ...lenient, check: checkConfigMap, checkUpdate: checkConfigMapUpdate },
    events: { ...lenient, check: checkEvent },
    nodes: { ...lenient, initialStatus: (node) => objectAt(node, "status") },
    namespaces: {
      ...lenient,
      nameRule: "label",
      initialStatus: () => ({ phase: "Active" }),
      defaults: labelNamespace,
    },
    pods: { ...lenient, initialStatus: () => ({ phase: "Pending" }) },
    endpoints: lenient,
    servicecidrs: lenient,
  };
}

/** Every namespace carries its name as a label, so that selectors can name it. */
function labelNamespace(namespace: KubeObject): KubeObject {
  const { metadata } = namespace;
  const labels = { ...metadata.labels, "kubernetes.io/metadata.name": metadata.name ?? "" };
  return { ...namespace, metadata: { ...metadata, labels } };
}
