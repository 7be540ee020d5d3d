/**
 * What a node in iptables mode does with the first packet of a connection, derived from Kubernetes objects alone.
 *
 * This is the oracle for tests of the product. It is a reading of the Kubernetes documentation and of kube-proxy's
 * observable behaviour ("Virtual IPs and Service Proxies" in the Kubernetes reference and the KEPs named along the way),
 * written to be checked by eye: every rule is a small function with the rule in front of it, nothing is cached, and
 * every packet is judged by looking at everything. It shares no code with the product, or it could not contradict it.
 *
 * Out of its sight: session affinity (it picks one of the possible endpoints and never adds any), established
 * connections, and an endpoint whose address and port is itself the destination of a Service.
 *
 * @module
 */
import { parseAddressOf } from "./address.ts";
import type { Cluster, Packet, Verdict } from "./cluster.ts";
import { filter } from "./filtering.ts";
import { translate } from "./translation.ts";
import { readWorld } from "./world.ts";

/** What happens to `packet` in `cluster`. Packets of the family that is not looked at give `none`. */
export function verdict(cluster: Cluster, packet: Packet): Verdict {
  return oracle(cluster)(packet);
}

/** {@link verdict} for many packets in one cluster. */
export function oracle(cluster: Cluster): (packet: Packet) => Verdict {
  const world = readWorld(cluster);
  const { ipFamily } = cluster.config;
  return ({ sourceIP, destIP, protocol, destPort, inputInterface }) => {
    const source = parseAddressOf(ipFamily, sourceIP);
    const destination = parseAddressOf(ipFamily, destIP);
    if (source === undefined || destination === undefined) return { kind: "none" };
    const origin = inputInterface === undefined ? { source } : { source, inputInterface };
    const packet = { ...origin, destination, protocol, port: destPort };
    return translate(world, packet) ?? filter(world, packet) ?? { kind: "none" };
  };
}
