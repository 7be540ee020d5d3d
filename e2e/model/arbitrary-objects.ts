/**
 * Random Services and EndpointSlices: mostly sound, now and then with something odd in them.
 *
 * Odd is what Kubernetes accepts or once accepted, and what can only be skipped, such as an address that is none or is of
 * the wrong family. Left out is what a proxy may treat one way or another, for no oracle could judge it: a field of the
 * wrong JSON type, a port number outside 1..65535, a protocol that does not exist, two ports of one Service with the same
 * name and protocol.
 *
 * @module
 */
import fc from "fast-check";
import type { Family } from "./address.ts";
import type { Key } from "./edits.ts";
import { keyOf, keyText } from "./edits.ts";
import type {
  EndpointConditionsObject,
  EndpointObject,
  EndpointSliceObject,
  LoadBalancerIngressObject,
  ServiceObject,
  ServicePortObject,
  ServiceSpecObject,
  SlicePortObject,
} from "./objects.ts";
import {
  ADDRESSES,
  HEALTH_CHECK_PORTS,
  NODE_NAME,
  NODE_NAMES,
  NODE_PORTS,
  PORTS,
  SERVICE_KEYS,
  SERVICE_PORTS,
  TARGET_PORTS,
  ZONES,
} from "./pools.ts";

/** How random objects may differ from the usual. */
export interface ObjectOptions {
  /**
   * Also use node ports as service ports, so that a Service's external IP on the node's address meets another Service's
   * node port. Where both have nowhere to send a packet, the order of rules decides between "drop" and "reject".
   */
  readonly overlappingPorts?: boolean;
}

/** The likely arbitrary, and the other one once in twenty times: often enough, as there are many such choices. */
export function mostly<T, U>(likely: fc.Arbitrary<T>, unlikely: fc.Arbitrary<U>): fc.Arbitrary<T | U> {
  return fc.oneof({ weight: 19, arbitrary: likely }, { weight: 1, arbitrary: unlikely });
}

/** The key of a Service: mostly one of the first three, so that Services and slices find each other. */
export const serviceKeys: fc.Arbitrary<Key> = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...SERVICE_KEYS.slice(0, 3)) },
  { weight: 1, arbitrary: fc.constantFrom(...SERVICE_KEYS.slice(3)) },
);

const anyFamily = fc.constantFrom<Family>("IPv4", "IPv6");
const policy = fc.constantFrom("Cluster", "Local", undefined);

/** An address from a list, now and then in another of its spellings. */
function spelled(addresses: readonly string[]): fc.Arbitrary<string> {
  const address = fc.constantFrom(...addresses);
  return mostly(
    address,
    fc.tuple(address, fc.boolean()).map(([text, other]) => respell(text, other)),
  );
}

/** Another text for the same address: in capitals or mapped to IPv6, or else with leading zeros. */
function respell(text: string, other: boolean): string {
  if (text.includes(":"))
    return other ? text.toUpperCase() : text.replace(/[0-9a-f]+/g, (group) => group.padStart(4, "0"));
  return other ? `::ffff:${text}` : text.replace(/\d+/g, (octet) => octet.padStart(3, "0"));
}

/** Texts that stand where an address should and are none. */
const noAddress = fc.constantFrom(
  "",
  "not-an-ip",
  " 192.168.99.22",
  "5.6.7.8/32",
  "1.2.3",
  "fe80::1%eth0",
  "None",
);

/** The fields that tell a Service's ClusterIP, in all the shapes that old and new releases have written. */
const clusterIPFields: fc.Arbitrary<ServiceSpecObject> = fc
  .record({
    v4: spelled(ADDRESSES.IPv4.clusterIPs),
    v6: spelled(ADDRESSES.IPv6.clusterIPs),
    shape: mostly(
      fc.constantFrom("v4 v6", "v6 v4", "v4 v6", "v6 v4", "v4", "v6", "old v4", "old v6"),
      fc.constantFrom("headless", "empty", "absent", "short", "crossed", "broken"),
    ),
  })
  .map(({ v4, v6, shape }): ServiceSpecObject => {
    switch (shape) {
      case "v4":
        return { clusterIP: v4, clusterIPs: [v4], ipFamilies: ["IPv4"] };
      case "v6":
        return { clusterIP: v6, clusterIPs: [v6], ipFamilies: ["IPv6"] };
      case "v4 v6":
        return { clusterIP: v4, clusterIPs: [v4, v6], ipFamilies: ["IPv4", "IPv6"] };
      case "v6 v4":
        return { clusterIP: v6, clusterIPs: [v6, v4], ipFamilies: ["IPv6", "IPv4"] };
      case "old v4":
        return { clusterIP: v4 };
      case "old v6":
        return { clusterIP: v6 };
      case "headless":
        return { clusterIP: "None", clusterIPs: ["None"], ipFamilies: ["IPv4"] };
      case "empty":
        return { clusterIP: "", clusterIPs: [v4], ipFamilies: ["IPv4"] };
      case "short":
        return { clusterIP: v4, clusterIPs: [v4], ipFamilies: ["IPv4", "IPv6"] };
      case "crossed":
        return { clusterIP: v4, clusterIPs: [v4, v6], ipFamilies: ["IPv6", "IPv4"] };
      case "broken":
        return { clusterIP: "not-an-ip", clusterIPs: ["not-an-ip"], ipFamilies: ["IPv4"] };
      default:
        return {};
    }
  });

