/**
 * The edges of `src/iptables` against the iptables programs of this machine: which variant, what they can do, the
 * long-lived writer, reading back; and a node that kube-proxy leaves to us.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { IptablesBackend } from "../src/iptables/backend.ts";
import { HostKernel } from "../src/iptables/host-kernel.ts";
import type { KnownChains } from "../src/iptables/known-chains.ts";
import { RestoreError } from "../src/iptables/restore-error.ts";
import { acceptsSets, chooseLayout, usableFamilies } from "../src/iptables/setup.ts";
import { detectVariant, readKernel, restoreCommand, runIptables, ToolError } from "../src/iptables/tools.ts";
import { families } from "../src/proxier/address.ts";
import { PlannedCluster, service, slice } from "../src/proxier/testing.ts";
import { runCommand } from "./harness/command.ts";
import { describeOnKernel } from "./harness/requirements.ts";
import { flush, hosts, inOwnNamespace, neededPrograms, save, variants } from "./iptables-host.ts";

const fixtures = new URL("../src/iptables/builder/fixtures/", import.meta.url);

/** What kube-proxy left in IPv4, without the counters that this kernel may not have. */
const leftovers = readdirSync(fixtures)
  .filter((name) => name.endsWith(".ipv4.save") && !name.startsWith("foreign-"))
  .map((name) => ({
    name,
    text: readFileSync(new URL(name, fixtures), "utf8").replaceAll(/ -m nfacct --nfacct-name +\S+/g, ""),
  }));

function chainNames(known: KnownChains): readonly string[] {
  return (["nat", "filter"] as const)
    .flatMap((table) => [...known.names(table)].map((name) => `${table} ${name}`))
    .sort();
}

