/**
 * From EndpointSlice objects to the endpoints of a service port.
 *
 * @module
 */
import type { Address, Family } from "./address.ts";
import { byText, endpointText, parseAddressOf } from "./address.ts";
import type { EndpointObject, EndpointSliceObject, SlicePortObject } from "./objects.ts";
import type { ServicePort } from "./service-port.ts";

/** One address and port that backs a service port. */
export interface Endpoint {
  readonly address: Address;
  /** `ip:port` or `[ip]:port`. */
  readonly text: string;
  readonly isLocal: boolean;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  /** Empty: not hinted for zones. */
  readonly zoneHints: ReadonlySet<string>;
  /** Empty: not hinted for nodes. */
  readonly nodeHints: ReadonlySet<string>;
}

const SERVICE_LABEL = "kubernetes.io/service-name";

/** A slice with this label, whatever its value, belongs to a headless Service and is not watched. */
const HEADLESS_LABEL = "service.kubernetes.io/headless";

/**
 * The endpoints of `servicePort`, sorted by text: those of all its slices, merged.
 *
 * An endpoint moves from slice to slice, and its address may be taken by a new pod while the old one still terminates,
 * so the same `ip:port` can appear twice. An entry that is not terminating replaces whatever came before it; one that is
 * terminating replaces nothing. Slices are visited by name.
 */
export function endpointsOf(
  servicePort: ServicePort,
  slices: readonly EndpointSliceObject[],
  family: Family,
  nodeName: string,
): readonly Endpoint[] {
  const merged = new Map<string, Endpoint>();
  for (const slice of slicesOf(servicePort, slices, family)) {
    for (const endpoint of endpointsOfSlice(slice, servicePort, family, nodeName)) {
      if (merged.has(endpoint.text) && endpoint.terminating) continue;
      merged.set(endpoint.text, endpoint);
    }
  }
  return [...merged.values()].toSorted((a, b) => byText(a.text, b.text));
}

/** The slices that name this Service and hold addresses of this family. The slice need not be younger than the Service. */
function slicesOf(
  servicePort: ServicePort,
  slices: readonly EndpointSliceObject[],
  family: Family,
): readonly EndpointSliceObject[] {
  return slices
    .filter(
      ({ metadata, addressType }) =>
        addressType === family &&
        metadata?.name &&
        metadata.namespace === servicePort.namespace &&
        metadata.labels?.[SERVICE_LABEL] === servicePort.name &&
        metadata.labels[HEADLESS_LABEL] === undefined,
    )
    .toSorted((a, b) => byText(a.metadata?.name ?? "", b.metadata?.name ?? ""));
}

/** What one slice contributes, in the order in which it is written. */
function endpointsOfSlice(
  slice: EndpointSliceObject,
  servicePort: ServicePort,
  family: Family,
  nodeName: string,
): readonly Endpoint[] {
  const ports = (slice.ports ?? []).filter((port) => isPortOf(port, servicePort));
  return (slice.endpoints ?? []).flatMap((endpoint) =>
    ports.flatMap((port) => readEndpoint(endpoint, port.port ?? 0, family, nodeName) ?? []),
  );
}

/**
 * A slice port backs the service port of the same name and protocol, whatever the numbers. A name that is not given is
 * no name (the empty string is one), and a port without a number is of no use.
 */
function isPortOf(port: SlicePortObject, servicePort: ServicePort): boolean {
  return (
    port.name === servicePort.portName &&
    (port.protocol ?? "TCP") === servicePort.protocol &&
    Boolean(port.port)
  );
}

/**
 * One entry of a slice with one of its ports. Only the first address counts. Conditions that are not given have the
 * defaults of a healthy endpoint.
 */
function readEndpoint(
  endpoint: EndpointObject,
  port: number,
  family: Family,
  nodeName: string,
): Endpoint | undefined {
  const address = parseAddressOf(family, endpoint.addresses?.[0] ?? "");
  if (address === undefined) return undefined;
  const { conditions, hints } = endpoint;
  return {
    address,
    text: endpointText(address, port),
    isLocal: endpoint.nodeName === nodeName,
    ready: conditions?.ready ?? true,
    serving: conditions?.serving ?? true,
    terminating: conditions?.terminating ?? false,
    zoneHints: new Set((hints?.forZones ?? []).map((hint) => hint.name)),
    nodeHints: new Set((hints?.forNodes ?? []).map((hint) => hint.name)),
  };
}