/** A port name with its protocol: mostly the usual one, so that Services and slices find each other. */
const portIdentity = mostly(
  fc.constantFrom(...PORTS.map(({ name, protocol }) => ({ name, protocol }))),
  fc.record({
    name: fc.constantFrom(...PORTS.map(({ name }) => name)),
    protocol: fc.constantFrom("TCP", "UDP", "SCTP"),
  }),
);

/** Ports of a Service, no two with the same name and protocol. */
function servicePorts(portNumbers: readonly number[]): fc.Arbitrary<readonly ServicePortObject[]> {
  const port = fc
    .record({
      identity: portIdentity,
      // An empty name and protocol TCP may also be left out.
      isTerse: fc.boolean(),
      port: fc.constantFrom(...portNumbers),
      nodePort: fc.constantFrom(undefined, 0, ...NODE_PORTS),
      targetPort: fc.constantFrom<(number | string)[]>(8080, "web"),
    })
    .map(({ identity: { name, protocol }, isTerse, nodePort, ...rest }) => ({
      ...(isTerse && name === "" ? {} : { name }),
      ...(isTerse && protocol === "TCP" ? {} : { protocol }),
      ...(nodePort === undefined ? {} : { nodePort }),
      ...rest,
    }));
  return fc.uniqueArray(port, {
    minLength: 1,
    maxLength: 3,
    size: "max",
    selector: ({ name, protocol }) => `${name ?? ""} ${protocol ?? "TCP"}`,
  });
}

/** Ranges of both families, now and then one that admits everybody or none at all that can be read. */
const sourceRanges = fc.array(
  mostly(
    fc.constantFrom(...ADDRESSES.IPv4.sourceRanges, ...ADDRESSES.IPv6.sourceRanges),
    fc.constantFrom(
      "0.0.0.0/0",
      "::/0",
      " 203.0.113.0/25",
      "203.000.113.000/025\t",
      "",
      "not-a-cidr",
      "1.2.3.4",
    ),
  ),
  { maxLength: 3 },
);

const ingress: fc.Arbitrary<LoadBalancerIngressObject> = fc.record(
  {
    ip: mostly(spelled([...ADDRESSES.IPv4.vips, ...ADDRESSES.IPv6.vips]), noAddress),
    hostname: fc.constant("lb.example"),
    ipMode: mostly(fc.constantFrom("VIP", null), fc.constant("Proxy")),
  },
  { requiredKeys: [] },
);

function serviceSpec(portNumbers: readonly number[]): fc.Arbitrary<ServiceSpecObject> {
  const rest: fc.Arbitrary<ServiceSpecObject> = fc.record(
    {
      type: mostly(
        fc.constantFrom("ClusterIP", "NodePort", "LoadBalancer", "LoadBalancer"),
        fc.constant("ExternalName"),
      ),
      ports: mostly(servicePorts(portNumbers), fc.constantFrom(null, [])),
      externalIPs: fc.array(
        mostly(spelled([...ADDRESSES.IPv4.externalIPs, ...ADDRESSES.IPv6.externalIPs]), noAddress),
        { maxLength: 3 },
      ),
      externalTrafficPolicy: policy,
      internalTrafficPolicy: policy,
      loadBalancerSourceRanges: sourceRanges,
      healthCheckNodePort: fc.constantFrom(0, 0, 0, ...HEALTH_CHECK_PORTS),
      sessionAffinity: fc.constantFrom("None", "ClientIP"),
      sessionAffinityConfig: fc.constantFrom(null, { clientIP: { timeoutSeconds: 60 } }),
    },
    { requiredKeys: ["ports"] },
  );
  return fc.tuple(clusterIPFields, rest).map(([fields, others]) => ({ ...others, ...fields }));
}

/** A Service with one of the usual keys. */
export function services(options: ObjectOptions = {}): fc.Arbitrary<ServiceObject> {
  const portNumbers = options.overlappingPorts ? [...SERVICE_PORTS, ...NODE_PORTS] : SERVICE_PORTS;
  const labels = mostly(
    fc.constantFrom(undefined, { app: "web" }),
    fc.constantFrom("", "other").map((value) => ({ "service.kubernetes.io/service-proxy-name": value })),
  );
  return fc
    .record({
      key: serviceKeys,
      labels,
      spec: mostly(serviceSpec(portNumbers), fc.constant(null)),
      ingress: fc.array(ingress, { maxLength: 2 }),
    })
    .map(({ key, labels: given, spec, ingress: entries }) => ({
      apiVersion: "v1",
      kind: "Service",
      metadata: { ...key, ...(given === undefined ? {} : { labels: given }) },
      spec,
      status: { loadBalancer: entries.length === 0 ? {} : { ingress: entries } },
    }));
}

