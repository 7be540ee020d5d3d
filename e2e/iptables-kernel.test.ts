/**
 * `src/iptables` against the kernel, through both variants of the iptables programs and for both families.
 *
 * What the backend believes of a kernel (the contract), that it finds again what it wrote, and that a refusal is laid at
 * the right door.
 *
 * @module
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AffinityKeeper } from "../src/iptables/affinity-keeper.ts";
import type { AffinityStore } from "../src/iptables/affinity-store.ts";
import { IptablesBackend } from "../src/iptables/backend.ts";
import { HostAffinityStore } from "../src/iptables/host-affinity-store.ts";
import { HostKernel } from "../src/iptables/host-kernel.ts";
import { isOurs } from "../src/iptables/known-chains.ts";
import { renderPlan } from "../src/iptables/render-plan.ts";
import type { RuleSettings } from "../src/iptables/settings.ts";
import { everyKindOfRule, numberedAddress } from "../src/iptables/testing-cluster.ts";
import { testKernelContract } from "../src/iptables/testing-contract.ts";
import { runIptables, type Variant } from "../src/iptables/tools.ts";
import type { WantedTable } from "../src/iptables/wanted-chain.ts";
import type { Family } from "../src/proxier/address.ts";
import type { SyncReport } from "../src/proxier/backend.ts";
import type { EndpointSliceObject, ServiceObject } from "../src/proxier/objects.ts";
import type { NodePortAddresses } from "../src/proxier/plan.ts";
import type { PlannerSettings } from "../src/proxier/planner.ts";
import { address, cidr, endpoint, PlannedCluster, service, slice } from "../src/proxier/testing.ts";
import { runCommand } from "./harness/command.ts";
import { describeOnKernel } from "./harness/requirements.ts";
import { flush, hosts, inOwnNamespace, neededPrograms, rulesOf, save } from "./iptables-host.ts";

/** A cluster, and the backend that programs it. */
class Node {
  readonly cluster: PlannedCluster;
  readonly kernel: HostKernel;
  readonly #backend: IptablesBackend;

  constructor(
    variant: Variant,
    family: Family,
    rules: RuleSettings,
    settings: Partial<PlannerSettings> = {},
    keeper?: AffinityKeeper,
  ) {
    const nodeAddress = address(family === "IPv4" ? "192.168.0.2" : "fd00::2");
    this.cluster = new PlannedCluster({ ...settings, family, nodeAddress });
    this.kernel = new HostKernel(variant, family);
    this.#backend = new IptablesBackend(this.cluster.planner.plan.node, rules, this.kernel, keeper);
  }

  async sync(scope: "changes" | "everything" = "changes"): Promise<SyncReport> {
    const change = this.cluster.planner.take();
    return await this.#backend.sync(this.cluster.planner.plan, scope === "everything" ? scope : change);
  }

  close(): Promise<void> {
    return this.#backend.close();
  }
}

/** A node whose rules are of some kinds; all of them together are every kind. */
interface Case {
  readonly name: string;
  readonly rules: RuleSettings;
  readonly settings: (family: Family) => Partial<PlannerSettings>;
  readonly affinity: "recent" | "set";
  readonly nodePorts?: (family: Family) => NodePortAddresses;
}

const cases: readonly Case[] = [
  {
    name: "lean, recent, pods by network, node ports on loopback",
    rules: { layout: "lean", dropInvalid: true },
    settings: (family) => ({
      detector: { kind: "cidr", cidr: cidr(family === "IPv4" ? "10.244.0.0/16" : "a00::/64") },
      localhostNodePorts: family === "IPv4",
    }),
    affinity: "recent",
  },
  {
    name: "a chain per endpoint, recent, pods by bridge, node ports on some addresses",
    rules: { layout: "endpoint-chains", dropInvalid: true },
    settings: () => ({
      detector: { kind: "bridge", name: "cni0" },
      localhostNodePorts: false,
      masqueradeMark: 0x8000_0000,
    }),
    affinity: "recent",
    nodePorts: (family) => ({
      kind: "listed",
      addresses: [1, 2].map((number) => address(numberedAddress(family, 192, number))),
    }),
  },
  {
    name: "lean, sets, pods by prefix of their interfaces",
    rules: { layout: "lean", dropInvalid: true },
    settings: () => ({
      detector: { kind: "prefix", prefix: "veth" },
      localhostNodePorts: false,
      masqueradeMark: 1,
    }),
    affinity: "set",
  },
  {
    name: "a chain per endpoint, sets, no way to tell pods",
    rules: { layout: "endpoint-chains", dropInvalid: false, dispatchLimit: 2 },
    settings: () => ({ detector: undefined, masqueradeAll: true, localhostNodePorts: false }),
    affinity: "set",
  },
];

const lean: RuleSettings = { layout: "lean", dropInvalid: true };

/** Services with endpoints, each at its own address, as a list that begins with the first Service. */
function crowd(
  family: Family,
  services: number,
  endpoints: number,
): readonly (ServiceObject | EndpointSliceObject)[] {
  return Array.from({ length: services }, (_, index) => {
    const name = `s${1000 + index}`;
    const clusterIP = numberedAddress(family, 10, 0x60_0000 + index);
    const pods = Array.from({ length: endpoints }, (__, pod) =>
      endpoint(numberedAddress(family, 11, index * 256 + pod)),
    );
    return [
      service({ name, clusterIP, ipFamilies: [family] }),
      slice(pods, { name: `${name}-1`, serviceName: name, addressType: family }),
    ];
  }).flat();
}

/** Promises sets and makes none: the kernel refuses rules that name them. */
const withoutSets: AffinityStore = {
  recentLimit: 100,
  setLimit: 100,
  hasSets: true,
  ensure: () => {},
  list: () => Promise.resolve([]),
  destroy: () => [],
  countRecent: () => 0,
  close: () => {},
};

