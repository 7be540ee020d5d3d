/**
 * Unit tests of what an update of a Service takes over.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { JsonObject } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import { carryOverService } from "./service-update.ts";

function service(spec: JsonObject): KubeObject {
  return { metadata: { name: "web" }, spec };
}

function carried(next: JsonObject, old: JsonObject): JsonObject {
  return carryOverService(service(next), service(old))["spec"] as JsonObject;
}

const clusterIp = {
  type: "ClusterIP",
  clusterIP: "10.96.1.0",
  clusterIPs: ["10.96.1.0"],
  ipFamilies: ["IPv4"],
  ipFamilyPolicy: "SingleStack",
  internalTrafficPolicy: "Cluster",
  ports: [{ port: 80, protocol: "TCP" }],
};
const nodePort = {
  ...clusterIp,
  type: "NodePort",
  externalTrafficPolicy: "Cluster",
  ports: [{ port: 80, protocol: "TCP", nodePort: 30_086 }],
};
const loadBalancer = {
  ...nodePort,
  type: "LoadBalancer",
  externalTrafficPolicy: "Local",
  healthCheckNodePort: 30_087,
  allocateLoadBalancerNodePorts: true,
};

test("carryOverService() keeps addresses and node ports that a manifest does not know", () => {
  expect(carried({ ports: [{ port: 80 }] }, clusterIp)).toMatchObject({
    clusterIP: "10.96.1.0",
    clusterIPs: ["10.96.1.0"],
    ipFamilies: ["IPv4"],
  });
  const next = { type: "LoadBalancer", externalTrafficPolicy: "Local", ports: [{ port: 80 }, { port: 81 }] };
  expect(carried(next, loadBalancer)).toMatchObject({
    healthCheckNodePort: 30_087,
    ports: [{ port: 80, nodePort: 30_086 }, { port: 81 }],
  });
});

test("carryOverService() keeps what the client says instead", () => {
  const next = { ...nodePort, ports: [{ port: 80, protocol: "TCP", nodePort: 30_500 }] };
  expect(carried(next, nodePort)["ports"]).toEqual([{ port: 80, protocol: "TCP", nodePort: 30_500 }]);
});

test("carryOverService() drops what a change of type makes meaningless", () => {
  const inside = carried({ ...loadBalancer, type: "ClusterIP" }, loadBalancer);
  expect(inside["ports"]).toEqual([{ port: 80, protocol: "TCP", nodePort: undefined }]);
  for (const field of ["externalTrafficPolicy", "healthCheckNodePort", "allocateLoadBalancerNodePorts"]) {
    expect(inside[field]).toBeUndefined();
  }
  const external = carried({ ...clusterIp, type: "ExternalName", externalName: "example.com" }, clusterIp);
  for (const field of ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"]) {
    expect(external[field]).toBeUndefined();
  }
});

test("carryOverService() keeps a meaningless field that the client changed, for validation to refuse", () => {
  const next = { ...nodePort, type: "ClusterIP", externalTrafficPolicy: "Local" };
  expect(carried(next, nodePort)["externalTrafficPolicy"]).toBe("Local");
});

test("carryOverService() follows a clusterIP that changed without its list", () => {
  expect(carried({ ...clusterIp, clusterIP: "10.96.1.9" }, clusterIp)["clusterIPs"]).toEqual(["10.96.1.9"]);
});

test("carryOverService() gives the second family up when the policy goes back to one", () => {
  const dual = {
    ...clusterIp,
    clusterIPs: ["10.96.1.0", "fd00::1"],
    ipFamilies: ["IPv4", "IPv6"],
    ipFamilyPolicy: "PreferDualStack",
  };
  expect(carried({ ...dual, ipFamilyPolicy: "SingleStack" }, dual)).toMatchObject({
    clusterIPs: ["10.96.1.0"],
    ipFamilies: ["IPv4"],
  });
});
