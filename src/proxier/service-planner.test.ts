/**
 * Tests of planning one Service.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { EndpointSliceObject, ServiceObject } from "./objects.ts";
import type { ServicePlan, ServicePortPlan } from "./plan.ts";
import { planService, type ServiceSettings } from "./service-planner.ts";
import { servicePorts } from "./service-port.ts";
import {
  address,
  broken,
  endpoint,
  here,
  leaving,
  plannerSettings,
  port,
  service,
  slice,
  slicePort,
} from "./testing.ts";

interface Given {
  readonly service?: Partial<ServiceObject>;
  readonly slices?: readonly EndpointSliceObject[];
  readonly settings?: Partial<ServiceSettings>;
  /** Keys of claims that other Services own. */
  readonly lost?: readonly string[];
}

function plan(given: Given): ServicePlan | undefined {
  const settings = plannerSettings(given.settings);
  const { ports } = servicePorts(service(given.service), settings.family);
  const node = { nodeName: "here", zone: "" };
  const lost = new Set(given.lost);
  return planService("ns/web", ports, given.slices ?? [], node, settings, (claim) => !lost.has(claim.key));
}

function onlyPort(given: Given): ServicePortPlan {
  const [first] = plan(given)?.ports ?? [];
  if (first === undefined) {
    throw new TypeError("Expected a service port");
  }
  return first;
}

const loadBalancer: Partial<ServiceObject> = {
  type: "LoadBalancer",
  ports: [port({ nodePort: 30080 })],
  externalIPs: ["203.0.113.1"],
  loadBalancerIngress: [
    { ip: "198.51.100.1", ipMode: "" },
    { ip: "198.51.100.2", ipMode: "" },
  ],
};

describe("planService()", () => {
  test("plans nothing for a Service without ports in the family", () => {
    expect(plan({ service: { clusterIP: "None" } })).toBeUndefined();
    expect(plan({ settings: { family: "IPv6" } })).toBeUndefined();
  });

  test("plans a ClusterIP Service", () => {
    expect(plan({ slices: [slice(["10.244.1.2", endpoint("10.244.1.1", here)])] })).toEqual({
      key: "ns/web",
      ports: [
        {
          displayName: "ns/web:http",
          protocol: "TCP",
          frontends: [{ kind: "ClusterIP", address: "10.96.0.10", port: 80, allowedSources: undefined }],
          internal: [
            { from: "any", verdict: { kind: "forward", pool: "cluster", masquerade: "unless-pod" } },
          ],
          external: [],
          cluster: [
            { address: "10.244.1.1", port: 8080 },
            { address: "10.244.1.2", port: 8080 },
          ],
          local: [],
          affinity: undefined,
          serving: [],
        },
      ],
      health: undefined,
    });
  });

  test("gives every kind of frontend, in order", () => {
    const { frontends } = onlyPort({ service: loadBalancer });
    expect(frontends.map((one) => [one.kind, one.address, one.port])).toEqual([
      ["ClusterIP", "10.96.0.10", 80],
      ["ExternalIP", "203.0.113.1", 80],
      ["LoadBalancer", "198.51.100.1", 80],
      ["LoadBalancer", "198.51.100.2", 80],
      ["NodePort", undefined, 30080],
    ]);
  });

  test("leaves out frontends that others own", () => {
    const { frontends } = onlyPort({
      service: loadBalancer,
      lost: ["TCP 203.0.113.1 80", "TCP node 30080"],
    });
    expect(frontends.map(({ kind }) => kind)).toEqual(["ClusterIP", "LoadBalancer", "LoadBalancer"]);
  });

  test("sorts ports by display name, then protocol", () => {
    const ports = [
      port({ name: "b" }),
      port({ name: "a", protocol: "UDP", port: 53 }),
      port({ name: "a", protocol: "TCP", port: 53 }),
      port({ name: "", port: 9 }),
      port({ name: "a-b", port: 10 }),
    ];
    expect(plan({ service: { ports } })?.ports.map((one) => `${one.displayName} ${one.protocol}`)).toEqual([
      "ns/web TCP",
      "ns/web:a TCP",
      "ns/web:a UDP",
      "ns/web:a-b TCP",
      "ns/web:b TCP",
    ]);
  });

  test("gives each port the endpoints of its name and protocol", () => {
    const ports = [port({ name: "dns", port: 53 }), port({ name: "dns", protocol: "UDP", port: 53 })];
    const slices = [
      slice(["10.244.1.1"], {
        ports: [
          slicePort({ name: "dns", port: 5353 }),
          slicePort({ name: "dns", protocol: "UDP", port: 5354 }),
        ],
      }),
    ];
    expect(
      plan({ service: { ports }, slices })?.ports.map((one) => one.cluster.map(({ target }) => target)),
    ).toEqual([["10.244.1.1:5353"], ["10.244.1.1:5354"]]);
  });

  test("carries the affinity", () => {
    const given = { sessionAffinity: "ClientIP", affinityTimeoutSeconds: 30 };
    expect(onlyPort({ service: given }).affinity).toEqual({ kind: "ClientIP", timeoutSeconds: 30 });
  });
});

