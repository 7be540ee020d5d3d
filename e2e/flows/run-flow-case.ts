/**
 * Runs a case with real packets: builds its stage, lets the rules under test be made on its node, sends the packets of
 * its flows and says what became of them.
 *
 * @module
 */
import { readdirSync, writeFileSync } from "node:fs";
import { type Flow, type FlowCase, flowsFor } from "../cases/cases.ts";
import type { CommandOptions, CommandResult } from "../harness/command.ts";
import type { Variant } from "../harness/iptables-variant.ts";
import type { Namespace } from "../harness/namespace.ts";
import { type Mode, proxyConfiguration, writeManifests } from "./case-files.ts";
import { sameFates, samplesFor, wantedFates } from "./fate.ts";
import { PacketSender } from "./packets.ts";
import { buildStage } from "./stage.ts";

/** What the rules are to be made from, and where. */
export interface FlowContext {
  readonly flowCase: FlowCase;
  readonly mode: Mode;
  readonly variant: Variant;
  /** The node. Commands run in it directly must be given `env`. */
  readonly node: Namespace;
  readonly env: Readonly<Record<string, string>>;
  /** Folder with the case's objects, the Node among them. */
  readonly manifests: string;
  /** KubeProxyConfiguration file. */
  readonly config: string;
  /** Runs a command on the node, with `env`. */
  exec(argv: readonly string[], options?: CommandOptions): Promise<CommandResult>;
}

/** How to run a case. */
export interface FlowOptions {
  /** Which iptables the node announces. */
  readonly variant: Variant;
  /** Which flows are meant, and what the configuration file says; "iptables" unless told. */
  readonly mode?: Mode;
  /** Makes the rules; they must be in place when it resolves. */
  readonly apply: (context: FlowContext) => Promise<void>;
  /**
   * Makes the kernel forget which client went where, as before each packet of a Service with session affinity. Unless
   * told: empties the lists of iptables' `recent` match.
   */
  readonly forgetAffinity?: (node: Namespace) => Promise<void> | void;
}

/** What became of one flow. Fates are texts, see fate.ts; both lists are sorted. */
export interface FlowResult {
  readonly flow: Flow;
  readonly got: readonly string[];
  readonly want: readonly string[];
  readonly ok: boolean;
}

const RECENT = "/proc/thread-self/net/xt_recent";

/** Empties the `recent` lists of a node: the file of each takes "/" for that. */
export function clearRecentLists(node: Namespace): void {
  node.enter(() => {
    for (const list of listRecent()) writeFileSync(`${RECENT}/${list}`, "/\n");
  });
}

function listRecent(): readonly string[] {
  try {
    return readdirSync(RECENT);
  } catch {
    return []; // the kernel has not loaded the match
  }
}

/**
 * Runs the flows of `flowCase` that speak about the mode. Every flow is tried often enough that an endpoint too few,
 * or one too many, has a chance of one in 10^9 to go unnoticed, if it is as likely as the others.
 *
 * Throws when the stage cannot be built or `apply` throws; what the flows give is never an error.
 */
export async function runFlowCase(flowCase: FlowCase, options: FlowOptions): Promise<readonly FlowResult[]> {
  const { variant, mode = "iptables", apply } = options;
  await using stage = await buildStage(flowCase, variant);
  const { node, env, scratch } = stage;
  const manifests = scratch.file("manifests");
  const config = scratch.file("config.yaml");
  writeManifests(flowCase, manifests);
  writeFileSync(config, JSON.stringify(proxyConfiguration(flowCase, mode), undefined, 2)); // JSON is YAML
  const exec: FlowContext["exec"] = (argv, more = {}) =>
    node.exec(argv, { ...more, env: { ...env, ...more.env } });
  await apply({ flowCase, mode, variant, node, env, manifests, config, exec });

  using sender = new PacketSender(stage);
  const flows = flowsFor(flowCase, mode === "nftables" ? "nftables" : "iptables");
  const sticky = flowCase.services.some(({ spec }) => spec?.sessionAffinity === "ClientIP");
  const got = sticky ? await sendApart(sender, flows, node, options) : await sendTogether(sender, flows);
  return flows.map((flow, index) => {
    const want = wantedFates(flow.expect);
    const fates = got[index] ?? new Set<string>();
    return { flow, got: [...fates].sort(), want: [...want].sort(), ok: sameFates(fates, want) };
  });
}

function samplesOf(flow: Flow): number {
  return samplesFor(wantedFates(flow.expect).size);
}

function sendTogether(sender: PacketSender, flows: readonly Flow[]): Promise<readonly ReadonlySet<string>[]> {
  return sender.send(flows.map((route) => ({ route, count: samplesOf(route) })));
}

/** Packet by packet, each with nothing remembered of those before it. Only what reaches an endpoint is remembered. */
async function sendApart(
  sender: PacketSender,
  flows: readonly Flow[],
  node: Namespace,
  { forgetAffinity = clearRecentLists }: FlowOptions,
): Promise<readonly ReadonlySet<string>[]> {
  const results: ReadonlySet<string>[] = [];
  for (const route of flows) {
    if (typeof route.expect.endpoints === "string") {
      await forgetAffinity(node);
      results.push(...(await sender.send([{ route, count: samplesOf(route) }])));
      continue;
    }
    const fates = new Set<string>();
    for (let sample = 0; sample < samplesOf(route); sample++) {
      await forgetAffinity(node);
      const [met = []] = await sender.send([{ route, count: 1 }]);
      for (const fate of met) fates.add(fate);
    }
    results.push(fates);
  }
  return results;
}
