/**
 * Takes the rules for node ports on localhost away, where another mode does not want them any more.
 *
 * @module
 */
import { tableBlock } from "./builder/render.ts";
import { deleteChains } from "./cleanup.ts";
import type { IptablesKernel } from "./kernel.ts";
import { isLocalhostChain, localhostChain } from "./rule-part.ts";

/**
 * Removes them, if they are there. Nothing may lead to them any more; a chain that somebody else's rule leads to is emptied
 * and stays. `KUBE-FIREWALL` is kubelet's as well and stays.
 *
 * @param kernel whose chains are those of the part
 * @throws Error when the kernel cannot be read or written
 */
export async function removeLocalhostRules(
  kernel: Pick<IptablesKernel, "hasChain" | "read" | "write">,
): Promise<void> {
  if (!(await kernel.hasChain("nat", localhostChain))) {
    return;
  }
  const chains = [...(await kernel.read()).names("nat")].filter(isLocalhostChain).sort();
  if (chains.length > 0) {
    await kernel.write([
      tableBlock(
        "nat",
        chains.map((name) => `:${name} - [0:0]`),
      ),
    ]);
    await deleteChains(kernel, "nat", chains);
  }
}
