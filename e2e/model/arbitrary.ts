/**
 * Random clusters, changes of them, and packets worth trying in them, for property tests.
 *
 * Packets are chosen in two steps. A {@link PacketChoice} is random and knows no cluster; {@link packetIn} turns it into
 * a packet for a given one, drawing on the addresses and ports that occur there. So a test can choose packets first,
 * change the cluster, and still hit what is in it; and shrinking a cluster does not start the choice of packets anew.
 *
 * @module
 */
import fc from "fast-check";
import type { Family } from "./address.ts";
import { isLoopback, parseAddress, parseAddressOf } from "./address.ts";
import type { ObjectOptions } from "./arbitrary-objects.ts";
import { endpointSlices, mostly, serviceKeys, services, uniqueKey } from "./arbitrary-objects.ts";
import type { Cluster, Config, Node, Packet, Protocol } from "./cluster.ts";
import type { Edit } from "./edits.ts";
import { ADDRESSES, BRIDGE, INTERFACE_PREFIX, INTERFACES, NODE_NAME, TARGET_PORTS, ZONES } from "./pools.ts";

const { IPv4, IPv6 } = ADDRESSES;

const zone = fc.constantFrom("", ...ZONES);

const nodes: fc.Arbitrary<Node> = fc
  .record({
    zone,
    ips: mostly(
      fc.constant({ IPv4: IPv4.node[0] ?? "", IPv6: IPv6.node[0] ?? "" }),
      fc.constantFrom({}, { IPv4: IPv4.node[0] ?? "" }, { IPv4: IPv4.loopback, IPv6: IPv6.loopback }),
    ),
    more: fc.subarray([...IPv4.maybeOnNode, ...IPv6.maybeOnNode]),
    podCIDRs: fc.constantFrom([], [IPv4.podCIDR], [IPv6.podCIDR, IPv4.podCIDR, IPv4.clusterCIDR]),
  })
  .map(({ more, ...rest }) => ({
    name: NODE_NAME,
    localIPs: [IPv4.loopback, IPv6.loopback, ...IPv4.node, ...IPv6.node, ...more],
    ...rest,
  }));

const nodePortAddresses = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom([], [], ["primary"]) },
  {
    weight: 2,
    arbitrary: fc.subarray([
      "192.168.0.0/24",
      "192.168.1.2/32",
      "127.0.0.0/8",
      "127.0.0.1/32",
      "0.0.0.0/0",
      "10.99.0.0/16",
      "2001:db8::/64",
      "2001:db8:1::2/128",
      "::1/128",
      "::/0",
      "fd00:99::/64",
    ]),
  },
);

function configs(ipFamily: Family): fc.Arbitrary<Config> {
  return fc.record({
    ipFamily: fc.constant(ipFamily),
    detectLocalMode: fc.constantFrom("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"),
    clusterCIDRs: fc.constantFrom(
      [IPv4.clusterCIDR, IPv6.clusterCIDR],
      [IPv6.clusterCIDR, IPv4.clusterCIDR],
      [IPv4.clusterCIDR],
      [],
    ),
    bridgeInterface: fc.constant(BRIDGE),
    interfaceNamePrefix: fc.constant(INTERFACE_PREFIX),
    nodePortAddresses,
    localhostNodePorts: fc.boolean(),
    masqueradeAll: fc.boolean(),
    masqueradeBit: fc.constantFrom(14, 0, 31),
    serviceCIDRs: fc.constant([]),
  });
}

/** A cluster of up to six Services, of which some share addresses, and up to 16 slices, of which some fit no Service. */
export function clusters(options: ObjectOptions = {}): fc.Arbitrary<Cluster> {
  const unique = { size: "max", selector: uniqueKey } as const;
  return fc.constantFrom<Family[]>("IPv4", "IPv6").chain((family) =>
    fc.record({
      node: nodes,
      config: configs(family),
      services: fc.uniqueArray(services(options), { minLength: 1, maxLength: 6, ...unique }),
      endpointSlices: fc.uniqueArray(endpointSlices(family), { maxLength: 16, ...unique }),
    }),
  );
}

/** Up to `maxLength` events. They often concern an object that a cluster of {@link clusters} has, and often do not. */
export function edits(maxLength = 10, options: ObjectOptions = {}): fc.Arbitrary<readonly Edit[]> {
  const sliceKey = endpointSlices().map(({ metadata }) => ({
    namespace: metadata?.namespace ?? "",
    name: metadata?.name ?? "",
  }));
  const edit: fc.Arbitrary<Edit> = fc.oneof(
    {
      weight: 4,
      arbitrary: services(options).map((service) => ({ kind: "upsertService", service }) as const),
    },
    { weight: 4, arbitrary: endpointSlices().map((slice) => ({ kind: "upsertSlice", slice }) as const) },
    { weight: 2, arbitrary: serviceKeys.map((key) => ({ kind: "deleteService", key }) as const) },
    { weight: 2, arbitrary: sliceKey.map((key) => ({ kind: "deleteSlice", key }) as const) },
    { weight: 1, arbitrary: zone.map((name) => ({ kind: "setZone", zone: name }) as const) },
  );
  return fc.array(edit, { maxLength });
}

