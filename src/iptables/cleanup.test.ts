/**
 * @module
 */
import { beforeEach, describe, expect, test } from "vitest";
import { rulesOfMode as rulesOfIpvs } from "../ipvs/cleanup.ts";
import { PlannedCluster, port, service, slice } from "../proxier/testing.ts";
import { IptablesBackend } from "./backend.ts";
import { cleanTables } from "./cleanup.ts";
import { FakeKernel } from "./testing.ts";

let kernel: FakeKernel;

/** Rules and chains that are not ours, some of them made to look like it. */
function addForeign(): void {
  kernel.edit("nat", "MINE", () => ["-A MINE -j ACCEPT"]);
  kernel.edit("nat", "PREROUTING", (lines) => [...lines, "-A PREROUTING -j MINE"]);
  kernel.edit("nat", "KUBE-ROUTER-SERVICES", () => ["-A KUBE-ROUTER-SERVICES -j ACCEPT"]);
  kernel.edit("filter", "KUBE-NWPLCY-DEFAULT", () => ["-A KUBE-NWPLCY-DEFAULT -j ACCEPT"]);
  kernel.edit("mangle", "KUBE-IPTABLES-HINT", () => []);
  kernel.edit("mangle", "KUBE-KUBELET-CANARY", () => []);
}

/** Rules for a Service with a NodePort, and for one without endpoints. */
async function program(): Promise<void> {
  const cluster = new PlannedCluster().put(
    service({ type: "NodePort", ports: [port({ nodePort: 30_080 })] }),
    slice(["10.244.1.1", "10.244.1.2"]),
    service({ name: "empty", clusterIP: "10.96.0.11" }),
  );
  const change = cluster.planner.take();
  const { plan } = cluster.planner;
  await new IptablesBackend(plan.node, { layout: "endpoint-chains", dropInvalid: true }, kernel).sync(
    plan,
    change,
  );
}

/** The dump without what cleanup leaves to kubelet, and without tables that hold nothing. */
function lines(): readonly string[] {
  return kernel
    .save()
    .split("\n")
    .filter((line) => /^(:\S+ -|-A)/.test(line) && !line.includes("KUBE-FIREWALL"));
}

beforeEach(() => {
  kernel = new FakeKernel();
});

