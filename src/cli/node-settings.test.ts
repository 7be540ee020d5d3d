/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { run } from "../config/testing.ts";
import type { NodeObject } from "../proxier/objects.ts";
import { cidr } from "../proxier/testing.ts";
import { addressesOf, type FamilySettings, familySettings } from "./node-settings.ts";

const node: NodeObject = {
  kind: "Node",
  name: "here",
  resourceVersion: "1",
  zone: "a",
  podCIDRs: ["10.244.1.0/24", "fd00:244:1::/64"],
  addresses: ["192.168.0.2", "fd00::2"],
  taints: [],
  deleting: false,
};

async function settingsOf(
  argv: readonly string[],
  family: "IPv4" | "IPv6",
  of: NodeObject | undefined = node,
): Promise<FamilySettings> {
  const { config } = await run(argv);
  return familySettings(config, "here", of, family);
}

describe("familySettings()", () => {
  test("takes what holds for every family from the configuration", async () => {
    const argv = ["--masquerade-all", "--iptables-masquerade-bit=15"];
    const { planner } = await settingsOf(argv, "IPv4");
    expect(planner).toMatchObject({
      family: "IPv4",
      nodeName: "here",
      masqueradeAll: true,
      masqueradeMark: 0x8000,
      allowedExternalAddresses: [],
    });
  });

  test("gives each family the node's address of that family", async () => {
    expect((await settingsOf([], "IPv4")).planner.nodeAddress).toBe("192.168.0.2");
    expect((await settingsOf([], "IPv6")).planner.nodeAddress).toBe("fd00::2");
  });

  test("has no node address when none is known, nor when it is a loopback address", async () => {
    expect((await settingsOf([], "IPv4", { ...node, addresses: [] })).planner.nodeAddress).toBeUndefined();
    expect(
      (await settingsOf([], "IPv6", { ...node, addresses: ["192.168.0.2"] })).planner.nodeAddress,
    ).toBeUndefined();
    expect(
      (await settingsOf([], "IPv4", { ...node, addresses: ["127.0.0.1"] })).planner.nodeAddress,
    ).toBeUndefined();
  });

  test("tells pods by the cluster's range of the family", async () => {
    const argv = ["--cluster-cidr=10.244.0.0/16,fd00:244::/32"];
    expect((await settingsOf(argv, "IPv4")).planner.detector).toEqual({
      kind: "cidr",
      cidr: cidr("10.244.0.0/16"),
    });
    expect((await settingsOf(argv, "IPv6")).planner.detector).toEqual({
      kind: "cidr",
      cidr: cidr("fd00:244::/32"),
    });
    expect((await settingsOf([], "IPv4")).planner.detector).toBeUndefined();
  });

  test("tells pods by the node's own range, which only the Node object has", async () => {
    const argv = ["--detect-local-mode=NodeCIDR"];
    expect((await settingsOf(argv, "IPv4")).planner.detector).toEqual({
      kind: "cidr",
      cidr: cidr("10.244.1.0/24"),
    });
    expect((await settingsOf(argv, "IPv6")).planner.detector).toEqual({
      kind: "cidr",
      cidr: cidr("fd00:244:1::/64"),
    });
    expect((await settingsOf(argv, "IPv4", { ...node, podCIDRs: [] })).planner.detector).toBeUndefined();
  });

  test("serves NodePorts on localhost in IPv4 only, and only where it is wanted and admitted", async () => {
    expect((await settingsOf([], "IPv4")).planner.localhostNodePorts).toBe(true);
    expect((await settingsOf([], "IPv6")).planner.localhostNodePorts).toBe(false);
    expect(
      (await settingsOf(["--iptables-localhost-nodeports=false"], "IPv4")).planner.localhostNodePorts,
    ).toBe(false);
    expect(
      (await settingsOf(["--nodeport-addresses=192.168.0.0/24"], "IPv4")).planner.localhostNodePorts,
    ).toBe(false);
  });

  test("keeps addresses of the node, of pods and of reserved networks from Services", async () => {
    const { config } = await run(["--cluster-cidr=10.244.0.0/16,0::/0"]);
    const reserved = (externalAddresses: Partial<(typeof config.sluice)["externalAddresses"]>) => {
      const sluice = {
        ...config.sluice,
        externalAddresses: { ...config.sluice.externalAddresses, ...externalAddresses },
      };
      const { planner } = familySettings({ ...config, sluice }, "here", node, "IPv4");
      return (planner.reservedAddresses ?? []).map(
        (one) => `${one.cidr.text}${one.mayBalance ? "" : " strictly"}`,
      );
    };
    const pods = ["10.244.0.0/16", ...node.podCIDRs];
    const own = ["192.168.0.2/32", "fd00::2/128"];
    expect(reserved({})).toEqual([...own, ...pods]);
    expect(reserved({ allowNodeAddresses: true, reservedCIDRs: ["10.96.0.0/12"] })).toEqual([
      "10.96.0.0/12 strictly",
      ...pods,
    ]);
  });

  test("leaves localhost to the forwarder where there is one", async () => {
    const { config } = await run([]);
    const withForwarder = {
      ...config,
      sluice: { ...config.sluice, nodePorts: { localhostForwarder: true } },
    };
    for (const family of ["IPv4", "IPv6"] as const) {
      const { planner } = familySettings(withForwarder, "node", node, family);
      expect(planner).toMatchObject({ localhostNodePorts: false, localhostForwarder: true });
    }
    expect((await settingsOf([], "IPv4")).planner.localhostForwarder).toBe(false);
  });

  test("admits NodePorts on the ranges of the family, and with primary on the node's own address", async () => {
    const ranges = ["--nodeport-addresses=192.168.0.0/24,fd00::/64"];
    expect((await settingsOf(ranges, "IPv4")).nodePorts.cidrs).toEqual([cidr("192.168.0.0/24")]);
    expect((await settingsOf(ranges, "IPv6")).nodePorts.cidrs).toEqual([cidr("fd00::/64")]);
    expect((await settingsOf(["--nodeport-addresses=primary"], "IPv4")).nodePorts.cidrs).toEqual([
      cidr("192.168.0.2/32"),
    ]);
    expect((await settingsOf(["--nodeport-addresses=primary"], "IPv6")).nodePorts.cidrs).toEqual([
      cidr("fd00::2/128"),
    ]);
  });
});

describe("addressesOf()", () => {
  test("lets --bind-address decide before the Node object does", async () => {
    const { config } = await run(["--bind-address=10.0.0.9"]);
    expect(addressesOf(config, node)).toMatchObject({
      primary: "IPv4",
      source: "bind-address",
      byFamily: { IPv4: "10.0.0.9", IPv6: "fd00::2" },
    });
  });

  test("is loopback without either", async () => {
    const { config } = await run([]);
    expect(addressesOf(config, undefined)).toMatchObject({
      source: "none",
      byFamily: { IPv4: "127.0.0.1", IPv6: "::1" },
    });
  });
});
