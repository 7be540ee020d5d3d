/**
 * Changes of a cluster, as a watch would tell them, and what they make of it.
 *
 * @module
 */
import type { Cluster } from "./cluster.ts";
import type { EndpointSliceObject, ObjectMeta, ServiceObject } from "./objects.ts";

/** The key of an object within its kind. */
export interface Key {
  readonly namespace: string;
  readonly name: string;
}

/** One event. Deleting what does not exist is allowed and changes nothing. */
export type Edit =
  | { readonly kind: "upsertService"; readonly service: ServiceObject }
  | { readonly kind: "deleteService"; readonly key: Key }
  | { readonly kind: "upsertSlice"; readonly slice: EndpointSliceObject }
  | { readonly kind: "deleteSlice"; readonly key: Key }
  | { readonly kind: "setZone"; readonly zone: string };

/** The cluster after `edit`. */
export function applyEdit(cluster: Cluster, edit: Edit): Cluster {
  const { services, endpointSlices, node } = cluster;
  switch (edit.kind) {
    case "upsertService":
      return { ...cluster, services: [...without(services, keyOf(edit.service)), edit.service] };
    case "deleteService":
      return { ...cluster, services: without(services, edit.key) };
    case "upsertSlice":
      return { ...cluster, endpointSlices: [...without(endpointSlices, keyOf(edit.slice)), edit.slice] };
    case "deleteSlice":
      return { ...cluster, endpointSlices: without(endpointSlices, edit.key) };
    case "setZone":
      return { ...cluster, node: { ...node, zone: edit.zone } };
  }
}

/** The key of an object; what is missing is empty. */
export function keyOf({ metadata }: { readonly metadata?: ObjectMeta | null | undefined }): Key {
  return { namespace: metadata?.namespace ?? "", name: metadata?.name ?? "" };
}

/** A key as one text: `namespace/name`. */
export function keyText({ namespace, name }: Key): string {
  return `${namespace}/${name}`;
}

function without<T extends { readonly metadata?: ObjectMeta | null | undefined }>(
  objects: readonly T[],
  key: Key,
): readonly T[] {
  return objects.filter((object) => keyText(keyOf(object)) !== keyText(key));
}
