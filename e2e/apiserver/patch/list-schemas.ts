/**
 * How lists merge, by kind and path: the `x-kubernetes-patch-merge-key` and `x-kubernetes-list-type` marks of the
 * API's schemas for the kinds we have. A list that is not named here is atomic: it is replaced as a whole.
 *
 * The two patch types differ where the marks differ. Strategic merge knows the ports of a Service by number alone,
 * so that 53/TCP and 53/UDP fall together (a defect of the API that clients have to live with); server-side apply
 * knows them by number and protocol.
 *
 * @module
 */

/** How a list merges. */
export type ListSchema =
  /** Elements are objects, equal when all these members are. */
  | { readonly type: "map"; readonly keys: readonly string[] }
  /** Elements are scalars, each at most once. */
  | { readonly type: "set" };

/** List schemas by dotted path from the object's root. */
export type ListSchemas = ReadonlyMap<string, ListSchema>;

const set: ListSchema = { type: "set" };

function byKeys(...keys: readonly string[]): ListSchema {
  return { type: "map", keys };
}

const common: readonly (readonly [string, ListSchema])[] = [
  ["metadata.ownerReferences", byKeys("uid")],
  ["metadata.finalizers", set],
];

const node: readonly (readonly [string, ListSchema])[] = [
  ["spec.podCIDRs", set],
  ["status.conditions", byKeys("type")],
  ["status.addresses", byKeys("type")],
];

const conditions: readonly (readonly [string, ListSchema])[] = [["status.conditions", byKeys("type")]];

const strategicByKind: ReadonlyMap<string, ListSchemas> = new Map([
  ["Service", new Map([...common, ...conditions, ["spec.ports", byKeys("port")]])],
  ["Node", new Map([...common, ...node])],
  ["Namespace", new Map([...common, ...conditions])],
  ["ServiceCIDR", new Map([...common, ...conditions])],
]);

const applyByKind: ReadonlyMap<string, ListSchemas> = new Map([
  ["Service", new Map([...common, ...conditions, ["spec.ports", byKeys("port", "protocol")]])],
  ["Node", new Map([...common, ...node])],
  ["Namespace", new Map([...common, ...conditions])],
  ["ServiceCIDR", new Map([...common, ...conditions])],
]);

const onlyCommon: ListSchemas = new Map(common);

/** The lists that strategic merge patch merges. */
export function strategicSchemas(kind: string): ListSchemas {
  return strategicByKind.get(kind) ?? onlyCommon;
}

/** The lists that server-side apply merges. */
export function applySchemas(kind: string): ListSchemas {
  return applyByKind.get(kind) ?? onlyCommon;
}
