/**
 * Tests of reading Services.
 *
 * @module
 */
import { expect, test } from "vitest";
import { decodeService } from "./decode-service.ts";
import type { JsonRecord } from "./fields.ts";
import { serviceJson } from "./testing.ts";

/** A Service with the given spec fields, and other parts. */
function service(spec: JsonRecord, rest: { metadata?: JsonRecord; status?: JsonRecord } = {}): JsonRecord {
  return {
    metadata: { name: "web", namespace: "shop", resourceVersion: "7", ...rest.metadata },
    spec,
    status: rest.status,
  };
}

function problemsOf(json: unknown): readonly string[] {
  return decodeService(json).problems.map(({ field, message }) => `${field}: ${message}`);
}

test("decodeService() keeps what a proxy uses and nothing else", () => {
  const { object, problems } = decodeService(serviceJson("web", "812"));
  expect(problems).toEqual([]);
  expect(object).toEqual({
    kind: "Service",
    namespace: "default",
    name: "web",
    resourceVersion: "812",
    annotations: {},
    proxyName: undefined,
    type: "ClusterIP",
    clusterIP: "10.96.0.10",
    clusterIPs: ["10.96.0.10"],
    ipFamilies: ["IPv4"],
    ports: [{ name: "http", protocol: "TCP", port: 80, nodePort: 0 }],
    externalIPs: [],
    sessionAffinity: "None",
    affinityTimeoutSeconds: undefined,
    internalTrafficPolicy: "Cluster",
    externalTrafficPolicy: "",
    healthCheckNodePort: 0,
    loadBalancerSourceRanges: [],
    loadBalancerIngress: [],
  });
});

test("decodeService() reads every field of a load balancer Service", () => {
  const { object, problems } = decodeService(
    service(
      {
        type: "LoadBalancer",
        clusterIP: "10.96.0.1",
        clusterIPs: ["10.96.0.1", "fd00::1"],
        ipFamilies: ["IPv4", "IPv6"],
        ports: [{ port: 53, protocol: "UDP", nodePort: 30053 }],
        externalIPs: ["198.51.100.1", "nonsense"],
        sessionAffinity: "ClientIP",
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
        internalTrafficPolicy: "Local",
        externalTrafficPolicy: "Local",
        healthCheckNodePort: 31000,
        loadBalancerSourceRanges: [" 203.0.113.0/25"],
      },
      {
        metadata: { labels: { "service.kubernetes.io/service-proxy-name": "" } },
        status: {
          loadBalancer: { ingress: [{ ip: "192.0.2.1", ipMode: "Proxy" }, { hostname: "lb.example.com" }] },
        },
      },
    ),
  );
  expect(problems).toEqual([]);
  expect(object).toMatchObject({
    proxyName: "",
    clusterIPs: ["10.96.0.1", "fd00::1"],
    ipFamilies: ["IPv4", "IPv6"],
    ports: [{ name: "", protocol: "UDP", port: 53, nodePort: 30053 }],
    externalIPs: ["198.51.100.1", "nonsense"],
    affinityTimeoutSeconds: 60,
    healthCheckNodePort: 31000,
    loadBalancerSourceRanges: [" 203.0.113.0/25"],
    loadBalancerIngress: [
      { ip: "192.0.2.1", ipMode: "Proxy" },
      { ip: "", ipMode: "" },
    ],
  });
});

test("decodeService() takes an absent or empty protocol for TCP", () => {
  const { object } = decodeService(service({ ports: [{ port: 1 }, { port: 2, protocol: "", name: "b" }] }));
  expect(object?.ports.map((port) => port.protocol)).toEqual(["TCP", "TCP"]);
});

test("decodeService() fills clusterIPs from clusterIP as the API server does, but not the other way", () => {
  expect(decodeService(service({ clusterIP: "10.0.0.1" })).object?.clusterIPs).toEqual(["10.0.0.1"]);
  expect(decodeService(service({ clusterIPs: ["10.0.0.1"] })).object?.clusterIP).toBe("");
});

test("decodeService() takes null for absent", () => {
  const { object, problems } = decodeService(service({ ports: null, externalIPs: null, clusterIP: null }));
  expect(problems).toEqual([]);
  expect(object).toMatchObject({ ports: [], externalIPs: [], clusterIP: "" });
});

test.each([
  ["a number", { port: 80.5 }, "spec.ports[1].port: 80.5 is not an integer from 1 to 65535"],
  ["too large a number", { port: 65_536 }, "spec.ports[1].port: 65536 is not an integer from 1 to 65535"],
  ["a text", { port: "80" }, 'spec.ports[1].port: "80" is not an integer from 1 to 65535'],
  ["nothing", {}, "spec.ports[1].port: there is no port number"],
  [
    "a bad node port",
    { port: 80, nodePort: -1 },
    "spec.ports[1].nodePort: -1 is not an integer from 0 to 65535",
  ],
  [
    "a bad protocol",
    { port: 80, protocol: "ICMP" },
    'spec.ports[1].protocol: "ICMP" is not a protocol (TCP, UDP, SCTP)',
  ],
  ["no object", 80, "spec.ports[1]: 80 is not an object"],
])("decodeService() skips a port with %s and names its path", (_, port, message) => {
  const json = service({ ports: [{ name: "a", port: 443 }, port] });
  expect(problemsOf(json)).toEqual([`${message}: the entry is skipped`]);
  expect(decodeService(json).object?.ports.map((kept) => kept.port)).toEqual([443]);
});

