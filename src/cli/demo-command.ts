/**
 * The options of `demo`.
 *
 * The demo itself stands on the end-to-end harness, which is part of a checkout and not of the shipped program.
 *
 * @module
 */
import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { Command } from "commander";
import { CommandError } from "./exit.ts";

/** What the demo is asked for. */
export interface DemoOptions {
  /** Leave everything running until the demo is interrupted. */
  readonly keep: boolean;
  /** Mode of the proxies. */
  readonly mode: "iptables" | "ipvs";
  /** Variant of the iptables programs. */
  readonly variant: "nft" | "legacy";
  /** How pods are connected. */
  readonly network: DemoNetwork;
}

/** Pod networks of the demo. */
export const demoNetworks = ["bridge", "host-gw", "vxlan", "udp", "calico", "bgp"] as const;

/** One of them. */
export type DemoNetwork = (typeof demoNetworks)[number];

/** Adds the command; `done` gets its exit status. */
export function addDemoCommand(program: Command, done: (status: Promise<number>) => void): void {
  program
    .command("demo")
    .description("a two-node cluster in network namespaces, Services on it, and traffic")
    .option("--keep", "leave the cluster running until Ctrl-C", false)
    .option(
      "--mode <mode>",
      "iptables or ipvs; ipvs runs in User Mode Linux if the kernel has no IPVS",
      "iptables",
    )
    .option("--variant <variant>", "iptables programs to use: nft or legacy", "nft")
    .option("--network <network>", `how pods are connected: ${demoNetworks.join(", ")}`, "bridge")
    .action((options: { keep: boolean; mode: string; variant: string; network: string }) => {
      const { keep, mode, variant } = options;
      const network = demoNetworks.find((name) => name === options.network);
      if (mode !== "iptables" && mode !== "ipvs") {
        throw new CommandError(2, `--mode must be iptables or ipvs, not ${JSON.stringify(mode)}`);
      }
      if (variant !== "nft" && variant !== "legacy") {
        throw new CommandError(2, `--variant must be nft or legacy, not ${JSON.stringify(variant)}`);
      }
      if (network === undefined) {
        const names = demoNetworks.join(", ");
        throw new CommandError(
          2,
          `--network must be one of ${names}, not ${JSON.stringify(options.network)}`,
        );
      }
      done(runDemo({ keep, mode, variant, network }));
    });
}

async function runDemo(options: DemoOptions): Promise<number> {
  const script = demoScript();
  if (script === undefined) {
    throw new CommandError(2, "demo runs from a checkout of the project only: see its README");
  }
  const { demo } = (await import(pathToFileURL(script).href)) as {
    readonly demo: (options: DemoOptions) => Promise<number>;
  };
  return await demo(options);
}

/** Beside the sources, or beside the folder of the bundle. */
function demoScript(): string | undefined {
  const here = import.meta.dirname;
  return ["../../e2e/demo/demo.ts", "../e2e/demo/demo.ts"]
    .map((relative) => path.join(here, relative))
    .find((file) => existsSync(file));
}
