/**
 * Reads a folder of manifests once, for the commands that print what they would come to.
 *
 * @module
 */
import { ManifestSource } from "../kube/manifest-source.ts";
import type { Logger } from "../operations/logger.ts";
import { type Address, parseAddress } from "../proxier/address.ts";
import { ClusterState } from "../proxier/cluster-state.ts";
import type { Problem } from "../proxier/objects.ts";
import { ClusterFeed } from "./cluster-feed.ts";
import { CommandError } from "./exit.ts";
import { localAddresses } from "./local-addresses.ts";

/**
 * Reads the folder. What is wrong with objects is logged, each once.
 *
 * @throws CommandError when there is no such folder
 */
export async function readManifests(folder: string, nodeName: string, log: Logger): Promise<ClusterState> {
  const state = new ClusterState();
  const feed = new ClusterFeed(state, {
    onComplete: () => {},
    onNode: () => {},
    onEvent: () => {},
    onProblems: (_, problems) => warnOfProblems(log, problems),
    onLog: (_, message, fields) => log.warning(message, fields),
  });
  const source = new ManifestSource({ folder, nodeName, once: true });
  try {
    await source.start(feed, new AbortController().signal);
  } catch (error) {
    throw new CommandError(2, error instanceof Error ? error.message : String(error), { cause: error });
  }
  return state;
}

/** The addresses of the Node object if there are any: the answer may be meant for another host than this one. */
export function assumedAddresses(state: ClusterState): readonly Address[] {
  const ofNode = (state.node?.addresses ?? []).flatMap((text) => parseAddress(text) ?? []);
  const loopback = ["127.0.0.1", "::1"].flatMap((text) => parseAddress(text) ?? []);
  return ofNode.length > 0 ? [...ofNode, ...loopback] : localAddresses();
}

const told = new Set<string>();

/** Logs problems that were not logged before. */
export function warnOfProblems(log: Logger, problems: readonly Problem[]): void {
  for (const { kind, object, field, message } of problems) {
    const key = JSON.stringify([kind, object, field, message]);
    if (!told.has(key)) {
      told.add(key);
      log.warning("Problem with an object", { kind, object, field, problem: message });
    }
  }
}
