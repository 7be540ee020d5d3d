/**
 * What flannel does whatever its backend: a bridge on each node, and rules that let pods out under their node's address.
 *
 * The rules are those of flannel 0.22 and later: chains of its own, appended to what is there.
 *
 * @module
 */
import type { CniConfiguration } from "../cni.ts";
import {
  bridge,
  hostGatewayRoutes,
  type NetworkNode,
  type NodeAddresses,
  type PodNetwork,
  withoutRoutes,
} from "../pod-network.ts";
import { podRanges, type RuleFamily, type RuleTables, writeRules } from "./rules.ts";

/** Flannel's backend host-gw: nodes on one link are each other's gateways. */
export function hostGateway(): PodNetwork {
  return {
    ...flannelBridge("host-gw", 1500),
    connect: hostGatewayRoutes,
    disconnect: withoutRoutes,
  };
}

/** All of a flannel network but how nodes reach each other's pods. `mtu` is the pods'. */
export function flannelBridge(
  name: string,
  mtu: number,
): Omit<PodNetwork, "connect" | "disconnect"> & {
  readonly start: (node: NetworkNode, others: readonly NodeAddresses[]) => Promise<void>;
} {
  const { configuration, leftovers = [] } = bridge();
  return {
    name,
    leftovers,
    configuration: (node, ipamDirectory): CniConfiguration => ({
      ...configuration(node, ipamDirectory),
      mtu,
    }),
    start: (node) => writeRules(node, (family) => startingRules(node.addresses, family)),
    stop: (node) => writeRules(node, endingRules),
  };
}

function startingRules(addresses: NodeAddresses, family: RuleFamily): RuleTables {
  const { node, cluster } = podRanges(addresses, family);
  const multicast = family.v6 ? "ff00::/8" : "224.0.0.0/4";
  return {
    nat: [
      ":FLANNEL-POSTRTG - [0:0]",
      '-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG',
      "-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -j RETURN",
      `-A FLANNEL-POSTRTG -s ${node} -d ${cluster} -j RETURN`,
      `-A FLANNEL-POSTRTG -s ${cluster} -d ${node} -j RETURN`,
      `-A FLANNEL-POSTRTG ! -s ${cluster} -d ${node} -j RETURN`,
      `-A FLANNEL-POSTRTG -s ${cluster} ! -d ${multicast} -j MASQUERADE --random-fully`,
      `-A FLANNEL-POSTRTG ! -s ${cluster} -d ${cluster} -j MASQUERADE --random-fully`,
    ],
    filter: [
      ":FLANNEL-FWD - [0:0]",
      '-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD',
      `-A FLANNEL-FWD -s ${cluster} -j ACCEPT`,
      `-A FLANNEL-FWD -d ${cluster} -j ACCEPT`,
    ],
  };
}

function endingRules(): RuleTables {
  return {
    nat: [
      '-D POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG',
      "-F FLANNEL-POSTRTG",
      "-X FLANNEL-POSTRTG",
    ],
    filter: [
      '-D FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD',
      "-F FLANNEL-FWD",
      "-X FLANNEL-FWD",
    ],
  };
}
