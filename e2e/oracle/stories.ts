/**
 * Random stories: how a cluster comes about and changes, which syncs happen in between, and which packets are tried
 * after each.
 *
 * @module
 */
import fc from "fast-check";
import type { Family } from "../model/address.ts";
import { clusters, edits, type PacketChoice, packetChoices } from "../model/arbitrary.ts";
import type { Cluster } from "../model/cluster.ts";
import { type Edit, keyOf } from "../model/edits.ts";
import type { EndpointSliceObject, ServiceObject } from "../model/objects.ts";
import { ADDRESSES, NODE_NAMES, PORTS, TARGET_PORTS } from "../model/pools.ts";
import { upsertsOf } from "./planned-node.ts";
import type { Writing } from "./programmed-kernel.ts";

/**
 * How a step gets into the kernel: by a sync of what changed, by one that reads the kernel back, by a retry after one
 * that failed, after a restart of the program, or after so many clients that Services move to another affinity.
 */
export type Road = "changes" | "everything" | "fails first" | "restarts first" | "crowded first";

/** Some events, then a sync. */
export interface Step {
  readonly edits: readonly Edit[];
  /** The addresses on the node's interfaces from now on; undefined: as before. Nobody is told, but every sync looks. */
  readonly localIPs: readonly string[] | undefined;
  readonly road: Road;
}

/** A story. It begins with an empty cluster. */
export interface Story {
  readonly start: Pick<Cluster, "node" | "config">;
  readonly writing: Writing;
  readonly steps: readonly Step[];
  /**
   * Whether Services also use node ports as their ports. Then the address of one Service can be the node's, with the node
   * port of another one, and where neither has anywhere to send a packet it is open which of them refuses it.
   */
  readonly overlappingPorts: boolean;
  /** Tried after every step; see `packetIn` of the model. */
  readonly choices: readonly PacketChoice[];
}

/** Packets that are tried after each step. */
const packetsPerStep = 24;

const roads: fc.Arbitrary<Road> = fc.oneof(
  { weight: 5, arbitrary: fc.constant("changes" as const) },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Road[]>("everything", "fails first", "restarts first", "crowded first"),
  },
);

/** With low limits the few Services of a story make trees that split and merge. */
const anyWriting: fc.Arbitrary<Writing> = fc.record({
  layout: fc.constantFrom("lean", "endpoint-chains"),
  affinity: fc.constantFrom("auto", "recent", "set"),
  dispatchLimit: fc.constantFrom(1, 2, 3, 16),
});

/** What the interfaces of a node may have: always its primary addresses, which the Node object names. */
const localIPs: fc.Arbitrary<readonly string[]> = fc
  .subarray(Object.values(ADDRESSES).flatMap(({ node, maybeOnNode }) => [...node.slice(1), ...maybeOnNode]))
  .map((more) => [
    ...Object.values(ADDRESSES).flatMap(({ node, loopback }) => [loopback, ...node.slice(0, 1)]),
    ...more,
  ]);

/** A slice of sound endpoints, so that more of the packets reach somebody. Its Service is chosen later. */
function soundSlices(family: Family): fc.Arbitrary<Omit<EndpointSliceObject, "metadata">> {
  const endpoint = fc.record({
    addresses: fc.constantFrom(...ADDRESSES[family].endpoints).map((address) => [address]),
    nodeName: fc.constantFrom(...NODE_NAMES),
  });
  return fc.record({
    addressType: fc.constant(family),
    ports: fc.constantFrom(...TARGET_PORTS).map((port) => PORTS.map((one) => ({ ...one, port }))),
    endpoints: fc.array(endpoint, { maxLength: 5, size: "max" }),
  });
}

/** A slice for each Service of a cluster, under names that no other slice has. */
function sliceEvents(
  services: readonly ServiceObject[],
  slices: readonly Omit<EndpointSliceObject, "metadata">[],
): readonly Edit[] {
  return services.flatMap((service, index) => {
    const { namespace, name } = keyOf(service);
    const labels = { "kubernetes.io/service-name": name };
    const slice = slices[index];
    return slice === undefined
      ? []
      : [
          {
            kind: "upsertSlice" as const,
            slice: { ...slice, metadata: { namespace, name: `${name}-sound`, labels } },
          },
        ];
  });
}

/** Any story. */
export const stories: fc.Arbitrary<Story> = fc
  .constantFrom(false, false, true)
  .chain((overlappingPorts) =>
    clusters({ overlappingPorts }).chain((cluster) => storiesFrom(cluster, overlappingPorts)),
  );

function storiesFrom(cluster: Cluster, overlappingPorts: boolean): fc.Arbitrary<Story> {
  const { node, config, services } = cluster;
  const upserts = upsertsOf(cluster);
  const order = fc.shuffledSubarray([...upserts.keys()], { minLength: upserts.length });
  const laterStep: fc.Arbitrary<Step> = fc.record({
    edits: edits(6, { overlappingPorts }),
    localIPs: fc.option(localIPs, { nil: undefined }),
    road: roads,
  });
  return fc
    .record({
      writing: anyWriting,
      slices: fc.array(soundSlices(config.ipFamily), { maxLength: 6, size: "max" }),
      order,
      later: fc.array(laterStep, { maxLength: 4, size: "max" }),
      choices: fc.array(packetChoices(), { minLength: packetsPerStep, maxLength: packetsPerStep }),
    })
    .map(({ slices, order: places, later, ...rest }): Story => {
      const first: Step = {
        edits: [...sliceEvents(services, slices), ...places.flatMap((place) => upserts[place] ?? [])],
        localIPs: undefined,
        road: "changes",
      };
      const steps = [first, ...later].map((step) => ({ ...step, edits: step.edits.map(asStored) }));
      return { start: { node, config }, overlappingPorts, steps, ...rest };
    });
}

function asStored(edit: Edit): Edit {
  return edit.kind === "upsertService" ? { ...edit, service: storedService(edit.service) } : edit;
}

/**
 * A Service with what the API server would have made sure of: no two of its ports have the same number and protocol, and
 * without `clusterIP` it has no `clusterIPs` either. Such objects cannot be stored, and the product is free to make of
 * them what it likes.
 */
export function storedService(service: ServiceObject): ServiceObject {
  const { spec } = service;
  if (!spec) return service;
  const ports = spec.ports ?? [];
  const isFirst = (index: number): boolean =>
    ports.findIndex(
      (one) =>
        one.port === ports[index]?.port && (one.protocol ?? "TCP") === (ports[index]?.protocol ?? "TCP"),
    ) === index;
  const clusterIPs = spec.clusterIP === "" ? [] : spec.clusterIPs;
  return {
    ...service,
    spec: { ...spec, clusterIPs, ports: spec.ports && ports.filter((_, index) => isFirst(index)) },
  };
}
