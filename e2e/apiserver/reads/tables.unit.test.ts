/**
 * Unit tests of tables and ages.
 *
 * @module
 */
import { expect, test } from "vitest";
import { ManualClock } from "../clock.ts";
import type { JsonObject } from "../json.ts";
import type { CollectionName } from "../kinds/resources.ts";
import { storageResource } from "../kinds/resources.ts";
import type { KubeObject } from "../objects.ts";
import { freezeObject } from "../storage/stored-object.ts";
import { formatAge } from "./age.ts";
import { tableColumns } from "./table-columns.ts";
import { TableFormat } from "./table-format.ts";

const now = Date.UTC(2026, 0, 1, 0, 5);
const metadata = { name: "web", creationTimestamp: "2026-01-01T00:00:00Z" };

/** The cells of an object by column. */
function cells(collection: CollectionName, object: Omit<KubeObject, "metadata">): JsonObject {
  const columns = tableColumns(collection);
  return Object.fromEntries(
    columns.map(({ name, cell }) => [name, cell({ metadata, ...object } as KubeObject, now)]),
  );
}

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

test.each([
  [-2, "<invalid>"],
  [-1, "0s"],
  [0, "0s"],
  [119, "119s"],
  [120, "2m"],
  [200, "3m20s"],
  [10 * minute, "10m"],
  [179 * minute, "179m"],
  [3 * hour, "3h"],
  [5 * hour + 7 * minute, "5h7m"],
  [47 * hour, "47h"],
  [2 * day + 5 * hour, "2d5h"],
  [30 * day, "30d"],
  [3 * 365 * day + day, "3y1d"],
  [9 * 365 * day, "9y"],
])("formatAge() of %d seconds is %s", (seconds, expected) => {
  expect(formatAge(new Date(now - seconds * 1_000).toISOString(), now)).toBe(expected);
});

test("formatAge() of no time is unknown", () => {
  expect(formatAge("", now)).toBe("<unknown>");
});

test("tableColumns() of a Service show type, addresses and ports", () => {
  const spec = {
    type: "NodePort",
    clusterIP: "10.96.0.10",
    externalIPs: ["192.0.2.1"],
    selector: { b: "2", a: "1" },
    ports: [
      { port: 53, protocol: "UDP" },
      { port: 80, nodePort: 30080, protocol: "TCP" },
    ],
  };
  expect(cells("services", { spec })).toEqual({
    Name: "web",
    Type: "NodePort",
    "Cluster-IP": "10.96.0.10",
    "External-IP": "192.0.2.1",
    "Port(s)": "53/UDP,80:30080/TCP",
    Age: "5m",
    Selector: "a=1,b=2",
  });
});

test.each<[string, JsonObject, JsonObject, string]>([
  ["without any", { type: "ClusterIP" }, {}, "<none>"],
  ["of a waiting load balancer", { type: "LoadBalancer" }, {}, "<pending>"],
  [
    "of a load balancer",
    { type: "LoadBalancer", externalIPs: ["192.0.2.9"] },
    { loadBalancer: { ingress: [{ ip: "192.0.2.1" }, { hostname: "lb" }] } },
    "192.0.2.1,lb,192.0.2.9",
  ],
  ["of an external name", { type: "ExternalName", externalName: "example.com" }, {}, "example.com"],
])("tableColumns() show the external address %s", (_, spec, status, expected) => {
  expect(cells("services", { spec, status })["External-IP"]).toBe(expected);
});

test("tableColumns() of a slice cut long lists", () => {
  const endpoints = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"].map((one) => ({
    addresses: [one],
  }));
  expect(cells("endpointslices", { addressType: "IPv4", endpoints })).toMatchObject({
    AddressType: "IPv4",
    Ports: "<unset>",
    Endpoints: "10.0.0.1,10.0.0.2,10.0.0.3 + 2 more...",
  });
});

