/**
 * From the EndpointSlices of one Service to the endpoints of one service port.
 *
 * Slices are visited in ascending name order, so the outcome does not depend on the order of events.
 *
 * @module
 */
import {
  type Address,
  endpointAddressProblem,
  type Family,
  familyOf,
  joinHostPort,
  parseAddress,
} from "./address.ts";
import type { Endpoint } from "./endpoint.ts";
import type { EndpointSliceObject, Problem, Protocol, SliceEndpointObject } from "./objects.ts";
import { objectKey } from "./service-port.ts";

/** Label that keeps a slice away from service proxies. */
export const headlessLabel = "service.kubernetes.io/headless";

/** What identifies a service port inside its Service. */
export interface PortIdentity {
  /** `""` for an unnamed port. */
  readonly name: string;
  readonly protocol: Protocol;
}

/**
 * The merged endpoints of one service port, sorted by `target`.
 *
 * Port name and protocol must both match exactly; numbers do not matter. On equal targets an endpoint that is not
 * terminating replaces what was there, a terminating one never does.
 *
 * @param slices the Service's slices of this family, sorted by name
 * @param nodeName this node's name; endpoints of that node are local
 */
export function endpointsOfPort(
  slices: readonly EndpointSliceObject[],
  port: PortIdentity,
  family: Family,
  nodeName: string,
): Endpoint[] {
  const merged = new Map<string, Endpoint>();
  for (const slice of slices) {
    for (const slicePort of slice.ports) {
      if (slicePort.name !== port.name || slicePort.protocol !== port.protocol || !slicePort.port) {
        continue;
      }
      for (const entry of slice.endpoints) {
        const address = usableAddress(entry, family);
        if (address !== undefined) {
          addEndpoint(merged, makeEndpoint(entry, address, slicePort.port, nodeName));
        }
      }
    }
  }
  return [...merged.values()].sort(byTarget);
}

/** Order of endpoints everywhere: plain byte order of the target, as kube-proxy sorts. */
export function byTarget(a: Endpoint, b: Endpoint): number {
  return a.target < b.target ? -1 : a.target > b.target ? 1 : 0;
}

/** What is wrong with a slice, entry by entry. A slice of another address type has no problems: it is not ours. */
export function sliceProblems(slice: EndpointSliceObject): Problem[] {
  const problems: Problem[] = [];
  const report = (field: string, message: string): void => {
    problems.push({ kind: "EndpointSlice", object: objectKey(slice), field, message });
  };
  if (slice.addressType !== "IPv4" && slice.addressType !== "IPv6") {
    return problems;
  }
  for (const [index, port] of slice.ports.entries()) {
    if (port.name === undefined) {
      report(`ports[${index}].name`, "missing: the port is skipped");
    } else if (!port.port) {
      report(`ports[${index}].port`, "missing: the port is skipped");
    }
  }
  for (const [index, entry] of slice.endpoints.entries()) {
    const problem = addressProblem(entry, slice.addressType);
    if (problem !== undefined) {
      report(`endpoints[${index}].addresses[0]`, `${problem}: the endpoint is skipped`);
    }
  }
  return problems;
}

function addEndpoint(merged: Map<string, Endpoint>, endpoint: Endpoint): void {
  if (!endpoint.terminating || !merged.has(endpoint.target)) {
    merged.set(endpoint.target, endpoint);
  }
}

function usableAddress(entry: SliceEndpointObject, family: Family): Address | undefined {
  const address = entry.address === undefined ? undefined : parseAddress(entry.address);
  if (
    address === undefined ||
    familyOf(address) !== family ||
    endpointAddressProblem(address) !== undefined
  ) {
    return undefined;
  }
  return address;
}

function addressProblem(entry: SliceEndpointObject, family: Family): string | undefined {
  if (entry.address === undefined) {
    return "missing";
  }
  if (usableAddress(entry, family) !== undefined) {
    return undefined;
  }
  const text = JSON.stringify(entry.address.slice(0, 80));
  const address = parseAddress(entry.address);
  return address === undefined || familyOf(address) !== family
    ? `${text} is not an ${family} address`
    : `${text} is ${endpointAddressProblem(address)}`;
}

function makeEndpoint(
  entry: SliceEndpointObject,
  address: Address,
  port: number,
  nodeName: string,
): Endpoint {
  return {
    address,
    port,
    target: joinHostPort(address, port),
    isLocal: entry.nodeName !== "" && entry.nodeName === nodeName,
    ready: entry.ready,
    serving: entry.serving,
    terminating: entry.terminating,
    nodeName: entry.nodeName,
    zone: entry.zone,
    zoneHints: entry.zoneHints,
    nodeHints: entry.nodeHints,
  };
}