/** Names with which an object could leave the comment of a rule. */
const hostileNames = ['x" -j ACCEPT', "a b", "a\nb", "a'b", "-a", "a/b", "ä"] as const;

test.each([...hostileNames, "A", "a_b"])("decodeService() refuses an object with the name %j", (name) => {
  for (const metadata of [{ name }, { namespace: name }]) {
    const { object, problems } = decodeService(service({}, { metadata }));
    expect(object).toBeUndefined();
    expect(problems).toHaveLength(1);
    expect(problems[0]?.object).toMatch(/^[A-Za-z0-9.?-]*\/[A-Za-z0-9.?-]*$/);
  }
});

test.each(hostileNames)("decodeService() skips a port with the name %j", (name) => {
  const { object, problems } = decodeService(service({ ports: [{ port: 1 }, { name, port: 2 }] }));
  expect(object?.ports.map((port) => port.port)).toEqual([1]);
  expect(problems.map((problem) => problem.field)).toEqual(["spec.ports[1].name"]);
});

test("decodeService() takes port names that only an API server would mind", () => {
  const { object, problems } = decodeService(service({ ports: [{ name: "webPort_1", port: 1 }] }));
  expect(problems).toEqual([]);
  expect(object?.ports.map((port) => port.name)).toEqual(["webPort_1"]);
});

test("decodeService() refuses an object without a name or a namespace, and what is no object", () => {
  expect(decodeService(service({}, { metadata: { name: undefined } })).object).toBeUndefined();
  expect(decodeService(service({}, { metadata: { namespace: undefined } })).object).toBeUndefined();
  expect(problemsOf("text")).toEqual([': "text" is not an object: the object is skipped']);
  expect(problemsOf(service({}, { metadata: { name: "a".repeat(64) } }))).toHaveLength(1);
});

test("decodeService() skips the later of two ports with the same number or name and protocol", () => {
  const json = service({
    ports: [
      { name: "a", port: 80 },
      { name: "b", port: 80 },
      { name: "a", port: 81 },
      { name: "a", port: 80, protocol: "UDP" },
    ],
  });
  expect(decodeService(json).object?.ports).toEqual([
    { name: "a", protocol: "TCP", port: 80, nodePort: 0 },
    { name: "a", protocol: "UDP", port: 80, nodePort: 0 },
  ]);
  expect(problemsOf(json)).toEqual([
    "spec.ports[1]: port 80 with protocol TCP stands in an earlier entry: the entry is skipped",
    'spec.ports[2]: name "a" with protocol TCP stands in an earlier entry: the entry is skipped',
  ]);
});

test("decodeService() names a Service whose annotations are huge, and goes on with it", () => {
  const annotations = { "example.com/notes": "x".repeat(100_000), "kube-sluice.io/note": "kept" };
  const { object, problems } = decodeService(service({}, { metadata: { annotations } }));
  expect(problems).toEqual([expect.objectContaining({ field: "metadata.annotations" })]);
  expect(problems[0]?.message).toContain("more than 64 KiB");
  expect(object?.annotations).toEqual({ "kube-sluice.io/note": "kept" });
});

test("decodeService() keeps only the annotations that the program reads, each bounded", () => {
  const annotations = {
    "kubectl.kubernetes.io/last-applied-configuration": "x".repeat(100_000),
    "kube-sluice.io/scheduler": "lc",
    "sluice.example/thing": "1",
    "kube-router.io/service.scheduler": "sh",
    "service.cilium.io/lb-algorithm": "maglev",
    "service.kubernetes.io/topology-mode": "Auto",
    "kube-sluice.io/long": "x".repeat(1025),
    "kube-sluice.io/number": 5,
  };
  const json = service({}, { metadata: { annotations } });
  expect(decodeService(json).object?.annotations).toEqual({
    "kube-sluice.io/scheduler": "lc",
    "sluice.example/thing": "1",
    "kube-router.io/service.scheduler": "sh",
    "service.cilium.io/lb-algorithm": "maglev",
    "service.kubernetes.io/topology-mode": "Auto",
  });
  expect(decodeService(json).problems.map((problem) => problem.field)).toEqual([
    "metadata.annotations",
    "metadata.annotations.kube-sluice.io/long",
    "metadata.annotations.kube-sluice.io/number",
  ]);
});

test("decodeService() takes an unusable proxy name for a proxy name all the same", () => {
  const labels = { "service.kubernetes.io/service-proxy-name": { not: "a text" } };
  expect(decodeService(service({}, { metadata: { labels } })).object?.proxyName).toBe("");
});

test("decodeService() names at most 20 problems of one object and counts the rest", () => {
  const ports = Array.from({ length: 50 }, () => "no port");
  const problems = problemsOf(service({ ports }));
  expect(problems).toHaveLength(21);
  expect(problems.at(-1)).toBe(": 30 further problems are not listed");
});

test("decodeService() skips wrong entries of address lists and names them", () => {
  const json = service({ externalIPs: ["192.0.2.1", 5, "x".repeat(129), "192.0.2.2"] });
  expect(decodeService(json).object?.externalIPs).toEqual(["192.0.2.1", "192.0.2.2"]);
  expect(decodeService(json).problems.map((problem) => problem.field)).toEqual([
    "spec.externalIPs[1]",
    "spec.externalIPs[2]",
  ]);
});