test("tableColumns() of a node show its state, roles and addresses", () => {
  const labels = { "node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "" };
  const status = {
    conditions: [{ type: "Ready", status: "True" }],
    addresses: [{ type: "InternalIP", address: "192.0.2.1" }],
    nodeInfo: { kubeletVersion: "v1.36.2" },
  };
  const node = { metadata: { ...metadata, labels }, spec: { unschedulable: true }, status };
  expect(cells("nodes", node)).toEqual({
    Name: "web",
    Status: "Ready,SchedulingDisabled",
    Roles: "control-plane,worker",
    Age: "5m",
    Version: "v1.36.2",
    "Internal-IP": "192.0.2.1",
    "External-IP": "<none>",
    "OS-Image": "<unknown>",
    "Kernel-Version": "<unknown>",
    "Container-Runtime": "<unknown>",
  });
  expect(cells("nodes", {})).toMatchObject({ Status: "Unknown", Roles: "<none>" });
});

test("tableColumns() of events take times and counts from wherever they are", () => {
  const involvedObject = { kind: "Service", name: "web" };
  const old = {
    involvedObject,
    firstTimestamp: "2026-01-01T00:01:00Z",
    lastTimestamp: "2026-01-01T00:04:00Z",
    count: 3,
    source: { component: "x", host: "n" },
  };
  expect(cells("events", old)).toMatchObject({
    Object: "service/web",
    "Last Seen": "60s",
    "First Seen": "4m",
    Count: 3,
    Source: "x, n",
  });
  const series = { lastObservedTime: "2026-01-01T00:04:30Z", count: 7 };
  const recent = { involvedObject, eventTime: "2026-01-01T00:03:00Z", series, reportingComponent: "y" };
  expect(cells("events", recent)).toMatchObject({
    "Last Seen": "30s",
    "First Seen": "2m",
    Count: 7,
    Source: "y",
  });
});

test("tableColumns() of pods, endpoints, maps and namespaces", () => {
  const spec = { containers: [{}, {}], nodeName: "n" };
  const status = {
    phase: "Running",
    podIP: "10.0.0.1",
    containerStatuses: [{ ready: true, restartCount: 2 }],
  };
  expect(cells("pods", { spec, status })).toMatchObject({
    Ready: "1/2",
    Status: "Running",
    Restarts: "2",
    IP: "10.0.0.1",
    Node: "n",
  });
  const subsets = [{ addresses: [{ ip: "10.0.0.1" }, { ip: "10.0.0.2" }], ports: [{ port: 80 }] }];
  expect(cells("endpoints", { subsets })["Endpoints"]).toBe("10.0.0.1:80,10.0.0.2:80");
  expect(cells("endpoints", {})["Endpoints"]).toBe("<none>");
  expect(cells("configmaps", { data: { a: "" }, binaryData: { b: "", c: "" } })["Data"]).toBe(3);
  expect(cells("namespaces", { status: { phase: "Active" } })["Status"]).toBe("Active");
});

test("TableFormat() describes its columns in the first table of a watch only", () => {
  const resource = storageResource("namespaces");
  const object = freezeObject(resource, { metadata, status: { phase: "Active" } }, 7);
  const format = new TableFormat(resource, "Metadata", new ManualClock(now));
  const [first, second] = [1, 2].map(() => JSON.parse(format.event({ type: "ADDED", object }).toString()));
  expect(first.object).toMatchObject({
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: { resourceVersion: "7" },
    columnDefinitions: [
      { name: "Name", type: "string", format: "name", priority: 0 },
      { name: "Status" },
      { name: "Age" },
    ],
    rows: [
      {
        cells: ["web", "Active", "5m"],
        object: { kind: "PartialObjectMetadata", metadata: { name: "web" } },
      },
    ],
  });
  expect(second.object.columnDefinitions).toBeNull();
});

test("TableFormat() includes what is asked for", () => {
  const resource = storageResource("configmaps");
  const object = freezeObject(resource, { metadata, data: { a: "1" } }, 7);
  const row = (include: "None" | "Object"): JsonObject => {
    const format = new TableFormat(resource, include, new ManualClock(now));
    return JSON.parse(format.list({ objects: [object], version: 9 }).toString()).rows[0];
  };
  expect(row("None")).not.toHaveProperty("object");
  expect(row("Object")["object"]).toMatchObject({ kind: "ConfigMap", data: { a: "1" } });
});
