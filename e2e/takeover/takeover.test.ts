/**
 * A node that kube-proxy served changes hands, and goes back, while connections are made all the time.
 *
 * @module
 */
import { expect, test } from "vitest";
import { Daemon } from "../daemon/daemon.ts";
import { eventually } from "../daemon/eventually.ts";
import type { Variant } from "../harness/iptables-variant.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { generatedObjects } from "./generated.ts";
import { leaveIptables, leaveNftables, startKubeProxy } from "./kube-proxy.ts";
import { kubeProxyTables, optionsOn, rulesOf } from "./node-state.ts";
import { GoldenStage } from "./stage.ts";
import { goldenObjects } from "./testing-golden.ts";
import { expectAnswers, undisturbed } from "./traffic.ts";

const other: Readonly<Record<Variant, Variant>> = { nft: "legacy", legacy: "nft" };
const variants: readonly Variant[] = ["nft", "legacy"];
const fresh = new Map<Variant, Promise<readonly string[]>>();

/** The rules of a node on which there never was another proxy. */
function freshRules(variant: Variant): Promise<readonly string[]> {
  const made = fresh.get(variant) ?? serveFresh(variant);
  fresh.set(variant, made);
  return made;
}

async function serveFresh(variant: Variant): Promise<readonly string[]> {
  await using stage = await GoldenStage.create({ variant });
  await using _daemon = await Daemon.start(stage.node, optionsOn(stage.node, goldenObjects()));
  return await rulesOf(stage.node, variant);
}

/** Starts the daemon under load; waits until it has removed what it logs as another's, if anything is to be removed. */
async function takeOver(stage: GoldenStage, removes: boolean): Promise<Daemon> {
  const options = optionsOn(stage.node, goldenObjects());
  let daemon: Daemon | undefined;
  await undisturbed(stage, async () => {
    const started = await Daemon.start(stage.node, options);
    daemon = started;
    await eventually(
      "the removal",
      () => !removes || started.log.find("Removed what another mode left").length > 0,
    );
  });
  if (daemon === undefined) throw new Error("Cannot take a node over: no daemon was started");
  return daemon;
}

describeOnKernel("a node that kube-proxy served", { programs: ["nft", "iptables-legacy"] }, () => {
  test.each(variants)("in iptables mode (%s) is taken over and given back", async (variant) => {
    await using stage = await GoldenStage.create({ variant });
    await leaveIptables(stage.node, variant);
    const before = await rulesOf(stage.node, variant);
    await expectAnswers(stage);
    await using daemon = await takeOver(stage, false);
    expect(await rulesOf(stage.node, variant)).toEqual(await freshRules(variant));
    await undisturbed(stage, async () => {
      expect(await daemon.stop()).toBe(0);
      await startKubeProxy(stage.node, variant);
    });
    expect(await rulesOf(stage.node, variant)).toEqual(before);
  });

  test.each(variants)("in nftables mode is taken over (by iptables-%s)", async (variant) => {
    await using stage = await GoldenStage.create({ variant });
    await leaveNftables(stage.node);
    await expectAnswers(stage);
    await using _daemon = await takeOver(stage, true);
    expect(await kubeProxyTables(stage.node)).toEqual([]);
    expect(await rulesOf(stage.node, variant)).toEqual(await freshRules(variant));
  });

  test.each(variants)("in the other variant is taken over (by iptables-%s)", async (variant) => {
    await using stage = await GoldenStage.create({ variant });
    await leaveIptables(stage.node, other[variant]);
    await expectAnswers(stage);
    await using _daemon = await takeOver(stage, true);
    expect(await rulesOf(stage.node, variant)).toEqual(await freshRules(variant));
    const left = (await rulesOf(stage.node, other[variant])).filter(
      (line) => !line.includes("KUBE-FIREWALL"),
    );
    expect(left).toEqual([]);
  });

  test("with a thousand Services is taken over and given back", async () => {
    const count = 1_000;
    await using stage = await GoldenStage.create({ variant: "nft" });
    await leaveIptables(stage.node, "nft", count);
    const before = await rulesOf(stage.node, "nft");
    const options = optionsOn(stage.node, [...goldenObjects(), ...generatedObjects(count)]);
    const slow = { connections: 20, pauseMilliseconds: 30 };
    await undisturbed(
      stage,
      async () => {
        const daemon = await Daemon.start(stage.node, options);
        expect(await daemon.stop()).toBe(0);
      },
      slow,
    );
    expect((await rulesOf(stage.node, "nft")).length).toBeLessThan(before.length / 2);
    await undisturbed(stage, () => startKubeProxy(stage.node, "nft", count), slow);
    const after = await rulesOf(stage.node, "nft");
    expect(before.filter((line) => !after.includes(line))).toEqual([]);
    // kube-proxy does not look for stale chains in the table filter: branches of our trees stay, and nothing leads there.
    const left = after.filter((line) => !before.includes(line));
    expect(left.length).toBeGreaterThan(0);
    const branches = left.filter((line) => /^filter (:|-A )KUBE-(SVC|EXT|FW)-/.test(line));
    expect(branches).toEqual(left);
    expect(after.filter((line) => /^filter -A KUBE-SERVICES .*-j KUBE-/.test(line))).toEqual([]);
    expect((await Daemon.command(stage.node, ["cleanup"])).status).toBe(0);
    expect(await rulesOf(stage.node, "nft")).not.toContainEqual(expect.stringMatching(/KUBE-(SVC|SERVICES)/));
  });
});
