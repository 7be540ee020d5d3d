/**
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ScratchFolder } from "../harness/scratch.ts";
import { proxyConfiguration, readCaseFile, writeManifests } from "./case-files.ts";
import { everyKind } from "./hand-made.ts";

test("writeManifests() writes the Node and every object to a file of its own", () => {
  using scratch = new ScratchFolder("test");
  const directory = scratch.file("manifests");
  writeManifests({ ...everyKind, node: { ...everyKind.node, zone: "zone-a" } }, directory);
  const objects = readdirSync(directory).map((name) =>
    JSON.parse(readFileSync(`${directory}/${name}`, "utf8")),
  );
  expect(objects).toEqual([
    {
      apiVersion: "v1",
      kind: "Node",
      metadata: {
        name: "node1",
        labels: { "kubernetes.io/hostname": "node1", "topology.kubernetes.io/zone": "zone-a" },
      },
      spec: {},
      status: { addresses: [{ type: "InternalIP", address: "192.168.0.2" }] },
    },
    ...everyKind.services,
  ]);
});

test("proxyConfiguration() says in the mode's own section what the case asks for", () => {
  const { config } = everyKind;
  const flowCase = { ...everyKind, config: { ...config, masqueradeAll: true, masqueradeBit: 9 } };
  expect(proxyConfiguration(flowCase, "nftables")).toMatchObject({
    kind: "KubeProxyConfiguration",
    mode: "nftables",
    clusterCIDR: "10.0.0.0/8",
    detectLocalMode: "ClusterCIDR",
    iptables: { masqueradeAll: true, masqueradeBit: 9, localhostNodePorts: true },
    nftables: { masqueradeAll: true, masqueradeBit: 9 },
  });
});

test("readCaseFile() refuses a file without cases", () => {
  expect(() => readCaseFile(fileURLToPath(new URL("../../package.json", import.meta.url)))).toThrow(
    SyntaxError,
  );
});