/** Ports of a slice: mostly one for every usual port, otherwise some with what can be wrong with them. */
const slicePorts: fc.Arbitrary<readonly SlicePortObject[] | null> = fc.oneof(
  {
    weight: 7,
    arbitrary: fc
      .constantFrom(...TARGET_PORTS)
      .map((port) => PORTS.map(({ name, protocol }) => ({ name, protocol, port }))),
  },
  {
    weight: 3,
    arbitrary: fc.array(
      fc.record(
        {
          name: mostly(fc.constantFrom(...PORTS.map(({ name }) => name)), fc.constantFrom(null, "other")),
          protocol: fc.constantFrom("TCP", "TCP", "UDP", "SCTP", null),
          port: mostly(fc.constantFrom(...TARGET_PORTS), fc.constantFrom(null, 0)),
        },
        { requiredKeys: ["name"] },
      ),
      { maxLength: 4, size: "max" },
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom(null, []) },
);

const conditions: fc.Arbitrary<EndpointConditionsObject | null | undefined> = fc.oneof(
  fc.constantFrom(undefined, null, {}, { ready: true }),
  fc.constantFrom(
    { ready: true, serving: true, terminating: false },
    { ready: false, serving: true, terminating: true },
    { ready: false, serving: false, terminating: true },
    { ready: false, serving: false, terminating: false },
    { ready: true, serving: true, terminating: true },
  ),
  fc.record(
    {
      ready: fc.constantFrom(true, false, null),
      serving: fc.constantFrom(true, false, null),
      terminating: fc.constantFrom(true, false, null),
    },
    { requiredKeys: [] },
  ),
);

/** How the endpoints of a slice are hinted: a controller hints all or none, but is seen in between. */
type HintStyle = "none" | "zones" | "nodes" | "both" | "mixed";

/** An endpoint of a slice of one family, once it is known how the slice is hinted. */
function endpoint(family: Family): fc.Arbitrary<(style: HintStyle) => EndpointObject> {
  const { endpoints } = ADDRESSES[family];
  const other = ADDRESSES[family === "IPv4" ? "IPv6" : "IPv4"].endpoints;
  const address = mostly(spelled(endpoints), fc.oneof(noAddress, fc.constantFrom(...other)));
  const names = (pool: readonly string[]) => fc.subarray([...pool], { minLength: 1, maxLength: 2 });
  return fc
    .record({
      addresses: mostly(fc.array(address, { minLength: 1, maxLength: 2 }), fc.constantFrom([], null)),
      nodeName: mostly(fc.constantFrom(NODE_NAME, ...NODE_NAMES), fc.constantFrom(undefined, null, "")),
      conditions,
      zones: names(ZONES),
      nodes: names(NODE_NAMES),
      ownStyle: fc.constantFrom<HintStyle>("none", "zones", "nodes", "both"),
    })
    .map(({ addresses, nodeName, conditions: given, zones, nodes, ownStyle }) => (sliceStyle) => {
      const style = sliceStyle === "mixed" ? ownStyle : sliceStyle;
      const forZones = style === "zones" || style === "both" ? zones.map((name) => ({ name })) : [];
      const forNodes = style === "nodes" || style === "both" ? nodes.map((name) => ({ name })) : [];
      return {
        addresses,
        ...(nodeName === undefined ? {} : { nodeName }),
        ...(given === undefined ? {} : { conditions: given }),
        ...(style === "none" ? {} : { hints: { forZones, forNodes } }),
      };
    });
}

/**
 * An EndpointSlice of one of the usual Services, whether that exists or not; mostly of the family given, if one is.
 */
export function endpointSlices(likely?: Family): fc.Arbitrary<EndpointSliceObject> {
  const serviceLabel = "kubernetes.io/service-name";
  const ofFamily = (family: Family) =>
    fc.record({
      key: serviceKeys,
      // Names do not tell the Service, so that an update can move a slice to another one.
      suffix: fc.constantFrom("s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"),
      labels: mostly(
        fc.constant((name: string): Record<string, string> => ({ [serviceLabel]: name })),
        fc.constantFrom(
          (name: string) => ({ [serviceLabel]: name, "service.kubernetes.io/headless": "" }),
          () => ({ [serviceLabel]: "" }),
          () => ({}),
        ),
      ),
      addressType: mostly(fc.constant<string>(family), fc.constant("FQDN")),
      ports: slicePorts,
      endpoints: mostly(fc.array(endpoint(family), { maxLength: 4, size: "max" }), fc.constant(null)),
      style: fc.constantFrom<HintStyle>("none", "zones", "nodes", "both", "mixed"),
    });
  const family = likely === undefined ? anyFamily : mostly(fc.constant(likely), anyFamily);
  return family.chain(ofFamily).map(({ key, suffix, labels, addressType, ports, endpoints, style }) => ({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { namespace: key.namespace, name: suffix, labels: labels(key.name) },
    addressType,
    ports,
    endpoints: endpoints?.map((build) => build(style)) ?? null,
  }));
}

/** The key of an object as text; for `uniqueArray`, since keys are unique in a cluster. */
export function uniqueKey(object: ServiceObject | EndpointSliceObject): string {
  return keyText(keyOf(object));
}
