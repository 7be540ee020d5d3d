/**
 * Service ports: a Service object seen by one IP family.
 *
 * Rules are those of kube-proxy (pkg/proxy/serviceport.go and the API documentation of Service). What the API server
 * would have refused is reduced or skipped here and named in a {@link Problem}; it never throws.
 *
 * @module
 */
import {
  type Affinity,
  defaultAffinityTimeoutSeconds,
  isValidAffinityTimeout,
} from "../affinity/affinity.ts";
import {
  type Address,
  type Cidr,
  cidrContains,
  type Family,
  familyOf,
  parseAddress,
  parseCidr,
} from "./address.ts";
import { type LoadBalancing, loadBalancing } from "./load-balancing.ts";
import type { ObjectKey, Problem, Protocol, ServiceObject, ServicePortObject } from "./objects.ts";
import { type ReservedAddress, reservation } from "./reserved-addresses.ts";

/** One port of one Service in one family, before endpoints and claims are known. */
export interface ServicePort {
  /** `namespace/name` of the Service. */
  readonly service: ObjectKey;
  /** `""` when unnamed. */
  readonly portName: string;
  readonly displayName: string;
  readonly protocol: Protocol;
  readonly clusterIP: Address;
  readonly port: number;
  /** 0 when there is none. */
  readonly nodePort: number;
  readonly externalIPs: readonly Address[];
  readonly loadBalancerVIPs: readonly Address[];
  /** Empty when unrestricted. */
  readonly sourceRanges: readonly Cidr[];
  readonly internalPolicyLocal: boolean;
  readonly externalPolicyLocal: boolean;
  readonly affinity: Affinity | undefined;
  /** What the Service's annotations say; absent when nothing. */
  readonly balancing?: LoadBalancing;
  /** 0 when there is none. */
  readonly healthCheckNodePort: number;
}

/** The ports of a Service, and what was wrong with it. */
export interface ServicePorts {
  readonly ports: readonly ServicePort[];
  readonly problems: readonly Problem[];
}

/** Label that hands a Service to another proxy. */
export const serviceProxyNameLabel = "service.kubernetes.io/service-proxy-name";

const nothing: ServicePorts = { ports: [], problems: [] };

/** `namespace/name`. */
export function objectKey(object: { readonly namespace: string; readonly name: string }): ObjectKey {
  return `${object.namespace}/${object.name}`;
}

/** `namespace/name`, and `:port` when the port has a name: how kube-proxy prints a service port. */
export function servicePortDisplayName(service: ObjectKey, portName: string): string {
  return portName === "" ? service : `${service}:${portName}`;
}

/** Whether packets from outside the cluster can reach the port (in its family). */
export function isExternallyAccessible(port: ServicePort): boolean {
  return port.nodePort !== 0 || port.loadBalancerVIPs.length > 0 || port.externalIPs.length > 0;
}

/**
 * Whether any route of the port spreads over the cluster pool. True for every externally accessible port, also under
 * the Local policy: pods and the node itself are short-circuited to all endpoints.
 */
export function usesClusterEndpoints(port: ServicePort): boolean {
  return !port.internalPolicyLocal || isExternallyAccessible(port);
}

/** Whether any route of the port spreads over the local pool. */
export function usesLocalEndpoints(port: ServicePort): boolean {
  return port.internalPolicyLocal || (port.externalPolicyLocal && isExternallyAccessible(port));
}

/**
 * Derives the service ports of one family, in the order of the object.
 *
 * @param allowed networks that external and load-balancer addresses must lie in; empty allows all
 * @param reserved where they must not lie
 */
export function servicePorts(
  service: ServiceObject,
  family: Family,
  allowed: readonly Cidr[] = [],
  reserved: readonly ReservedAddress[] = [],
): ServicePorts {
  if (service.proxyName !== undefined || service.clusterIP === "None" || service.clusterIP === "") {
    return nothing;
  }
  if (service.type === "ExternalName") {
    return nothing;
  }
  const problems: Problem[] = [];
  const report = (field: string, message: string): void => {
    problems.push({ kind: "Service", object: objectKey(service), field, message });
  };
  const clusterIP = clusterIPOf(service, family, report);
  if (clusterIP === undefined) {
    return { ports: [], problems };
  }
  const shared = sharedFields(service, family, { allowed, reserved }, report);
  const ports = service.ports.map((port) => servicePort(service, clusterIP, port, shared));
  return { ports, problems };
}

/** Where external and load-balancer addresses may lie. */
interface AddressRules {
  readonly allowed: readonly Cidr[];
  readonly reserved: readonly ReservedAddress[];
}

type Report = (field: string, message: string) => void;

type SharedFields = Pick<
  ServicePort,
  | "externalIPs"
  | "loadBalancerVIPs"
  | "sourceRanges"
  | "internalPolicyLocal"
  | "externalPolicyLocal"
  | "affinity"
  | "balancing"
  | "healthCheckNodePort"
>;

function servicePort(
  service: ServiceObject,
  clusterIP: Address,
  port: ServicePortObject,
  shared: SharedFields,
): ServicePort {
  const key = objectKey(service);
  return {
    service: key,
    portName: port.name,
    displayName: servicePortDisplayName(key, port.name),
    protocol: port.protocol,
    clusterIP,
    port: port.port,
    nodePort: port.nodePort,
    ...shared,
  };
}

