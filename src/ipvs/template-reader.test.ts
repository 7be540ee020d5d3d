/**
 * @module
 */
import { expect, test } from "vitest";
import { PlannedCluster, port, service, slice } from "../proxier/testing.ts";
import { TemplateReader } from "./template-reader.ts";

const cluster = new PlannedCluster().put(
  service({
    sessionAffinity: "ClientIP",
    affinityTimeoutSeconds: 600,
    type: "NodePort",
    ports: [port({ nodePort: 30_080 })],
  }),
  slice(["10.244.1.1"]),
  service({ name: "other", clusterIP: "10.96.0.11" }),
);
cluster.planner.take();

/** As the kernel of the test machine lists them. */
const lines = [
  "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData",
  "TCP 0AF40909 0000 0A60000A 0050 0AF40101 1F90 NONE            590",
  "TCP 0AF40909 A1B2 0A60000A 0050 0AF40101 1F90 ESTABLISHED     890",
  "TCP 0AF40909 0000 C0A80002 7580 0AF40102 1F90 ASSURED         595",
  "TCP 0AF40908 0000 C0A80002 7580 0AF40101 1F90 NONE             12",
  "TCP 0AF40907 0000 0A60000B 0050 0AF40101 1F90 NONE            590",
  "UDP 0AF40906 0000 0A60000A 0050 0AF40101 1F90 NONE            590",
  "IP  0AF40905 0000 00000001 0000 0AF40101 1F90 NONE            590",
  "TCP fd00:0244:0000:0000:0000:0000:0000:0009 0000 fd00:0010:0096:0000:0000:0000:0000:000a 0050 fd00:0244:0000:0000:0000:0000:0000:0001 1F90 NONE 59",
];

test("TemplateReader finds the clients of Services with affinity, each with its newest record", () => {
  const reader = new TemplateReader(cluster.planner.plan);
  expect(reader.isIdle).toBe(false);
  for (const line of lines) {
    reader.take(line);
  }
  const web = { service: "ns/web", port: "ns/web:http", protocol: "TCP" };
  expect(reader.clients()).toEqual([
    { ...web, target: "10.244.1.2:8080", client: "10.244.9.9", secondsLeft: 595 },
    { ...web, target: "10.244.1.1:8080", client: "10.244.9.8", secondsLeft: 12 },
  ]);
});

test("TemplateReader has nothing to look for without affinity", () => {
  const none = new PlannedCluster().put(service(), slice(["10.244.1.1"]));
  none.planner.take();
  expect(new TemplateReader(none.planner.plan).isIdle).toBe(true);
});
