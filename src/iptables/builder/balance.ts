/**
 * What IPVS does with a packet at the hooks INPUT and OUTPUT.
 *
 * The caller has the virtual servers; here is what becomes of the packet: it goes to a real server, or is refused where
 * there is none that takes it. IPVS translates in its own way: connection tracking does not count it as DNAT.
 *
 * @module
 */
import { addressBytes, formatAddress, splitHostPort } from "./address.ts";
import { type Branch, isLocal, type TracedNode } from "./packet.ts";
import type { Exit } from "./walk.ts";

/** Splits the branch over the real servers. What IPVS has no virtual server for, or has seen already, goes on as it is. */
export function balance(branch: Branch, node: TracedNode): readonly Exit[] {
  const balanced = branch.balanced === undefined ? node.balance?.(keyOf(branch)) : undefined;
  if (balanced === undefined) {
    return [{ how: "accept", branch }];
  }
  const { server, targets } = balanced;
  if (targets.length === 0) {
    return [{ how: "reject", branch: noted(branch, `ipvs: ${server} has no real server`) }];
  }
  return targets.map(({ to, probability }) => {
    const { address, port } = splitHostPort(to) ?? { address: to, port: branch.destinationPort };
    const destination = addressBytes(address);
    const here = isLocal(destination, node);
    const sent: Branch = {
      ...noted(branch, `ipvs: ${server} -> ${to}`),
      probability: branch.probability * probability,
      destination,
      destinationPort: port,
      dnat: to,
      balanced: here ? "here" : "elsewhere",
    };
    return { how: here ? "accept" : "balance", branch: sent };
  });
}

function keyOf({
  mark,
  source,
  destination,
  protocol,
  destinationPort,
}: Branch): Parameters<NonNullable<TracedNode["balance"]>>[0] {
  return {
    mark,
    source: formatAddress(source),
    destination: formatAddress(destination),
    protocol,
    destinationPort,
  };
}

function noted(branch: Branch, text: string): Branch {
  return { ...branch, trace: { text, table: "ipvs", chain: "", rule: undefined, before: branch.trace } };
}
