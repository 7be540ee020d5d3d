/**
 * `cleanup`: removes what any mode of this program or of kube-proxy left on the node, and nothing else.
 *
 * @module
 */
import { parseCidrs } from "../config/effective-settings.ts";
import type { LoadedStartup } from "../config/load-config.ts";
import type { CleanReport } from "../iptables/cleanup.ts";
import type { Logger } from "../operations/logger.ts";
import { families } from "../proxier/address.ts";
import { attempt, cleanVariant } from "./clean-chains.ts";
import { CommandError } from "./exit.ts";
import { cleanAffinitySets, cleanIpvs } from "./host-cleanup.ts";
import { removeKubeProxyTables } from "./kube-proxy-tables.ts";
import { requireCapabilities } from "./own-process.ts";

/**
 * Cleans both variants and both families, whichever of them are in use here: leftovers do not tell where they are. Rules
 * come first, because sets and virtual servers are what they name.
 *
 * @param print takes what was removed, step by step
 * @throws CommandError when something could not be removed
 */
export async function cleanup(
  startup: LoadedStartup,
  log: Logger,
  print: (text: string) => void,
): Promise<void> {
  const { config } = startup;
  requireCapabilities();
  const steps: readonly (() => Promise<CleanReport>)[] = [
    () => cleanVariant("nft"),
    () => cleanVariant("legacy"),
    () => Promise.resolve(removeKubeProxyTables()),
    () => cleanIpvs(parseCidrs(config.ipvs.excludeCIDRs)),
    ...families.map((family) => () => cleanAffinitySets(family)),
  ];
  let count = 0;
  let failed = false;
  for (const step of steps) {
    const { removed, failures } = await attempt(step);
    count += removed.length;
    print(removed.map((what) => `removed ${what}\n`).join(""));
    for (const reason of failures) {
      failed = true;
      log.error("Cannot clean up", { reason });
    }
  }
  if (failed) {
    throw new CommandError(1, "cleanup is incomplete");
  }
  if (count === 0) {
    print("nothing to remove\n");
  }
}
