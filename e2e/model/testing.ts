/**
 * Short ways to write a cluster, a packet and its fate in tests of the model.
 *
 * The cluster that all tests vary has one node `test-node` at 192.168.0.2 and 192.168.1.2, pods in 10.0.0.0/8, and a
 * Service ns1/svc at 172.30.0.41:80 with one endpoint on the node (10.0.1.1:8080) and one elsewhere (10.0.2.1:8080).
 *
 * @module
 */
import type { Cluster, Config, Node, Packet, Protocol } from "./cluster.ts";
import type {
  EndpointObject,
  EndpointSliceObject,
  LoadBalancerIngressObject,
  ObjectMeta,
  ServiceObject,
  ServiceSpecObject,
} from "./objects.ts";
import { verdict } from "./verdict.ts";

const NODE: Node = {
  name: "test-node",
  zone: "",
  ips: { IPv4: "192.168.0.2", IPv6: "2001:db8::1" },
  localIPs: ["127.0.0.1", "::1", "192.168.0.2", "192.168.1.2", "2001:db8::1"],
};

const CONFIG: Config = {
  ipFamily: "IPv4",
  detectLocalMode: "ClusterCIDR",
  clusterCIDRs: ["10.0.0.0/8"],
  nodePortAddresses: [],
  localhostNodePorts: true,
  masqueradeAll: false,
  masqueradeBit: 14,
  serviceCIDRs: [],
};

/** Sources that the tests name. */
const SOURCES: { readonly [name: string]: Pick<Packet, "sourceIP" | "inputInterface"> } = {
  pod: { sourceIP: "10.0.0.2", inputInterface: "veth0" },
  outside: { sourceIP: "203.0.113.2", inputInterface: "eth0" },
  node: { sourceIP: "192.168.0.2" },
  localhost: { sourceIP: "127.0.0.1" },
  local: { sourceIP: "10.0.1.1", inputInterface: "veth1" },
};

/** A cluster that differs from the usual one in what is given. */
export function cluster(given: {
  readonly node?: Partial<Node>;
  readonly config?: Partial<Config>;
  readonly services?: readonly ServiceObject[];
  readonly slices?: readonly EndpointSliceObject[];
}): Cluster {
  return {
    node: { ...NODE, ...given.node },
    config: { ...CONFIG, ...given.config },
    services: given.services ?? [service()],
    endpointSlices: given.slices ?? [slice()],
  };
}

/** The usual Service, of type ClusterIP. */
export function service(spec: ServiceSpecObject = {}, metadata: ObjectMeta = {}): ServiceObject {
  return {
    metadata: { namespace: "ns1", name: "svc", ...metadata },
    spec: {
      type: "ClusterIP",
      clusterIP: "172.30.0.41",
      ports: [{ name: "http", protocol: "TCP", port: 80 }],
      ...spec,
    },
  };
}

/** The usual Service as a load balancer: node port 30080 and, unless told otherwise, VIP 1.2.3.4. */
export function loadBalancer(
  spec: ServiceSpecObject = {},
  ingress: readonly LoadBalancerIngressObject[] = [{ ip: "1.2.3.4" }],
): ServiceObject {
  const ports = [{ name: "http", protocol: "TCP", port: 80, nodePort: 30080 }];
  return { ...service({ type: "LoadBalancer", ports, ...spec }), status: { loadBalancer: { ingress } } };
}

/** A slice of the usual Service; without endpoints given, the usual two. */
export function slice(
  endpoints: readonly EndpointObject[] = [onNode(), elsewhere()],
  given: Partial<EndpointSliceObject> = {},
): EndpointSliceObject {
  return {
    metadata: { namespace: "ns1", name: "svc-1", labels: { "kubernetes.io/service-name": "svc" } },
    addressType: "IPv4",
    ports: [{ name: "http", protocol: "TCP", port: 8080 }],
    endpoints,
    ...given,
  };
}

/** `metadata` of another slice of the usual Service. */
export function sliceMeta(name: string, labels: Readonly<Record<string, string>> = {}): ObjectMeta {
  return { namespace: "ns1", name, labels: { "kubernetes.io/service-name": "svc", ...labels } };
}

/** An endpoint on the node, 10.0.1.1 unless told otherwise. */
export function onNode(given: EndpointObject = {}): EndpointObject {
  return { addresses: ["10.0.1.1"], nodeName: "test-node", ...given };
}

/** An endpoint on another node, 10.0.2.1 unless told otherwise. */
export function elsewhere(given: EndpointObject = {}): EndpointObject {
  return { addresses: ["10.0.2.1"], nodeName: "other-node", ...given };
}

/** Conditions of an endpoint that is about to go but still answers, and of one that is of no use. */
export const LEAVING = { ready: false, serving: true, terminating: true } as const;
export const BROKEN = { ready: false, serving: false, terminating: false } as const;

/**
 * What becomes of a packet from `source` (`pod`, `outside`, `node`, `localhost`, `local` for the pod 10.0.1.1, or an
 * address, which is then taken for outside unless the node has it) to `destination` (`ip:port`). Endpoints are joined
 * by `|`, each followed by `masq` where the source is masqueraded; other verdicts are named by their kind.
 */
export function fate(
  world: Cluster,
  source: string,
  destination: string,
  protocol: Protocol = "TCP",
  inputInterface?: string,
): string {
  const colon = destination.lastIndexOf(":");
  const packet: Packet = {
    ...(SOURCES[source] ?? anonymous(world, source)),
    destIP: destination.slice(0, colon).replace(/^\[(.*)\]$/, "$1"),
    destPort: Number(destination.slice(colon + 1)),
    protocol,
    ...(inputInterface === undefined ? {} : { inputInterface }),
  };
  const result = verdict(world, packet);
  if (result.kind !== "endpoints") return result.kind;
  return result.endpoints.map((one) => (result.masquerade.get(one) ? `${one} masq` : one)).join(" | ");
}

function anonymous(world: Cluster, sourceIP: string): Pick<Packet, "sourceIP" | "inputInterface"> {
  return world.node.localIPs.includes(sourceIP) ? { sourceIP } : { sourceIP, inputInterface: "eth0" };
}
