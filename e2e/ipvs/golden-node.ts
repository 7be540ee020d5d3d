/**
 * The node of the recordings in the guest: how it is served, and what it holds.
 *
 * @module
 */
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { Daemon, type DaemonOptions } from "../daemon/daemon.ts";
import { eventually } from "../daemon/eventually.ts";
import { Manifests } from "../daemon/manifests.ts";
import { rulesOf } from "../takeover/node-state.ts";
import { GoldenStage } from "../takeover/stage.ts";
import { goldenObjects } from "../takeover/testing-golden.ts";
import type { Amount } from "../takeover/traffic.ts";

/** The guest is slow, and slower yet beside others. */
const patience = { timeoutMilliseconds: 60_000 };

/** A stage with a folder of manifests. Valid while a test runs. */
export class GoldenNode {
  #stage: GoldenStage | undefined;
  #manifests: Manifests | undefined;

  /** Defines the hooks that build it once and take it down. */
  constructor() {
    beforeAll(async () => {
      this.#stage = await GoldenStage.create({ network: 78, variant: "legacy" });
      this.#manifests = new Manifests(join(this.node.directory, "manifests"), [this.node]);
      this.manifests.set(goldenObjects());
    });
    afterAll(() => this.#stage?.[Symbol.asyncDispose]());
  }

  get stage(): GoldenStage {
    if (this.#stage === undefined) throw new TypeError("Cannot use the stage: no test is running");
    return this.#stage;
  }

  get node(): GoldenStage["node"] {
    return this.stage.node;
  }

  get manifests(): Manifests {
    if (this.#manifests === undefined) throw new TypeError("Cannot use manifests: no test is running");
    return this.#manifests;
  }

  /** Few connections, far apart. */
  get amount(): Amount {
    const { outside, pod } = this.stage;
    return {
      connections: 3,
      pauseMilliseconds: 200,
      intervalMilliseconds: 200,
      routes: [
        { sender: pod, ip: "10.96.10.1", port: 80 },
        { sender: outside, ip: this.node.ip, port: 30_080 },
        { sender: pod, ip: "10.96.10.12", port: 53, protocol: "UDP" },
      ],
    };
  }

  options(mode: "iptables" | "ipvs", drainTimeout = "15m"): DaemonOptions {
    const sluice = { iptables: { variant: "legacy" }, ipvs: { drainTimeout } };
    return {
      from: { manifests: this.manifests.path },
      config: { mode, sluice, clusterCIDR: "10.128.0.0/9" },
    };
  }

  /** Starts the daemon, and waits until both families are served and, if something is to be removed, until it is. */
  async serve(mode: "iptables" | "ipvs", removes: boolean, drainTimeout?: string): Promise<Daemon> {
    const daemon = Daemon.launch(this.node, this.options(mode, drainTimeout));
    await daemon.ready();
    if (removes) {
      await eventually(
        `the removal by ${mode} mode`,
        () => daemon.log.find("Removed what another mode left").length > 0,
        patience,
      );
    }
    return daemon;
  }

  /** Empties the node. @returns what was printed */
  async cleanUp(): Promise<string> {
    const { status, stdout, stderr } = await Daemon.command(this.node, ["cleanup"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return stdout;
  }

  /** Rules, virtual servers, sets and addresses, but for the chain that is kubelet's as well. */
  async state(): Promise<readonly string[]> {
    const rules = await rulesOf(this.node, "legacy");
    const servers = await this.#lines("ipvsadm", "-Sn");
    const sets = await this.#lines("ipset", "save");
    const addresses = await this.#lines("ip", "-o", "addr", "show");
    const links = await this.#lines("ip", "-o", "link");
    const all = [
      ...rules.filter((line) => !line.includes("KUBE-FIREWALL")),
      ...servers,
      ...sets.map((line) => line.replace(/ (hashsize|bucketsize|initval) \S+/g, "")),
      ...addresses.flatMap((line) => /kube-ipvs0 +inet6? (\S+)/.exec(line)?.[1] ?? []),
      ...links.filter((line) => line.includes("kube-ipvs0")).map(() => "kube-ipvs0"),
    ];
    // The folder's marker has another port after each change.
    return all.filter((line) => !line.includes("10.111.0.1") && !line.includes("fd00:10:111::1"));
  }

  /** Expects a state; tells only of lines that differ. */
  async expectState(expected: readonly string[]): Promise<void> {
    const state = await this.state();
    const differences = [
      ...state.filter((line) => !expected.includes(line)).map((line) => `+ ${line}`),
      ...expected.filter((line) => !state.includes(line)).map((line) => `- ${line}`),
    ];
    expect(differences, differences.join("\n")).toEqual([]);
    expect(state).toEqual(expected);
  }

  async #lines(...argv: readonly string[]): Promise<readonly string[]> {
    return (await this.node.exec(argv)).stdout.split("\n").toSorted();
  }
}
