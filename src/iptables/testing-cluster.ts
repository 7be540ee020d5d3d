/**
 * A cluster whose rules are of every kind that there is. Imported by tests only.
 *
 * @module
 */
import type { Family } from "../proxier/address.ts";
import type {
  EndpointSliceObject,
  Protocol,
  ServiceObject,
  SliceEndpointObject,
} from "../proxier/objects.ts";
import { endpoint, here, port, service, slice, slicePort } from "../proxier/testing.ts";

/** An address of the family from two numbers, near to others that share the first. */
export function numberedAddress(family: Family, high: number, low: number): string {
  return family === "IPv4"
    ? `${high}.${low >> 16}.${(low >> 8) & 255}.${low & 255}`
    : `${(high << 8).toString(16)}::${(low >> 16).toString(16)}:${(low & 0xffff).toString(16)}`;
}

/** What one kind of Service is like, besides its name and ClusterIP. */
interface Kind {
  readonly fields: Partial<ServiceObject>;
  readonly protocol?: Protocol;
  readonly isExternal?: boolean;
  /** Endpoints on this node, and elsewhere. */
  readonly here: number;
  readonly elsewhere: number;
}

const local = { externalTrafficPolicy: "Local" } as const;
const sticky = { sessionAffinity: "ClientIP", affinityTimeoutSeconds: 600 } as const;

function kinds(family: Family): readonly Kind[] {
  const ranges = family === "IPv4" ? ["203.0.113.0/25", "192.168.0.0/24"] : ["2001:db8::/64", "fd00::/16"];
  const restricted = { type: "LoadBalancer", loadBalancerSourceRanges: ranges };
  return [
    { fields: {}, here: 1, elsewhere: 1 },
    { fields: { type: "NodePort" }, isExternal: true, here: 0, elsewhere: 0 },
    { fields: { internalTrafficPolicy: "Local" }, here: 0, elsewhere: 2 },
    { fields: { internalTrafficPolicy: "Local", ...sticky }, here: 2, elsewhere: 1 },
    { fields: { ...restricted, ...local }, isExternal: true, here: 1, elsewhere: 1 },
    { fields: { type: "LoadBalancer", ...local }, isExternal: true, here: 0, elsewhere: 1 },
    { fields: restricted, isExternal: true, here: 0, elsewhere: 2 },
    { fields: { type: "NodePort" }, protocol: "UDP", isExternal: true, here: 1, elsewhere: 2 },
    { fields: { type: "NodePort" }, protocol: "SCTP", isExternal: true, here: 0, elsewhere: 1 },
    { fields: { type: "NodePort", ...local, ...sticky }, isExternal: true, here: 1, elsewhere: 2 },
    { fields: { type: "NodePort", ...local }, protocol: "UDP", isExternal: true, here: 0, elsewhere: 2 },
  ];
}

/**
 * Services of every kind, each so often that every shared chain becomes a tree, and some that are large: many endpoints,
 * with and without affinity, and many ports.
 */
export function everyKindOfRule(family: Family): readonly (ServiceObject | EndpointSliceObject)[] {
  const objects: (ServiceObject | EndpointSliceObject)[] = [];
  let number = 0;
  for (let round = 0; round < 18; round++) {
    for (const kind of kinds(family)) {
      objects.push(...numberedService(family, number, kind));
      number += 1;
    }
  }
  objects.push(
    ...numberedService(family, number, { fields: {}, here: 0, elsewhere: 300 }),
    ...numberedService(family, number + 1, { fields: sticky, here: 5, elsewhere: 20 }),
    ...manyPorts(family, number + 2),
  );
  return objects;
}

function numberedService(
  family: Family,
  number: number,
  kind: Kind,
): readonly [ServiceObject, EndpointSliceObject] {
  const { fields, protocol = "TCP", isExternal = false } = kind;
  // Some of the addresses share no digit with the others.
  const clusterIP = numberedAddress(family, number % 5 === 0 ? 176 : 10, 0x60_0000 + number);
  const isHealthy = fields.type === "LoadBalancer" && fields.externalTrafficPolicy === "Local";
  const name = `s${number}`;
  const object = service({
    name,
    clusterIP,
    ipFamilies: [family],
    ports: [port({ protocol, port: 80 + (number % 3), nodePort: isExternal ? 30_000 + number : 0 })],
    externalIPs: isExternal ? [numberedAddress(family, 198, 0x33_6400 + number)] : [],
    loadBalancerIngress:
      fields.type === "LoadBalancer"
        ? [{ ip: numberedAddress(family, 203, 0x71_0000 + number), ipMode: "" }]
        : [],
    healthCheckNodePort: isHealthy ? 32_000 + number : 0,
    ...fields,
  });
  const endpoints = Array.from({ length: kind.here + kind.elsewhere }, (_, index) =>
    endpoint(
      numberedAddress(family, 10, 0xf4_0000 + number * 512 + index + 1),
      index < kind.here ? here : {},
    ),
  );
  return [object, sliceOf(family, name, endpoints, [slicePort({ protocol })])];
}

/** One address with so many ports that its rules are a chain of their own. */
function manyPorts(family: Family, number: number): readonly [ServiceObject, EndpointSliceObject] {
  const names = Array.from({ length: 20 }, (_, index) => `p${index}`);
  const object = service({
    name: `s${number}`,
    clusterIP: numberedAddress(family, 10, 0x60_0000 + number),
    ipFamilies: [family],
    ports: names.map((name, index) => port({ name, port: 1_000 + index })),
  });
  const endpoints = [endpoint(numberedAddress(family, 10, 0xf4_0000 + number * 512))];
  return [
    object,
    sliceOf(
      family,
      `s${number}`,
      endpoints,
      names.map((name) => slicePort({ name })),
    ),
  ];
}

function sliceOf(
  family: Family,
  serviceName: string,
  endpoints: readonly SliceEndpointObject[],
  ports: EndpointSliceObject["ports"],
): EndpointSliceObject {
  return slice(endpoints, { name: `${serviceName}-1`, serviceName, addressType: family, ports });
}