describe("cleanTables()", () => {
  test("removes everything of ours and nothing else", async () => {
    addForeign();
    const before = lines();
    await program();
    expect(lines().length).toBeGreaterThan(before.length + 20);
    await cleanTables(kernel);
    expect(lines()).toEqual(before);
  });

  test("leaves what ipvs mode has as well", async () => {
    await program();
    const kept = rulesOfIpvs();
    // The other mode has written what both have.
    for (const chain of ["KUBE-SERVICES", "KUBE-POSTROUTING"]) kernel.edit("nat", chain, () => []);
    for (const chain of ["KUBE-FORWARD", "KUBE-PROXY-FIREWALL"]) kernel.edit("filter", chain, () => []);
    const { removed } = await cleanTables(kernel, kept);
    expect(removed).toContain("nat chain KUBE-NODEPORTS");
    expect(removed).toContain("filter chain KUBE-EXTERNAL-SERVICES");
    expect(lines().join("\n")).not.toContain("KUBE-SVC-");
    for (const line of lines()) {
      const [, chain] = /^:(\S+)/.exec(line) ?? [];
      expect(chain === undefined || [...kept.chains].some((one) => one.endsWith(` ${chain}`))).toBe(true);
    }
    expect(kernel.save()).toContain("-j KUBE-SERVICES");
  });

  test("says what it removed, each thing once", async () => {
    await program();
    const ours = lines().filter((line) => line.startsWith(":"));
    const { removed } = await cleanTables(kernel);
    expect(new Set(removed).size).toBe(removed.length);
    expect(removed.filter((what) => what.includes(" chain "))).toHaveLength(ours.length);
    expect(removed).toContain("nat chain KUBE-SERVICES");
    expect(removed).toContain("mangle chain KUBE-PROXY-CANARY");
    expect(removed).toContain(
      'nat rule PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    );
  });

  test("leaves the chain that kubelet has as well, with the jumps to it", async () => {
    await program();
    await cleanTables(kernel);
    const left = kernel.save();
    expect(left).toContain("-A INPUT -j KUBE-FIREWALL");
    expect(left).toContain("-A OUTPUT -j KUBE-FIREWALL");
    expect(left).toMatch(/-A KUBE-FIREWALL .* -j DROP/);
  });

  test("writes nothing the second time", async () => {
    await program();
    await cleanTables(kernel);
    const writes = kernel.writes.length;
    expect(await cleanTables(kernel)).toEqual({ removed: [], failures: [] });
    expect(kernel.writes).toHaveLength(writes);
  });

  test("finishes what an interrupted cleanup has begun", async () => {
    await program();
    kernel.edit("nat", "PREROUTING", () => []);
    kernel.edit("filter", "KUBE-FORWARD", () => []);
    await cleanTables(kernel);
    expect(lines()).toEqual([]);
  });

  test("takes a jump away as often as it is there, and any other rule that leads to a chain of ours", async () => {
    await program();
    const older = '-A INPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES';
    kernel.edit("filter", "INPUT", (rules) => [...rules, older]);
    kernel.edit("nat", "PREROUTING", (rules) => [...rules, ...rules]);
    const { removed, failures } = await cleanTables(kernel);
    expect(failures).toEqual([]);
    expect(lines()).toEqual([]);
    expect(removed.filter((what) => what.startsWith("nat rule PREROUTING"))).toHaveLength(2);
  });

  test("empties a chain that somebody else's leads to, says so, and removes the rest", async () => {
    await program();
    kernel.edit("nat", "MINE", () => ["-A MINE -j KUBE-MARK-MASQ"]);
    const { removed, failures } = await cleanTables(kernel);
    expect(failures).toEqual([expect.stringMatching(/^nat chain KUBE-MARK-MASQ is empty but still there: /)]);
    expect(removed).not.toContain("nat chain KUBE-MARK-MASQ");
    expect(removed).toContain("nat chain KUBE-SERVICES");
    expect(lines()).toEqual([":KUBE-MARK-MASQ - [0:0]", ":MINE - [0:0]", "-A MINE -j KUBE-MARK-MASQ"]);
  });

  test("takes jumps away before the chains that they lead to", async () => {
    await program();
    const before = kernel.writes.length;
    await cleanTables(kernel);
    const text = kernel.writes.slice(before).join("");
    const nat = text.slice(text.indexOf("*nat"));
    expect(nat.indexOf("-D PREROUTING")).toBeGreaterThan(0);
    expect(nat.indexOf("-D PREROUTING")).toBeLessThan(nat.indexOf("-X KUBE-SERVICES"));
  });

  test("removes what kube-proxy has left in its own layout", async () => {
    kernel.edit("nat", "KUBE-SEP-AAAAAAAAAAAAAAAA", () => [
      "-A KUBE-SEP-AAAAAAAAAAAAAAAA -p tcp -m tcp -j DNAT --to-destination 10.244.1.1:80",
    ]);
    kernel.edit("nat", "KUBE-SVC-AAAAAAAAAAAAAAAA", () => [
      "-A KUBE-SVC-AAAAAAAAAAAAAAAA -j KUBE-SEP-AAAAAAAAAAAAAAAA",
    ]);
    kernel.edit("nat", "KUBE-EXT-AAAAAAAAAAAAAAAA", () => [
      "-A KUBE-EXT-AAAAAAAAAAAAAAAA -j KUBE-SVC-AAAAAAAAAAAAAAAA",
    ]);
    kernel.edit("nat", "KUBE-FW-AAAAAAAAAAAAAAAA", () => [
      "-A KUBE-FW-AAAAAAAAAAAAAAAA -j KUBE-EXT-AAAAAAAAAAAAAAAA",
    ]);
    await cleanTables(kernel);
    expect(lines()).toEqual([]);
  });
});
