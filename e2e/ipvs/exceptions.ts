/**
 * Packets whose fate in ipvs mode cannot be that of iptables mode, each with the kernel's reason and what happens instead.
 *
 * @module
 */

/** A group of flows for which the kernel leaves no choice. */
export interface KernelException {
  readonly reason: string;
  /** What becomes of the packets, as `fate.ts` says it. */
  readonly fate: string;
  /** Names of flows, by case. */
  readonly flows: Readonly<Record<string, readonly string[]>>;
}

/** All of them. */
export const kernelExceptions: readonly KernelException[] = [
  {
    reason:
      "A Service's address is an address of this node here, and the kernel forwards no packet to itself: one for a port " +
      "without a Service ends on the node, which refuses it lest it reach something else that listens. In iptables mode it " +
      "goes where the route says; kube-proxy's nftables mode refuses it likewise.",
    fate: "REJECT",
    flows: {
      "cluster-ip-general": ["TCP-only port does not match UDP traffic", "svc1 does not accept svc2's ports"],
      "nodeport-not-on-cluster-ip": ["nodePort number on ClusterIP"],
    },
  },
];

/** What becomes of a flow's packets for the kernel's reasons; undefined when the case's word holds. */
export function exceptionalFate(flowCase: string, flow: string): string | undefined {
  return kernelExceptions.find(({ flows }) => flows[flowCase]?.includes(flow))?.fate;
}

/**
 * Flows of clients that are to stay where they were. In iptables mode the first choice is made at random; here it is made by
 * the client's address, so that one client sees one of the endpoints, whichever address of the Service it uses.
 */
export const chosenByAddress: Readonly<Record<string, readonly string[]>> = {
  "session-affinity-does-not-change-first-packet": ["no affinity entry yet"],
};
