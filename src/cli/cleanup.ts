/**
 * `cleanup`: removes what iptables mode of this program or of kube-proxy left on the node, and nothing else.
 *
 * @module
 */
import type { LoadedStartup } from "../config/load-config.ts";
import { cleanTables } from "../iptables/cleanup.ts";
import { HostKernel } from "../iptables/host-kernel.ts";
import { usableFamilies } from "../iptables/setup.ts";
import type { Variant } from "../iptables/tools.ts";
import type { Logger } from "../operations/logger.ts";
import { families } from "../proxier/address.ts";
import { CommandError } from "./exit.ts";

/**
 * Cleans both variants and both families, whichever of them work here: leftovers do not tell where they are.
 *
 * @returns what was removed, for printing
 */
export async function cleanup(startup: LoadedStartup, log: Logger): Promise<string> {
  const wanted = startup.config.sluice.iptables.variant;
  const variants: readonly Variant[] = wanted === "auto" ? ["nft", "legacy"] : [wanted];
  let text = "";
  let failed = false;
  for (const variant of variants) {
    for (const family of await usableFamilies(variant, families)) {
      const kernel = new HostKernel(variant, family);
      try {
        const removed = await cleanTables(kernel);
        text += removed.map((what) => `removed ${variant} ${family} ${what}\n`).join("");
      } catch (error) {
        failed = true;
        const reason = error instanceof Error ? error.message : String(error);
        log.error("Cannot clean up", { variant, ipFamily: family, reason });
      } finally {
        await kernel.close();
      }
    }
  }
  if (failed) {
    throw new CommandError(1, "cleanup is incomplete");
  }
  return text === "" ? "nothing to remove\n" : text;
}
