/**
 * Arbitrary values of the core for property tests. Imported by tests only.
 *
 * Everything is drawn from a small world (few names, addresses and ports), so that objects compete, move and repeat.
 *
 * @module
 */
import fc from "fast-check";
import type { Endpoint } from "./endpoint.ts";
import type { EndpointSliceObject, ServiceObject, SliceEndpointObject } from "./objects.ts";
import { endpoint, mergedEndpoint, port, service, slice, slicePort } from "./testing.ts";

const zoneNames = ["zone-a", "zone-b"] as const;
const nodeNames = ["here", "elsewhere"] as const;

const anyConditions = fc.record({ ready: fc.boolean(), serving: fc.boolean(), terminating: fc.boolean() });
const anyHints = fc.record({
  zoneHints: fc.subarray([...zoneNames]),
  nodeHints: fc.subarray([...nodeNames]),
});

/** Endpoints of one service port as the core has them: distinct, sorted, in any conditions. */
export const anyEndpoints: fc.Arbitrary<readonly Endpoint[]> = fc
  .uniqueArray(
    fc.record({
      host: fc.integer({ min: 1, max: 9 }),
      nodeName: fc.constantFrom(...nodeNames),
      conditions: anyConditions,
      hints: anyHints,
    }),
    { selector: ({ host }) => host, maxLength: 8 },
  )
  .map((seeds) =>
    seeds
      .toSorted((a, b) => a.host - b.host)
      .map(({ host, nodeName, conditions, hints }) =>
        mergedEndpoint(`10.244.1.${host}`, {
          isLocal: nodeName === "here",
          nodeName,
          ...conditions,
          ...hints,
        }),
      ),
  );

/** An endpoint of a slice, most of them usable. */
const anySliceEndpoint: fc.Arbitrary<SliceEndpointObject> = fc
  .record({
    text: fc.constantFrom(
      "fd00::1:2",
      "10.244.1.1",
      "10.244.1.2",
      "10.244.1.3",
      "10.244.001.003",
      "127.0.0.1",
      "?",
      "fd00::1",
    ),
    nodeName: fc.constantFrom("", ...nodeNames),
    conditions: fc.oneof(fc.constant({ ready: true, serving: true, terminating: false }), anyConditions),
    hints: anyHints,
  })
  .map(({ text, nodeName, conditions, hints }) => endpoint(text, { nodeName, ...conditions, ...hints }));

/** Slices `one` to `three`, of Services `a` to `c`, or of none. */
export const anySlice: fc.Arbitrary<EndpointSliceObject> = fc
  .record({
    name: fc.constantFrom("one", "two", "three"),
    serviceName: fc.constantFrom("a", "b", "c", ""),
    headless: fc.integer({ min: 0, max: 9 }).map((dice) => dice === 0),
    addressType: fc.constantFrom("IPv4", "IPv4", "IPv4", "IPv6", "FQDN"),
    ports: fc.subarray([
      slicePort(),
      slicePort({ name: "dns", protocol: "UDP", port: 5353 }),
      slicePort({ name: undefined }),
      slicePort({ port: undefined }),
    ]),
    endpoints: fc.array(anySliceEndpoint, { maxLength: 4 }),
    resourceVersion: fc.constantFrom("1", "2"),
  })
  .map(({ endpoints, ...fields }) => slice(endpoints, fields));

/** What the ClusterIPs of a Service may look like; `1` to `3` are addresses of both families. */
const anyClusterIPs: fc.Arbitrary<Pick<ServiceObject, "ipFamilies" | "clusterIP" | "clusterIPs">> = fc
  .record({
    host: fc.constantFrom("1", "2", "3"),
    ipFamilies: fc.constantFrom(["IPv4"], ["IPv4", "IPv6"], ["IPv6", "IPv4"], ["IPv6"], []),
    headless: fc.integer({ min: 0, max: 9 }).map((dice) => dice === 0),
  })
  .map(({ host, ipFamilies, headless }) => {
    const clusterIPs = ipFamilies.map((family) =>
      family === "IPv4" ? `10.96.0.${host}` : `fd00:96::${host}`,
    );
    return { ipFamilies, clusterIPs, clusterIP: headless ? "None" : (clusterIPs[0] ?? `10.96.0.${host}`) };
  });

/** Services `a` to `c`, which want some of the same addresses and ports. */
export const anyService: fc.Arbitrary<ServiceObject> = fc
  .record({
    name: fc.constantFrom("a", "b", "c"),
    clusterIPs: anyClusterIPs,
    type: fc.constantFrom("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    proxyName: fc.constantFrom(undefined, undefined, undefined, "other"),
    ports: fc.subarray([
      port({ nodePort: 30080 }),
      port({ name: "dns", protocol: "UDP", port: 53, nodePort: 30053 }),
      port({ name: "alt", port: 81 }),
    ]),
    externalIPs: fc.subarray(["203.0.113.1", "203.0.113.2", "10.96.0.1", "fd00:99::1", "fd00:96::1"]),
    loadBalancerIngress: fc.subarray([
      { ip: "203.0.113.1", ipMode: "VIP" },
      { ip: "203.0.113.3", ipMode: "" },
      { ip: "fd00:99::1", ipMode: "" },
    ]),
    loadBalancerSourceRanges: fc.subarray(["192.168.0.0/24", "10.0.0.0/8", "fd00::/16", "2001:db8::/32"]),
    internalTrafficPolicy: fc.constantFrom("Cluster", "Local"),
    externalTrafficPolicy: fc.constantFrom("Cluster", "Local"),
    sessionAffinity: fc.constantFrom("None", "ClientIP"),
    healthCheckNodePort: fc.constantFrom(0, 32000),
    resourceVersion: fc.constantFrom("1", "2"),
  })
  .map(({ clusterIPs, ...fields }) => service({ ...clusterIPs, ...fields }));