describeOnKernel("the iptables programs", { programs: neededPrograms }, () => {
  inOwnNamespace();

  beforeEach(async () => {
    for (const host of hosts) {
      await flush(host);
    }
  });

  describe("detectVariant()", () => {
    test.each(variants)("finds kubelet's chain in the tables of %s", async (variant) => {
      await runIptables(variant, "IPv6", ["-t", "mangle", "-N", "KUBE-IPTABLES-HINT"]);
      expect(await detectVariant()).toBe(variant);
    });

    test("takes nft when kubelet has not been here", async () => {
      expect(await detectVariant()).toBe("nft");
    });
  });

  test.each(variants)("usableFamilies() are both, of %s", async (variant) => {
    expect(await usableFamilies(variant, families)).toEqual(families);
  });

  test("the long-lived writer of legacy takes a block that comes slowly, and outlives it", async () => {
    // Whoever limits the wait for the lock is ended by the limit, with the lock or without it.
    const limitMs = 5_000;
    const { file, args } = restoreCommand("legacy", "IPv4");
    const writer = spawn(file, args, { stdio: ["pipe", "ignore", "inherit"] });
    const ended = once(writer, "close");
    writer.stdin.write("*nat\n:KUBE-SLOW-A - [0:0]\n");
    await sleep(limitMs + 1_000);
    writer.stdin.end(":KUBE-SLOW-B - [0:0]\nCOMMIT\n*nat\n:KUBE-SLOW-C - [0:0]\nCOMMIT\n");
    expect(await ended).toEqual([0, null]);
    const text = await save({ variant: "legacy", family: "IPv4" });
    for (const name of ["A", "B", "C"]) expect(text).toContain(`:KUBE-SLOW-${name} `);
  });

  describe.each(hosts)("on $variant $family", (host) => {
    const { variant, family } = host;

    test("chooseLayout() finds that the kernel compares addresses, and leaves nothing behind", async () => {
      const before = await save(host);
      expect(await chooseLayout("auto", variant, family)).toBe("lean");
      expect((await save(host)).match(/^:.* -.*$/gm)).toEqual(before.match(/^:.* -.*$/gm));
    });

    test("acceptsSets() finds that rules take sets, and leaves nothing behind, also the second time", async () => {
      expect(await acceptsSets(variant, family)).toBe(true);
      expect(await acceptsSets(variant, family)).toBe(true);
      expect(await save(host)).not.toContain("PROBE");
      // nf_tables lets go of a set only a moment after the rule; the keeper of affinity removes what it finds.
      await expect
        .poll(() => runCommand(["ipset", "destroy"], { anyStatus: true }))
        .toMatchObject({ status: 0 });
    });

    describe("HostKernel.write()", () => {
      let kernel: HostKernel;

      beforeEach(() => {
        kernel = new HostKernel(variant, family);
      });
      afterEach(() => kernel.close());

      const block = "*nat\n:KUBE-SVC-A - [0:0]\n-A KUBE-SVC-A -j RETURN\nCOMMIT\n";
      const large = "-A KUBE-SVC-A -p tcp -m tcp --dport 80 -j RETURN\n".repeat(5_000);

      test("keeps one program", async () => {
        await kernel.write([block]);
        const { writerPid } = kernel;
        expect(writerPid).toBeGreaterThan(0);
        await kernel.write([block, block]);
        expect(kernel.writerPid).toBe(writerPid);
      });

      test("starts another program when the last one has ended meanwhile", async () => {
        await kernel.write([block]);
        const pid = kernel.writerPid ?? 0;
        process.kill(pid, "SIGKILL");
        await expect.poll(() => kernel.writerPid).toBeUndefined();
        await kernel.write(["*nat\n:KUBE-SVC-B - [0:0]\nCOMMIT\n"]);
        expect(await kernel.hasChain("nat", "KUBE-SVC-B")).toBe(true);
      });

      test("names the refused line of an input that the program never read to its end", async () => {
        await kernel.write([block]);
        const refused = "*nat\n:KUBE-SVC-A - [0:0]\n-A KUBE-SVC-A --nonsense\n";
        const error = await kernel.write([refused, large, large, large, large]).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        expect(error).toBeInstanceOf(RestoreError);
        expect(error).toMatchObject({ code: "rejected", line: 3 });
      });

      test("takes an input that is larger than any pipe", async () => {
        await kernel.write(["*nat\n:KUBE-SVC-A - [0:0]\n", large, "COMMIT\n"]);
        expect((await kernel.read()).get("nat", "KUBE-SVC-A")?.rules).toBe(5_000);
      });
    });
  });

  test("readKernel() refuses a table that only nft can read", async () => {
    await runIptables("nft", "IPv4", ["-t", "nat", "-N", "KUBE-SVC-A"]);
    await runCommand(["nft", "add rule ip nat KUBE-SVC-A ct state new accept"]);
    await expect(readKernel("nft", "IPv4")).rejects.toThrow(ToolError);
    await expect(readKernel("nft", "IPv4")).rejects.toThrow("table nat holds what iptables cannot express");
    expect(chainNames(await readKernel("legacy", "IPv4"))).toEqual([]);
  });

  describe.each(variants)("a node that kube-proxy leaves to us, in %s", (variant) => {
    test.each(leftovers)("is as one that it has never been on: $name", async ({ text }) => {
      const host = { variant, family: "IPv4" } as const;
      const program = async (): Promise<KnownChains> => {
        const cluster = new PlannedCluster().put(service(), slice(["10.244.1.1", "10.244.1.2"]));
        const change = cluster.planner.take();
        const kernel = new HostKernel(variant, "IPv4");
        const settings = { layout: "lean", dropInvalid: true } as const;
        const backend = new IptablesBackend(cluster.planner.plan.node, settings, kernel);
        expect(await backend.sync(cluster.planner.plan, change)).toMatchObject({ quarantined: [] });
        const known = await kernel.read();
        await backend.close();
        return known;
      };
      const fresh = await program();
      await flush(host);
      await runCommand([`xtables-${variant}-multi`, "iptables-restore"], { input: text });
      expect(await save(host)).toContain(":KUBE-SEP-");
      const taken = await program();
      expect(chainNames(taken)).toEqual(chainNames(fresh));
      for (const table of ["nat", "filter"] as const) {
        for (const name of fresh.names(table)) {
          expect(taken.get(table, name), `${table} ${name}`).toEqual(fresh.get(table, name));
        }
      }
    });
  });
});
