/**
 * `cleanup` on nodes where only part of what kube-proxy left is there, beside what others have.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Daemon } from "../daemon/daemon.ts";
import type { Variant } from "../harness/iptables-variant.ts";
import { createNamespace } from "../harness/namespace.ts";
import { Node } from "../harness/node.ts";
import { bridge } from "../harness/pod-network.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { ScratchFolder } from "../harness/scratch.ts";
import { addForeign, foreignState } from "./foreign.ts";
import { leaveIptables, leaveNftables } from "./kube-proxy.ts";
import { rulesOf } from "./node-state.ts";
import { randomNumbers } from "./restarts.ts";

const variants: readonly Variant[] = ["nft", "legacy"];

/** Deletes rules, and chains that nothing leads to then, here and there. */
async function damage(node: Node, variant: Variant, random: () => number): Promise<void> {
  for (const program of ["iptables", "ip6tables"]) {
    const { stdout } = await node.exec([`${program}-${variant}-save`]);
    let table = "";
    const lines = stdout.split("\n").flatMap((line) => {
      table = /^\*(\w+)/.exec(line)?.[1] ?? table;
      const isOurs = / KUBE-(?!FIREWALL|NWPLCY|ROUTER)/.test(line) && line.startsWith("-A");
      if (!isOurs) return /^(\*|COMMIT)/.test(line) ? [line] : [];
      return random() < 0.4 ? [line.replace(/^-A/, "-D")] : [];
    });
    await node.exec([`${program}-${variant}-restore`, "--noflush"], { input: `${lines.join("\n")}\n` });
    for (const [, chain = ""] of stdout.matchAll(/^:(KUBE-(?:SVC|EXT|SEP|FW|SVL)-\S+)/gm)) {
      // One that something leads to stays.
      if (random() < 0.4) {
        await node.exec([`${program}-${variant}`, "-t", "nat", "-X", chain], { anyStatus: true });
      }
    }
  }
}

describeOnKernel("cleanup", { programs: ["nft", "iptables-legacy", "ipset"] }, () => {
  test.each([1, 2, 3])(
    "removes any part of what kube-proxy left, and nothing else (seed %i)",
    async (seed) => {
      await using namespace = await createNamespace("node");
      using scratch = new ScratchFolder("cleanup");
      const addresses = { ip: "192.168.77.2", podCidr: "10.244.0.0/24" };
      const node = new Node("rig-node", namespace, addresses, bridge(), scratch.file("node"), "nft");
      const random = randomNumbers(seed);
      await namespace.ip(["link set lo up"]);
      for (const variant of variants) await addForeign(node, variant);
      const before = await foreignState(node);
      for (const variant of variants) {
        // kubelet has made its chain already.
        await leaveIptables(node, variant, 0, (line) => !line.includes("KUBE-FIREWALL"));
        await damage(node, variant, random);
      }
      await leaveNftables(node);
      if (random() < 0.5) await node.exec(["nft", "delete", "table", "ip", "kube-proxy"]);
      const chains = (await Promise.all(variants.map((variant) => rulesOf(node, variant)))).flat();
      expect(chains.filter((line) => / :KUBE-SEP-/.test(line)).length).toBeGreaterThan(5);

      const first = await Daemon.command(node, ["cleanup"]);
      expect(first.stderr).toBe("");
      expect(first.status).toBe(0);
      expect(first.stdout.split("\n")).toEqual(
        expect.arrayContaining([
          "removed nft IPv4 nat chain KUBE-SERVICES",
          "removed legacy IPv6 filter chain KUBE-FORWARD",
          "removed nftables table ip6 kube-proxy",
        ]),
      );
      expect(await foreignState(node)).toBe(before);

      const second = await Daemon.command(node, ["cleanup"]);
      expect(second).toMatchObject({ status: 0, stdout: "nothing to remove\n", stderr: "" });
      expect(await foreignState(node)).toBe(before);
    },
  );

  test("says what it cannot remove, and fails", async () => {
    await using namespace = await createNamespace("node");
    using scratch = new ScratchFolder("cleanup");
    const addresses = { ip: "192.168.77.2", podCidr: "10.244.0.0/24" };
    const node = new Node("rig-node", namespace, addresses, bridge(), scratch.file("node"), "nft");
    await leaveIptables(node, "nft");
    await node.exec(["iptables-nft", "-t", "nat", "-N", "MINE"]);
    await node.exec(["iptables-nft", "-t", "nat", "-A", "MINE", "-j", "KUBE-MARK-MASQ"]);
    const { status, stdout, stderr } = await Daemon.command(node, ["cleanup"]);
    expect(status).toBe(1);
    // Looking for rules of the legacy variant did not make its tables.
    expect(namespace.enter(() => readFileSync("/proc/thread-self/net/ip_tables_names", "utf8"))).toBe("");
    expect(stdout).toContain("removed nft IPv4 nat chain KUBE-SERVICES\n");
    expect(stderr).toMatch(/nat chain KUBE-MARK-MASQ is empty but still there/);
    expect(stderr).toMatch(/cleanup is incomplete\n$/);
    const chains = (await rulesOf(node, "nft")).filter((line) => line.includes(":KUBE-"));
    expect([...new Set(chains)]).toEqual(["filter :KUBE-FIREWALL -", "nat :KUBE-MARK-MASQ -"]);
  });
});
