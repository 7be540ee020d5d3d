/**
 * The fixed rules of ipvs mode with either variant of iptables, on a kernel that need not have IPVS: they are written as
 * they are read back.
 *
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cleanRules } from "../../src/ipvs/cleanup.ts";
import { ensureSets } from "../../src/ipvs/read-kernel.ts";
import { RuleKeeper } from "../../src/ipvs/rule-keeper.ts";
import { openNetlink } from "../../src/netlink/socket.ts";
import { families } from "../../src/proxier/address.ts";
import type { LocalDetector, NodePlan } from "../../src/proxier/plan.ts";
import { cidr } from "../../src/proxier/testing.ts";
import { createNamespace, type Namespace } from "../harness/namespace.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { ScratchFolder } from "../harness/scratch.ts";
import { fullRules, type NamespaceHost, ruleKernelOf } from "./namespace-host.ts";

const networks = { IPv4: "10.244.0.0/16", IPv6: "fd00:244::/64" } as const;

/** Without the rule that needs IPVS itself. */
const rules = { ...fullRules, hairpin: "set" } as const;

let node: Namespace;
let scratch: ScratchFolder;

function hostOf(variant: "nft" | "legacy"): NamespaceHost {
  return { node, variant, env: { XTABLES_LOCKFILE: scratch.file("xtables.lock") } };
}

describeOnKernel("fixed rules of ipvs mode", { programs: ["iptables-nft", "iptables-legacy"] }, () => {
  beforeAll(async () => {
    node = await createNamespace("rules");
    scratch = new ScratchFolder("rules");
    using sets = node.enter(() => openNetlink("netfilter"));
    for (const family of families) await ensureSets(sets, family);
  });

  afterAll(async () => {
    await node.remove();
    scratch.remove();
  });

  describe.each(["nft", "legacy"] as const)("with iptables-%s", (variant) => {
    test.each(families)("are read back in %s as they were written, for every detector", async (family) => {
      const detectors: readonly (LocalDetector | undefined)[] = [
        { kind: "cidr", cidr: cidr(networks[family]) },
        { kind: "bridge", name: "cni0" },
        { kind: "prefix", prefix: "veth" },
        undefined,
      ];
      const kernel = ruleKernelOf(hostOf(variant), family);
      for (const detector of detectors) {
        const plan: NodePlan = {
          family,
          detector,
          masqueradeMark: 0x4000,
          nodePorts: { kind: "all", loopback: false },
          localhostNodePorts: false,
        };
        const keeper = new RuleKeeper(kernel, rules);
        expect((await keeper.sync(plan)).written).toBeGreaterThan(0);
        expect((await keeper.sync(plan)).written).toBe(0);
      }
      const { failures } = await cleanRules(kernel);
      expect(failures).toEqual([]);
      const left: string[] = [];
      await kernel.save((text) => left.push(...text.split("\n").filter((line) => /^(-A|:KUBE)/.test(line))));
      expect(left).toEqual([]);
    });
  });
});