describeOnKernel("src/iptables", { programs: neededPrograms }, () => {
  inOwnNamespace();

  for (const host of hosts) {
    const { variant, family } = host;
    testKernelContract(`HostKernel, ${variant} ${family}, as any kernel`, async () => {
      await flush(host);
      return { kernel: new HostKernel(variant, family), save: () => save(host) };
    });
  }

  describe.each(hosts)("IptablesBackend on $variant $family", (host) => {
    const { variant, family } = host;
    const nodes: Node[] = [];

    /** A program that has just started. */
    const start = ({ rules, settings, affinity, nodePorts }: Case = cases[0] as Case): Node => {
      const keeper = new AffinityKeeper(family, affinity, new HostAffinityStore(family, true));
      const node = new Node(variant, family, rules, settings(family), keeper);
      if (nodePorts !== undefined) {
        node.cluster.planner.setNodePorts(nodePorts(family));
      }
      nodes.push(node);
      return node;
    };

    beforeEach(() => flush(host));
    afterEach(async () => {
      await Promise.all(nodes.splice(0).map((node) => node.close()));
      await flush(host);
      // nf_tables lets go of a set only a moment after the rule is gone.
      await expect
        .poll(() => runCommand(["ipset", "destroy"], { anyStatus: true }))
        .toMatchObject({ status: 0 });
    });

    test.each(cases)("finds every rule again as it wrote it: $name", async (one) => {
      const first = start(one);
      first.cluster.put(...everyKindOfRule(family));
      expect(await first.sync()).toMatchObject({ full: true, quarantined: [] });
      if (one.affinity === "recent") {
        const text = renderPlan(first.cluster.planner.plan, one.rules).text.replaceAll(/^-I .*\n/gm, "");
        const wanted = rulesOf(text, () => true);
        const held = rulesOf(await save(host), (table, chain) =>
          table === "mangle" ? chain === "KUBE-PROXY-CANARY" : isOurs(table as WantedTable, chain),
        );
        expect(held.size).toBeGreaterThan(250);
        expect(held).toEqual(wanted);
      }
      expect(await first.sync("everything")).toMatchObject({ full: true, bytes: 0 });
      const second = start(one);
      second.cluster.put(...everyKindOfRule(family));
      expect(await second.sync()).toMatchObject({ full: true, written: 0, removed: 0, bytes: 0 });
      second.cluster.drop(...everyKindOfRule(family));
      await second.sync();
      expect(await start(one).sync()).toMatchObject({ bytes: 0 });
    });

    test("writes and removes in bulk what it writes and removes at once", async () => {
      const many = crowd(family, 450, 8);
      const bulky = start();
      bulky.cluster.put(...many);
      const { written } = await bulky.sync();
      expect(written).toBeGreaterThan(450);
      const text = renderPlan(bulky.cluster.planner.plan, lean).text;
      const isWanted = (table: string, chain: string) => table === "nat" && chain.startsWith("KUBE-S");
      expect(rulesOf(await save(host), isWanted)).toEqual(rulesOf(text, isWanted));
      bulky.cluster.drop(...many);
      expect((await bulky.sync()).removed).toBeGreaterThan(450);
      expect(await start().sync()).toMatchObject({ bytes: 0 });
    });

    test("blames no Service for a flush, and repairs all of it with the next change", async () => {
      const node = start();
      node.cluster.put(...crowd(family, 3, 1));
      await node.sync();
      const good = await save(host);
      await flush(host);
      node.cluster.put(...crowd(family, 1, 2));
      expect(await node.sync()).toMatchObject({ full: true, quarantined: [] });
      node.cluster.put(...crowd(family, 1, 1));
      await node.sync();
      const tidy = (saved: string) =>
        saved
          .replaceAll(/^#.*\n|\[\d+:\d+\]/gm, "")
          .split("\n")
          .sort();
      expect(tidy(await save(host))).toEqual(tidy(good));
    });

    test.each([3, 450])(
      "leaves out of %i Services the one that the kernel refuses, and names it",
      async (count) => {
        const keeper = new AffinityKeeper(family, "set", withoutSets);
        const node = new Node(variant, family, lean, (cases[0] as Case).settings(family), keeper);
        nodes.push(node);
        const [first, ...rest] = crowd(family, count, 4);
        node.cluster.put({ ...(first as ServiceObject), sessionAffinity: "ClientIP" }, ...rest);
        const report = await node.sync();
        expect(report.quarantined).toEqual([
          { service: "ns/s1000", reason: expect.stringContaining("KUBE-") },
        ]);
        const saved = await save(host);
        expect(saved).not.toContain("ns/s1000");
        expect(saved).toContain("ns/s1001");
        expect(saved).toContain(`ns/s${999 + count}`);
        node.cluster.put(first as ServiceObject);
        expect(await node.sync()).toMatchObject({ quarantined: [] });
        expect(await save(host)).toContain("ns/s1000");
      },
    );

    test("empties a chain that a foreign rule keeps, and leaves it", async () => {
      const node = start();
      node.cluster.put(...crowd(family, 1, 1));
      await node.sync();
      const [, name = ""] = /^:(KUBE-SVC-[A-Z2-7]{16}) /m.exec(await save(host)) ?? [];
      expect(await runIptables(variant, family, ["-t", "nat", "-A", "OUTPUT", "-j", name])).toMatchObject({
        exitCode: 0,
      });
      node.cluster.drop(...crowd(family, 1, 1));
      await node.sync();
      expect(rulesOf(await save(host), (_, chain) => chain === name)).toEqual(new Map([[`nat ${name}`, []]]));
      expect(await node.sync("everything")).toMatchObject({ bytes: 0 });
    });
  });
});
