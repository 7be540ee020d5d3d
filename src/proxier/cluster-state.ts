/**
 * Cluster state: the objects that the sources have delivered, folded into what is current.
 *
 * Answers with the Services that an event touched, so that a planner looks at those and at nothing else. An object
 * that equals what is known (a resync, a metadata-only change) touches nothing.
 *
 * @module
 */
import type { Family } from "./address.ts";
import type { EndpointSliceObject, NodeObject, ObjectKey, ServiceObject } from "./objects.ts";
import { sameValue } from "./same-value.ts";
import { objectKey } from "./service-port.ts";

const noKeys: readonly ObjectKey[] = [];
const noSlices: readonly EndpointSliceObject[] = [];

/** The objects known now. One instance serves both families. */
export class ClusterState {
  readonly #services = new Map<ObjectKey, ServiceObject>();
  /** By Service; each list sorted by slice name. */
  readonly #slices = new Map<ObjectKey, readonly EndpointSliceObject[]>();
  readonly #sliceOwner = new Map<ObjectKey, ObjectKey>();
  #node: NodeObject | undefined;

  get node(): NodeObject | undefined {
    return this.#node;
  }

  service(key: ObjectKey): ServiceObject | undefined {
    return this.#services.get(key);
  }

  /** Keys of all known Services. */
  serviceKeys(): Iterable<ObjectKey> {
    return this.#services.keys();
  }

  /** The Service's slices of one family, sorted by name. */
  slicesOf(service: ObjectKey, family: Family): readonly EndpointSliceObject[] {
    const all = this.#slices.get(service) ?? noSlices;
    return all.every((slice) => slice.addressType === family)
      ? all
      : all.filter((slice) => slice.addressType === family);
  }

  /** The address type of a slice; undefined when it is not known. */
  addressTypeOf(slice: ObjectKey): string | undefined {
    const owner = this.#sliceOwner.get(slice);
    const name = slice.slice(slice.indexOf("/") + 1);
    return this.#slices.get(owner ?? "")?.find((one) => one.name === name)?.addressType;
  }

  /** Slices whose Service is not known, with its key. */
  *strandedSlices(): Generator<{ readonly slice: ObjectKey; readonly service: ObjectKey }> {
    for (const [slice, service] of this.#sliceOwner) {
      if (!this.#services.has(service)) {
        yield { slice, service };
      }
    }
  }

  /** @returns the Services touched: none when nothing relevant differs */
  upsertService(service: ServiceObject): readonly ObjectKey[] {
    const key = objectKey(service);
    const known = this.#services.get(key);
    this.#services.set(key, service);
    return known !== undefined && sameApartFromVersion(known, service) ? noKeys : [key];
  }

  /** @returns the Services touched */
  removeService(key: ObjectKey): readonly ObjectKey[] {
    return this.#services.delete(key) ? [key] : noKeys;
  }

  /**
   * A slice whose service label changed leaves its old Service and joins the new one. A slice that is not ours
   * (headless, without a service label) is forgotten.
   *
   * @returns the Services touched
   */
  upsertSlice(slice: EndpointSliceObject): readonly ObjectKey[] {
    const key = objectKey(slice);
    if (slice.headless || slice.serviceName === "") {
      return this.removeSlice(key);
    }
    const owner = `${slice.namespace}/${slice.serviceName}`;
    const before = this.#sliceOwner.get(key);
    const left = before !== undefined && before !== owner ? this.removeSlice(key) : noKeys;
    const known = this.#slices.get(owner) ?? noSlices;
    const old = known.find((one) => one.name === slice.name);
    this.#sliceOwner.set(key, owner);
    this.#slices.set(owner, insertSorted(known, slice));
    return old !== undefined && sameApartFromVersion(old, slice) ? left : [...left, owner];
  }

  /** @returns the Services touched */
  removeSlice(key: ObjectKey): readonly ObjectKey[] {
    const owner = this.#sliceOwner.get(key);
    if (owner === undefined) {
      return noKeys;
    }
    this.#sliceOwner.delete(key);
    const name = key.slice(key.indexOf("/") + 1);
    const rest = (this.#slices.get(owner) ?? noSlices).filter((slice) => slice.name !== name);
    if (rest.length === 0) {
      this.#slices.delete(owner);
    } else {
      this.#slices.set(owner, rest);
    }
    return [owner];
  }

  setNode(node: NodeObject | undefined): void {
    this.#node = node;
  }
}

/** The trigger time is a time stamp of the change, not a change. */
function sameApartFromVersion<T extends ServiceObject | EndpointSliceObject>(a: T, b: T): boolean {
  const strip = (object: T): object => ({ ...object, resourceVersion: "", triggerTime: "" });
  return sameValue(strip(a), strip(b));
}

function insertSorted(
  slices: readonly EndpointSliceObject[],
  slice: EndpointSliceObject,
): readonly EndpointSliceObject[] {
  const rest = slices.filter((one) => one.name !== slice.name);
  const at = rest.findIndex((one) => one.name > slice.name);
  return at < 0 ? [...rest, slice] : rest.toSpliced(at, 0, slice);
}