/** A packet before it is known in which cluster; the numbers are places in lists of unknown length. */
export interface PacketChoice {
  /** Whether a process on the node makes the packet. */
  readonly onNode: boolean;
  readonly source: number;
  readonly inputInterface: string;
  /** `aimed` at a destination of some Service or node port; otherwise address, port and protocol by themselves. */
  readonly aimed: boolean;
  readonly destination: number;
  readonly port: number;
  readonly protocol: Protocol;
}

/** Choices of packets; see {@link packetIn}. */
export function packetChoices(): fc.Arbitrary<PacketChoice> {
  return fc.record({
    onNode: fc.constantFrom(false, false, true),
    source: fc.nat(999),
    inputInterface: fc.constantFrom(...INTERFACES),
    aimed: mostly(fc.constant(true), fc.constant(false)),
    destination: fc.nat(999),
    port: fc.nat(999),
    protocol: fc.constantFrom("TCP", "UDP", "SCTP"),
  });
}

/**
 * The packet of `choice` in `cluster`. It is one that can exist: what is for loopback was made on the node. Endpoints are
 * among the sources, and so is the node's primary address more than once, for it is an endpoint as well.
 */
export function packetIn(cluster: Cluster, choice: PacketChoice): Packet {
  const target = targetOf(cluster, choice);
  const { ipFamily } = cluster.config;
  const { localIPs } = cluster.node;
  const { clients, endpoints, node } = ADDRESSES[ipFamily];
  const destination = parseAddress(target.destIP);
  const onNode = choice.onNode || (destination !== undefined && isLoopback(destination));
  const here = [...node, ...localIPs.filter((text) => parseAddressOf(ipFamily, text) !== undefined)];
  const elsewhere = [...clients, ...endpoints].filter((text) => !localIPs.includes(text));
  const sourceIP = pick(onNode ? here : elsewhere, choice.source);
  return { sourceIP, ...target, ...(onNode ? {} : { inputInterface: choice.inputInterface }) };
}

type Target = Pick<Packet, "destIP" | "destPort" | "protocol">;

function targetOf(cluster: Cluster, { aimed, destination, port, protocol }: PacketChoice): Target {
  const targets = targetsOf(cluster);
  if (aimed && targets.length > 0) return pick(targets, destination);
  const { endpoints, nearMisses, clusterIPs, loopback } = ADDRESSES[cluster.config.ipFamily];
  const addresses = [
    ...targets.map((target) => target.destIP),
    ...endpoints,
    ...nearMisses,
    ...clusterIPs,
    loopback,
  ];
  const ports = targets.map((target) => target.destPort);
  const nearby = ports.map((number) => number + 1);
  return {
    destIP: pick(addresses, destination),
    destPort: pick([...ports, ...nearby, ...TARGET_PORTS], port),
    protocol,
  };
}

/** Every address, port and protocol that a Service of `cluster` may own, and its node's addresses with node ports. */
function targetsOf(cluster: Cluster): readonly Target[] {
  const canonical = (texts: readonly (string | null | undefined)[]) =>
    texts.flatMap((text) => parseAddressOf(cluster.config.ipFamily, text ?? "")?.text ?? []);
  const ofNode = canonical(cluster.node.localIPs);
  return cluster.services.flatMap(({ spec, status }) => {
    const ingress = status?.loadBalancer?.ingress?.map((entry) => entry.ip) ?? [];
    const ips = [spec?.clusterIP, ...(spec?.clusterIPs ?? []), ...(spec?.externalIPs ?? []), ...ingress];
    const addresses = canonical(ips);
    const healthCheck = spec?.healthCheckNodePort ?? 0;
    const ofPorts = (spec?.ports ?? []).flatMap((port) => {
      const protocol = (port.protocol || "TCP") as Protocol;
      return [
        ...addresses.map((destIP) => ({ destIP, destPort: port.port ?? 0, protocol })),
        ...ofNode.map((destIP) => ({ destIP, destPort: port.nodePort ?? 0, protocol })),
      ];
    });
    const ofHealthCheck = ofNode.map(
      (destIP) => ({ destIP, destPort: healthCheck, protocol: "TCP" }) as const,
    );
    return [...ofPorts, ...ofHealthCheck].filter((target) => target.destPort !== 0);
  });
}

/** An element of a list that is not empty, whatever the index. */
function pick<T>(list: readonly T[], index: number): T {
  const element = list[index % list.length];
  if (element === undefined) throw new RangeError(`Cannot pick element ${index}: the list is empty`);
  return element;
}
