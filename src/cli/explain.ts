/**
 * `explain`: what happens to the first packet of a connection.
 *
 * @module
 */
import { stringify } from "yaml";
import type { Startup } from "../config/load-config.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { type Connection, parseConnection } from "../inspect/connection.ts";
import { explain, modeOf } from "../inspect/explain.ts";
import type { Explanation } from "../inspect/explanation.ts";
import type { ReadNode } from "../inspect/read-node.ts";
import { say } from "../inspect/say.ts";
import { systemClock } from "../kube/clock.ts";
import { errorText, type Logger } from "../operations/logger.ts";
import { isLoopback } from "../proxier/address.ts";
import type { ClusterState } from "../proxier/cluster-state.ts";
import { CommandError } from "./exit.ts";
import type { ExplainOptions } from "./explain-options.ts";
import { objectsView, type PlannedObjects } from "./objects-view.ts";
import { assumedAddresses, readManifests } from "./read-manifests.ts";

type RunStartup = Extract<Startup, { action: "run" }>;

/**
 * Answers, as text.
 *
 * @throws CommandError for what cannot be asked, and when this node cannot be read
 */
export async function explainConnection(
  startup: RunStartup,
  options: ExplainOptions,
  log: Logger,
): Promise<string> {
  const connection = readConnection(options);
  const { manifests } = startup.process;
  const explanation =
    manifests !== undefined && !options.live
      ? explainOffline(startup, await readManifests(manifests, startup.nodeName, log), connection)
      : await explainLive(startup, connection, log);
  return printed(explanation, options.output);
}

function readConnection(options: ExplainOptions): Connection {
  try {
    return parseConnection(options);
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new CommandError(2, error.message, { cause: error });
    }
    throw error;
  }
}

function printed(explanation: Explanation, output: ExplainOptions["output"]): string {
  switch (output) {
    case "text":
      return say(explanation);
    case "json":
      return `${JSON.stringify(explanation, undefined, 2)}\n`;
    case "yaml":
      return stringify(explanation);
  }
}

function explainOffline(
  { config, nodeName }: RunStartup,
  state: ClusterState,
  connection: Connection,
): Explanation {
  const objects = objectsView(config, nodeName, state, connection.family, assumedAddresses(state));
  return explain({ connection, objects, kernel: undefined, notes: interfaceNotes(connection, objects) });
}

/** Offline no route tells by which interface a pod's packets come in. */
function interfaceNotes({ via }: Connection, { plan }: PlannedObjects): readonly string[] {
  const { detector } = plan.node;
  if (via !== undefined || detector === undefined || detector.kind === "cidr") {
    return [];
  }
  const name = detector.kind === "bridge" ? detector.name : `${detector.prefix}…`;
  return [
    `Pods are told by the interface ${name}; without --via the packet is taken to come in by another one.`,
  ];
}

async function explainLive(startup: RunStartup, asked: Connection, log: Logger): Promise<Explanation> {
  if (process.getuid?.() !== 0) {
    throw new CommandError(
      2,
      "explain reads this node's kernel and needs root for that; --manifests DIR does not",
    );
  }
  const { config, nodeName } = startup;
  const node = await readKernel(config, asked);
  const via = asked.via ?? node.interfaceTo(asked.from);
  const connection = { ...asked, via };
  const mode = modeOf(node.state);
  const { state, note } = await readObjects(startup, log);
  const notes = [...node.notes, ...modeNotes(startup, mode), ...note];
  const objects =
    state === undefined
      ? undefined
      : objectsView(
          mode === "none" ? config : { ...config, mode },
          nodeName,
          state,
          asked.family,
          node.ownAddresses,
        );
  const { findListener } = await import("../inspect/host-listeners.ts");
  const isLocal = isLoopback(asked.to);
  const listener = isLocal ? findListener(asked.protocol, asked.to, asked.port) : undefined;
  if (isLocal && objects === undefined && config.sluice.nodePorts.localhostForwarder) {
    notes.push(
      "Which Service a port of localhost belongs to that kube-sluice serves itself (localhostForwarder), only objects tell.",
    );
  }
  return explain({ connection, objects, kernel: node.state, notes, listener });
}

async function readKernel(config: ProxyConfig, { family }: Connection): Promise<ReadNode> {
  const { readNode } = await import("../inspect/read-node.ts");
  try {
    return await readNode(family, config.sluice.iptables.variant);
  } catch (error) {
    throw new CommandError(1, errorText(error), { cause: error });
  }
}

/** Only a mode that somebody has chosen can be another one than the kernel's. */
function modeNotes(
  { config, flags, process: options }: RunStartup,
  mode: Explanation["mode"],
): readonly string[] {
  const isChosen = options.configFile !== undefined || flags.given.has("proxy-mode");
  return !isChosen || mode === "none" || mode === config.mode
    ? []
    : [`The configuration asks for ${config.mode} mode, and the kernel holds the rules of ${mode} mode.`];
}

/** How long the API server has to answer. */
const objectsMs = 10_000;

async function readObjects(
  startup: RunStartup,
  log: Logger,
): Promise<{ readonly state: ClusterState | undefined; readonly note: readonly string[] }> {
  const { manifests } = startup.process;
  if (manifests !== undefined) {
    return { state: await readManifests(manifests, startup.nodeName, log), note: [] };
  }
  const { collectObjects, hasSource } = await import("./collect-objects.ts");
  if (!hasSource(startup, process.env)) {
    return {
      state: undefined,
      note: ["No objects were read: --kubeconfig or --manifests adds the reasons of endpoints, and drift."],
    };
  }
  try {
    const { state } = await collectObjects(startup, startup.nodeName, systemClock, objectsMs);
    return { state, note: [] };
  } catch (error) {
    return {
      state: undefined,
      note: [`The objects cannot be read, so this is what the kernel holds alone: ${errorText(error)}.`],
    };
  }
}
