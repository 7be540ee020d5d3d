/**
 * Calls CNI plugins as a container runtime does (CNI specification 1.0.0): the configuration on standard input, the
 * parameters in the environment, a result or an error as JSON on standard output.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CommandError } from "./command.ts";
import type { Namespace } from "./namespace.ts";

/** Where the plugins are: as for any runtime the variable CNI_PATH, else where Debian puts them. */
export const cniDirectory: string = process.env["CNI_PATH"] ?? "/usr/lib/cni";

/** A network configuration; `type` names the plugin. */
export interface CniConfiguration {
  readonly cniVersion: string;
  readonly name: string;
  readonly type: string;
  readonly [key: string]: unknown;
}

/** What an ADD gave: addresses with their prefix lengths. */
export interface CniResult {
  readonly ips: readonly { readonly address: string; readonly gateway?: string }[];
}

/** One attachment of a pod to a network. */
export interface Attachment {
  /** Where the plugin runs: the host side. */
  readonly node: Namespace;
  readonly pod: Namespace;
  readonly containerId: string;
  readonly configuration: CniConfiguration;
  /** Added to the plugin's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Attaches the pod by `eth0`. Throws with the plugin's own message. */
export async function cniAdd(attachment: Attachment): Promise<CniResult> {
  return JSON.parse(await callPlugin("ADD", attachment));
}

/** Detaches the pod. A pod that is not attached is no error: the specification asks plugins for that. */
export async function cniDelete(attachment: Attachment): Promise<void> {
  await callPlugin("DEL", attachment);
}

async function callPlugin(command: "ADD" | "DEL", attachment: Attachment): Promise<string> {
  const { node, pod, containerId, configuration } = attachment;
  const plugin = join(cniDirectory, configuration.type);
  if (!existsSync(plugin)) {
    throw new Error(
      `Cannot attach pods: there is no CNI plugin ${plugin} (Debian: containernetworking-plugins)`,
    );
  }
  const env = {
    ...attachment.env,
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerId,
    CNI_NETNS: pod.path,
    CNI_IFNAME: "eth0",
    CNI_PATH: cniDirectory,
  };
  try {
    const { stdout } = await node.exec([plugin], { env, input: JSON.stringify(configuration) });
    return stdout;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new Error(`Cannot ${command} pod ${containerId} with CNI plugin ${configuration.type}`, {
      cause: error,
    });
  }
}