describe("planService() and pools", () => {
  const slices = [slice([endpoint("10.244.1.1", here), "10.244.1.2"])];
  const nodePort = { type: "NodePort", ports: [port({ nodePort: 30080 })] };

  test.each<[string, Partial<ServiceObject>, number, number]>([
    ["Cluster only", {}, 2, 0],
    ["internal Local only", { internalTrafficPolicy: "Local" }, 0, 1],
    ["external Local", { ...nodePort, externalTrafficPolicy: "Local" }, 2, 1],
    ["internal Local, external Cluster", { ...nodePort, internalTrafficPolicy: "Local" }, 2, 1],
    ["external Local without anything external", { type: "NodePort", externalTrafficPolicy: "Local" }, 2, 0],
  ])("fills the pools that routes use: %s", (_, fields, cluster, local) => {
    const one = onlyPort({ service: fields, slices });
    expect([one.cluster.length, one.local.length]).toEqual([cluster, local]);
  });

  test("leaves pools empty that no route uses", () => {
    const elsewhere = [slice(["10.244.1.2"])];
    const dropped = onlyPort({ service: { internalTrafficPolicy: "Local" }, slices: elsewhere });
    expect([dropped.cluster, dropped.local]).toEqual([[], []]);
    const rejected = onlyPort({ slices: [slice([endpoint("10.244.1.1", broken)])] });
    expect([rejected.cluster, rejected.local]).toEqual([[], []]);
  });
});

describe("planService() and allowed sources", () => {
  const restricted = { ...loadBalancer, loadBalancerSourceRanges: ["203.0.113.0/25", "10.0.0.0/8"] };

  test("restricts load-balancer addresses and nothing else", () => {
    const { frontends } = onlyPort({ service: restricted });
    expect(frontends.map((one) => [one.kind, one.allowedSources?.ranges.map(({ text }) => text)])).toEqual([
      ["ClusterIP", undefined],
      ["ExternalIP", undefined],
      ["LoadBalancer", ["203.0.113.0/25", "10.0.0.0/8"]],
      ["LoadBalancer", ["203.0.113.0/25", "10.0.0.0/8"]],
      ["NodePort", undefined],
    ]);
  });

  test.each([
    ["in the ranges", "10.0.0.7", ["198.51.100.1", "198.51.100.2"]],
    ["outside the ranges", "192.168.0.2", []],
    ["unknown", undefined, []],
  ])("lets the node itself in by its address: %s", (_, text, expected) => {
    const nodeAddress = text === undefined ? undefined : address(text);
    const { frontends } = onlyPort({ service: restricted, settings: { nodeAddress } });
    const own = frontends.flatMap((one) =>
      one.allowedSources === undefined ? [] : [one.allowedSources.ownAddresses],
    );
    expect(own).toEqual([expected, expected]);
  });
});

describe("planService() and health checks", () => {
  const local = { ...loadBalancer, externalTrafficPolicy: "Local", healthCheckNodePort: 32000 };

  test("counts distinct addresses of local ready endpoints over all ports", () => {
    const ports = [port(), port({ name: "https", port: 443 })];
    const slices = [
      slice(
        [
          endpoint("10.244.1.1", here),
          endpoint("10.244.1.2", here),
          endpoint("10.244.1.3", { ...here, ...leaving }),
          endpoint("10.244.1.4", { ...here, ...broken }),
          "10.244.2.1",
        ],
        { ports: [slicePort(), slicePort({ name: "https", port: 8443 })] },
      ),
    ];
    expect(plan({ service: { ...local, ports }, slices })?.health).toEqual({
      port: 32000,
      localEndpoints: 2,
    });
  });

  test("adds up endpoints that only one of the ports has", () => {
    const ports = [port(), port({ name: "https", port: 443 })];
    const slices = [
      slice([endpoint("10.244.1.1", here)]),
      slice([endpoint("10.244.1.2", here)], { name: "web-2", ports: [slicePort({ name: "https" })] }),
    ];
    expect(plan({ service: { ...local, ports }, slices })?.health?.localEndpoints).toBe(2);
  });

  test("has a count of zero without endpoints, and none without a health-check port", () => {
    expect(plan({ service: local })?.health).toEqual({ port: 32000, localEndpoints: 0 });
    expect(plan({ service: { ...local, externalTrafficPolicy: "Cluster" } })?.health).toBeUndefined();
  });
});

describe("planService() and serving endpoints", () => {
  const udp = { ports: [port({ name: "dns", protocol: "UDP", port: 53 })], internalTrafficPolicy: "Local" };
  const ports = [slicePort({ name: "dns", protocol: "UDP", port: 53 })];
  const endpoints = [
    "10.244.1.1",
    endpoint("10.244.1.2", leaving),
    endpoint("10.244.1.3", { ready: false, serving: true, terminating: false }),
    endpoint("10.244.1.4", broken),
  ];

  test("lists every UDP endpoint that still serves, whatever the policies", () => {
    expect(onlyPort({ service: udp, slices: [slice(endpoints, { ports })] }).serving).toEqual([
      "10.244.1.1:53",
      "10.244.1.2:53",
      "10.244.1.3:53",
    ]);
  });

  test("lists none for other protocols", () => {
    expect(onlyPort({ slices: [slice(endpoints)] }).serving).toEqual([]);
  });
});