/** Objects from before dual stack have no `ipFamilies`; otherwise the family's index picks from `clusterIPs`. */
function clusterIPOf(service: ServiceObject, family: Family, report: Report): Address | undefined {
  if (service.ipFamilies.length === 0) {
    const address = parseAddress(service.clusterIP);
    if (address === undefined) {
      report("spec.clusterIP", `${quote(service.clusterIP)} is not an IP address: the Service is skipped`);
      return undefined;
    }
    return familyOf(address) === family ? address : undefined;
  }
  const index = service.ipFamilies.indexOf(family);
  const text = index < 0 ? undefined : service.clusterIPs[index];
  if (text === undefined) {
    return undefined;
  }
  const address = parseAddress(text);
  if (address === undefined || familyOf(address) !== family) {
    report(
      `spec.clusterIPs[${index}]`,
      `${quote(text)} is not an ${family} address: the Service is skipped in this family`,
    );
    return undefined;
  }
  return address;
}

function sharedFields(
  service: ServiceObject,
  family: Family,
  rules: AddressRules,
  report: Report,
): SharedFields {
  const externalPolicyLocal = isExternalPolicyLocal(service);
  return {
    externalIPs: usableAddresses(externalIPEntries(service), "externalIPs", family, rules, report),
    loadBalancerVIPs: usableAddresses(loadBalancerEntries(service), "loadBalancer", family, rules, report),
    sourceRanges: sourceRangesOf(service, family, report),
    internalPolicyLocal: service.internalTrafficPolicy === "Local",
    externalPolicyLocal,
    affinity: affinityOf(service, report),
    balancing: loadBalancing(service, report),
    healthCheckNodePort: externalPolicyLocal ? healthCheckNodePortOf(service, report) : 0,
  };
}

/** The Local policy counts only where packets can come from outside: by type, or by external addresses. */
function isExternalPolicyLocal(service: ServiceObject): boolean {
  if (service.externalTrafficPolicy !== "Local") {
    return false;
  }
  // ClusterIP is the API's default, which manifests may leave out.
  const type = service.type || "ClusterIP";
  return (
    type === "LoadBalancer" || type === "NodePort" || (type === "ClusterIP" && service.externalIPs.length > 0)
  );
}

/** An address as written, and where. */
interface AddressEntry {
  readonly field: string;
  readonly text: string;
}

function externalIPEntries(service: ServiceObject): readonly AddressEntry[] {
  return service.externalIPs.map((text, index) => ({ field: `spec.externalIPs[${index}]`, text }));
}

/** Entries that have only a host name, or are served by the load balancer itself, are not ours. */
function loadBalancerEntries(service: ServiceObject): readonly AddressEntry[] {
  return service.loadBalancerIngress.flatMap(({ ip, ipMode }, index) =>
    ipMode === "" || ipMode === "VIP"
      ? [{ field: `status.loadBalancer.ingress[${index}].ip`, text: ip }]
      : [],
  );
}

/** The usable addresses of the family, in order, each once. Empty texts are skipped in silence. */
function usableAddresses(
  entries: readonly AddressEntry[],
  kind: "externalIPs" | "loadBalancer",
  family: Family,
  { allowed, reserved }: AddressRules,
  report: Report,
): Address[] {
  const addresses = new Set<Address>();
  for (const { field, text } of entries) {
    const address = parseAddress(text);
    if (address === undefined) {
      if (text !== "") {
        report(field, `${quote(text)} is not an IP address: the entry is skipped`);
      }
    } else if (allowed.length > 0 && !allowed.some((cidr) => cidrContains(cidr, address))) {
      report(field, `${address} is in none of the allowed networks: the entry is skipped`);
    } else if (familyOf(address) === family) {
      const taken = reservation(address, kind, reserved);
      if (taken === undefined) {
        addresses.add(address);
      } else {
        report(field, `${address} cannot be claimed, ${taken}: the entry is skipped`);
      }
    }
  }
  return [...addresses];
}

/** A range of the whole family lifts the restriction; ranges of the other family alone restrict nothing here. */
function sourceRangesOf(service: ServiceObject, family: Family, report: Report): Cidr[] {
  const ranges: Cidr[] = [];
  for (const [index, text] of service.loadBalancerSourceRanges.entries()) {
    const range = parseCidr(text.trim());
    if (range === undefined) {
      if (text.trim() !== "") {
        report(
          `spec.loadBalancerSourceRanges[${index}]`,
          `${quote(text)} is not a CIDR: the entry is skipped`,
        );
      }
    } else if (range.family === family && !ranges.some((known) => known.text === range.text)) {
      ranges.push(range);
    }
  }
  return ranges.some((range) => range.prefix === 0) ? [] : ranges;
}

function affinityOf(service: ServiceObject, report: Report): Affinity | undefined {
  if (service.sessionAffinity !== "ClientIP") {
    return undefined;
  }
  const seconds = service.affinityTimeoutSeconds ?? defaultAffinityTimeoutSeconds;
  if (!isValidAffinityTimeout(seconds)) {
    report(
      "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
      `${seconds} is not in 1..86400: ${defaultAffinityTimeoutSeconds} is used`,
    );
    return { kind: "ClientIP", timeoutSeconds: defaultAffinityTimeoutSeconds };
  }
  return { kind: "ClientIP", timeoutSeconds: seconds };
}

function healthCheckNodePortOf(service: ServiceObject, report: Report): number {
  if (service.type !== "LoadBalancer") {
    return 0;
  }
  if (service.healthCheckNodePort === 0) {
    report(
      "spec.healthCheckNodePort",
      "missing though externalTrafficPolicy is Local: no health check is served",
    );
  }
  return service.healthCheckNodePort;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}
