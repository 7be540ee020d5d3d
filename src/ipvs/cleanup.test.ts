/**
 * @module
 */
import { beforeEach, describe, expect, test } from "vitest";
import { rulesOfMode as rulesOfIptables } from "../iptables/cleanup.ts";
import { cidr, endpoint, here, port, service, slice } from "../proxier/testing.ts";
import { cleanKernel, cleanRules } from "./cleanup.ts";
import { IpvsClient } from "./netlink/client.ts";
import { FakeHost, FakeNode } from "./testing.ts";

let host: FakeHost;

/** A node that has served, with a foreign virtual server beside its own. */
beforeEach(async () => {
  host = new FakeHost();
  const node = new FakeNode({ host });
  node.cluster.put(
    service({ type: "NodePort", ports: [port({ nodePort: 30_080 })], externalTrafficPolicy: "Local" }),
    slice(["10.244.1.1", endpoint("10.244.1.2", here)]),
  );
  using client = new IpvsClient(host.ipvs.open());
  client.addVirtualServer({ protocol: "TCP", address: "192.168.0.2", port: 443, scheduler: "wlc" });
  await node.sync();
});

describe("cleanRules()", () => {
  test("removes our jumps and chains, kube-proxy's too, and no other rule", async () => {
    host.tables.IPv4.edit("filter", "INPUT", (lines) => [
      ...lines,
      '-A INPUT -m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL',
      "-A INPUT -j MINE",
    ]);
    host.tables.IPv4.edit("filter", "MINE", () => ["-A MINE -j ACCEPT"]);
    const { removed, failures } = await cleanRules(host.ruleKernel("IPv4"));
    expect(failures).toEqual([]);
    expect(removed).toContain("nat chain KUBE-SERVICES");
    expect(host.tables.IPv4.save()).not.toContain("KUBE-");
    expect(host.tables.IPv4.save()).toContain("-A INPUT -j MINE");
    expect(await cleanRules(host.ruleKernel("IPv4"))).toEqual({ removed: [], failures: [] });
  });

  test("removes the rules for node ports on localhost with those that lead there", async () => {
    for (const chain of ["KUBE-LHC-A", "KUBE-LHX-A", "KUBE-LOCALHOST"]) {
      host.tables.IPv4.edit("nat", chain, () => []);
    }
    host.tables.IPv4.edit("nat", "KUBE-LHX-A", () => ["-A KUBE-LHX-A -j KUBE-LHC-A"]);
    host.tables.IPv4.edit("nat", "KUBE-LOCALHOST", () => ["-A KUBE-LOCALHOST -j KUBE-LHX-A"]);
    host.tables.IPv4.edit("nat", "KUBE-SERVICES", (rules) => [
      "-A KUBE-SERVICES -j KUBE-LOCALHOST",
      ...rules,
    ]);
    const { removed, failures } = await cleanRules(host.ruleKernel("IPv4"));
    expect(failures).toEqual([]);
    expect(removed).toContain("nat chain KUBE-LOCALHOST");
    expect(host.tables.IPv4.save()).not.toContain("KUBE-");
  });

  test("leaves what iptables mode has as well", async () => {
    // The other mode has written what both have.
    for (const chain of ["KUBE-SERVICES", "KUBE-POSTROUTING"]) host.tables.IPv4.edit("nat", chain, () => []);
    for (const chain of ["KUBE-FORWARD", "KUBE-PROXY-FIREWALL"]) {
      host.tables.IPv4.edit("filter", chain, () => []);
    }
    const { removed, failures } = await cleanRules(host.ruleKernel("IPv4"), rulesOfIptables());
    expect(failures).toEqual([]);
    expect(removed).toContain("filter chain KUBE-IPVS-FILTER");
    expect(removed).not.toContain("nat chain KUBE-SERVICES");
    const text = host.tables.IPv4.save();
    expect(text).toContain("-j KUBE-SERVICES");
    expect(text).not.toContain("KUBE-SLUICE-");
    expect(text).not.toContain("KUBE-LOAD-BALANCER");
  });

  test("leaves chains empty that somebody else refers to, and says so", async () => {
    host.tables.IPv4.edit("nat", "MINE", () => ["-A MINE -j KUBE-MARK-MASQ"]);
    const { removed, failures } = await cleanRules(host.ruleKernel("IPv4"));
    expect(failures).toEqual([expect.stringContaining("nat chain KUBE-MARK-MASQ is empty but still there")]);
    expect(removed).toContain("filter chain KUBE-IPVS-FILTER");
    expect(host.tables.IPv4.save()).not.toContain("-A KUBE-");
  });
});

describe("cleanKernel()", () => {
  const doors = () => ({
    ipvs: new IpvsClient(host.ipvs.open()),
    sets: host.doors("IPv4").sets,
    route: host.doors("IPv4").route,
  });

  test("removes our virtual servers, the device and the sets once the rules are gone", async () => {
    await cleanRules(host.ruleKernel("IPv4"));
    const { removed, failures } = await cleanKernel(doors(), []);
    expect(failures).toEqual([]);
    expect(removed).toContain("interface kube-ipvs0");
    expect(removed).toContain("virtual server TCP 192.168.0.2:30080");
    expect(removed.filter((what) => what.startsWith("virtual server FWM"))).toHaveLength(1);
    expect(await host.dump()).toBe("TCP 192.168.0.2:443 wlc\n\n");
    expect(host.ipset.sets.size).toBe(0);
    expect(await cleanKernel(doors(), [])).toEqual({ removed: [], failures: [] });
  });

  test("leaves virtual servers of excluded networks, sets of another type, and what rules still look at", async () => {
    const set = host.ipset.sets.get("KUBE-LOOP-BACK");
    if (set !== undefined) {
      host.ipset.sets.set("KUBE-LOOP-BACK", { ...set, type: "hash:net" });
    }
    const { removed, failures } = await cleanKernel(doors(), [cidr("10.96.0.0/16")]);
    expect(await host.servers()).toContain("TCP 10.96.0.10:80 rr");
    expect(removed).not.toContain("set KUBE-LOOP-BACK");
    expect(failures).toContain("Cannot destroy set KUBE-CLUSTER-IP: IPSET_ERR_BUSY");
  });

  test("cleans without IPVS what else there is", async () => {
    await cleanRules(host.ruleKernel("IPv4"));
    const { removed } = await cleanKernel({ ...doors(), ipvs: undefined }, []);
    expect(removed).toContain("set KUBE-CLUSTER-IP");
  });
});
