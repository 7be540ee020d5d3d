/**
 * From Service objects to service ports: which Services are ours, and what one port of one Service owns in one family.
 *
 * @module
 */
import type { Address, Cidr, Family } from "./address.ts";
import { byText, parseAddressOf, parseCidrsOf } from "./address.ts";
import type { Protocol } from "./cluster.ts";
import type { ServiceObject, ServicePortObject, ServiceSpecObject } from "./objects.ts";

/** One port of one Service, as seen by the proxier of one family. */
export interface ServicePort {
  readonly namespace: string;
  readonly name: string;
  /** Empty for an unnamed port. */
  readonly portName: string;
  readonly protocol: Protocol;
  /** `namespace/name`, and `:portName` behind it when the port has a name. The order of service ports goes by it. */
  readonly displayName: string;
  readonly clusterIP: Address;
  readonly port: number;
  /** 0: none. */
  readonly nodePort: number;
  readonly externalIPs: readonly Address[];
  readonly loadBalancerVIPs: readonly Address[];
  /** Empty: every source may use the VIPs. */
  readonly loadBalancerSourceRanges: readonly Cidr[];
  readonly internalPolicyLocal: boolean;
  readonly externalPolicyLocal: boolean;
  /** 0: none. */
  readonly healthCheckNodePort: number;
}

/** A Service with this label, whatever its value, belongs to another proxy. */
const PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name";

/** The service ports of all Services in `family`, in the order in which they are considered. */
export function servicePortsOf(services: readonly ServiceObject[], family: Family): readonly ServicePort[] {
  return services
    .flatMap((service) => portsOfService(service, family))
    .toSorted((a, b) => byText(a.displayName, b.displayName) || byText(a.protocol, b.protocol));
}

/**
 * Whether a service port can be reached from outside the cluster at all: it has a node port, a load-balancer VIP or an
 * external IP in its family.
 */
export function isExternallyAccessible(servicePort: ServicePort): boolean {
  return (
    servicePort.nodePort !== 0 ||
    servicePort.loadBalancerVIPs.length > 0 ||
    servicePort.externalIPs.length > 0
  );
}

/** A Service is ours unless it is labelled for another proxy, has no ClusterIP in this family or is ExternalName. */
function portsOfService(service: ServiceObject, family: Family): readonly ServicePort[] {
  const { metadata, spec } = service;
  if (!metadata?.namespace || !metadata.name || !spec) return [];
  if (metadata.labels?.[PROXY_NAME_LABEL] !== undefined) return [];
  if (spec.type === "ExternalName") return [];
  const clusterIP = clusterIPOf(spec, family);
  if (clusterIP === undefined) return [];

  const { namespace, name } = metadata;
  return (spec.ports ?? []).flatMap((port): readonly ServicePort[] => {
    const protocol = protocolOf(port);
    if (protocol === undefined || !port.port) return [];
    const portName = port.name ?? "";
    const ofService = `${namespace}/${name}`;
    return [
      {
        namespace,
        name,
        portName,
        protocol,
        displayName: portName === "" ? ofService : `${ofService}:${portName}`,
        clusterIP,
        port: port.port,
        nodePort: port.nodePort ?? 0,
        externalIPs: externalIPsOf(spec, family),
        loadBalancerVIPs: loadBalancerVIPsOf(service, family),
        loadBalancerSourceRanges: sourceRangesOf(spec, family),
        internalPolicyLocal: spec.internalTrafficPolicy === "Local",
        externalPolicyLocal: isExternalPolicyLocal(spec),
        healthCheckNodePort: healthCheckNodePortOf(spec),
      },
    ];
  });
}

/**
 * The ClusterIP of a Service in one family. A headless Service (`None`) and one that has no address yet have none.
 * Objects from before dual-stack have no `ipFamilies`, and `clusterIP` is all they have. Otherwise `clusterIPs` runs
 * parallel to `ipFamilies`, whose order is arbitrary.
 */
function clusterIPOf(spec: ServiceSpecObject, family: Family): Address | undefined {
  if (!spec.clusterIP || spec.clusterIP === "None") return undefined;
  const families = spec.ipFamilies ?? [];
  if (families.length === 0) return parseAddressOf(family, spec.clusterIP);
  const index = families.indexOf(family);
  const text = index === -1 ? undefined : spec.clusterIPs?.[index];
  return text ? parseAddressOf(family, text) : undefined;
}

/** The protocol of a port: TCP when not given; undefined for a protocol that does not exist for Services. */
function protocolOf(port: ServicePortObject): Protocol | undefined {
  const protocol = port.protocol || "TCP";
  return protocol === "TCP" || protocol === "UDP" || protocol === "SCTP" ? protocol : undefined;
}

/** Every entry of `spec.externalIPs` that is an address of this family, for Services of any type. */
function externalIPsOf(spec: ServiceSpecObject, family: Family): readonly Address[] {
  return addressesOf(spec.externalIPs ?? [], family);
}

/**
 * The load balancer's addresses for which it delivers packets with their destination unchanged. In mode `Proxy` the
 * load balancer wants to see the traffic itself, so the node must not catch it (KEP-1860).
 */
function loadBalancerVIPsOf(service: ServiceObject, family: Family): readonly Address[] {
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  const caught = ingress.filter((entry) => (entry.ipMode ?? "VIP") === "VIP");
  return addressesOf(
    caught.map((entry) => entry.ip ?? ""),
    family,
  );
}

function addressesOf(texts: readonly string[], family: Family): readonly Address[] {
  return texts.map((text) => parseAddressOf(family, text)).filter((address) => address !== undefined);
}

/**
 * Who may use the VIPs. Blanks around an entry are tolerated, entries that are no CIDR do not count, and a range that
 * admits everybody makes the whole list pointless. Ranges of one family say nothing about the other.
 */
function sourceRangesOf(spec: ServiceSpecObject, family: Family): readonly Cidr[] {
  const ranges = parseCidrsOf(
    family,
    (spec.loadBalancerSourceRanges ?? []).map((text) => text.trim()),
  );
  return ranges.some((range) => range.length === 0) ? [] : ranges;
}

/** externalTrafficPolicy counts for Services that have an outside: by their type, or by listing external IPs. */
function isExternalPolicyLocal(spec: ServiceSpecObject): boolean {
  if (spec.externalTrafficPolicy !== "Local") return false;
  const type = spec.type || "ClusterIP";
  if (type === "LoadBalancer" || type === "NodePort") return true;
  return type === "ClusterIP" && (spec.externalIPs ?? []).length > 0;
}

/** Only a load balancer has to know which nodes hold local endpoints, and only if that matters to it. */
function healthCheckNodePortOf(spec: ServiceSpecObject): number {
  return spec.type === "LoadBalancer" && isExternalPolicyLocal(spec) ? (spec.healthCheckNodePort ?? 0) : 0;
}
