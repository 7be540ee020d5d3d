/**
 * From configuration and Node object to what each family's planner works with.
 *
 * Pure.
 *
 * @module
 */
import {
  localDetector,
  masqueradeMark,
  modeSettings,
  nodePortCidrs,
  parseCidrs,
} from "../config/effective-settings.ts";
import { type NodeAddresses, nodeAddresses } from "../config/node-addresses.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import type { ReservedAddresses } from "../ipvs/local-addresses.ts";
import { type Family, isLoopback, parseAddress, singleAddressCidr } from "../proxier/address.ts";
import { localhostNodePortsInEffect, type NodePortPolicy, nodePortPolicy } from "../proxier/node-ports.ts";
import type { NodeObject } from "../proxier/objects.ts";
import type { PlannerSettings } from "../proxier/planner.ts";
import type { ReservedAddress } from "../proxier/reserved-addresses.ts";

/** What one family works with. */
export interface FamilySettings {
  readonly planner: PlannerSettings;
  readonly nodePorts: NodePortPolicy;
}

/** The node's addresses as far as they are known. */
export function addressesOf(config: ProxyConfig, node: NodeObject | undefined): NodeAddresses {
  return nodeAddresses(config.bindAddress, node?.addresses ?? []);
}

/** Settings of one family on this node. */
export function familySettings(
  config: ProxyConfig,
  nodeName: string,
  node: NodeObject | undefined,
  family: Family,
): FamilySettings {
  const { byFamily } = addressesOf(config, node);
  const { masqueradeAll, masqueradeBit } = modeSettings(config, config.mode);
  const policy = nodePortPolicy(nodePortCidrs(config, [byFamily.IPv4, byFamily.IPv6]), family);
  const address = byFamily[family];
  return {
    nodePorts: policy,
    planner: {
      family,
      nodeName,
      detector: localDetector(config, family, node?.podCIDRs ?? []),
      masqueradeAll,
      masqueradeMark: masqueradeMark(masqueradeBit),
      nodeAddress: isLoopback(address) ? undefined : address,
      allowedExternalAddresses: parseCidrs(config.sluice.externalAddresses.allowedCIDRs),
      reservedAddresses: notClaimable(config, node),
      localhostForwarder: config.sluice.nodePorts.localhostForwarder,
      // With the forwarder no rule may translate packets to 127.0.0.0/8: they are for its sockets.
      localhostNodePorts:
        !config.sluice.nodePorts.localhostForwarder &&
        localhostNodePortsInEffect(policy, config.iptables.localhostNodePorts),
    },
  };
}

/**
 * What Services may not claim. Load-balancer addresses are written by controllers, some of which give out the nodes' own, and
 * a pod network is often described too widely: neither is kept from them.
 */
function notClaimable(config: ProxyConfig, node: NodeObject | undefined): readonly ReservedAddress[] {
  const { reservedCIDRs, allowNodeAddresses } = config.sluice.externalAddresses;
  const own = reservedAddresses(config, node);
  return [
    ...parseCidrs(reservedCIDRs).map((cidr) => ({
      cidr,
      what: `it lies in ${cidr.text}, which is reserved`,
      mayBalance: false,
    })),
    ...(allowNodeAddresses ? [] : own.node).map((address) => ({
      cidr: singleAddressCidr(address),
      what: "it is an address of this node",
      mayBalance: true,
    })),
    ...own.pods
      .filter(({ prefix }) => prefix > 0)
      .map((cidr) => ({ cidr, what: `it lies in the pod network ${cidr.text}`, mayBalance: true })),
  ];
}

/** Addresses that ipvs mode must not bind. */
export function reservedAddresses(config: ProxyConfig, node: NodeObject | undefined): ReservedAddresses {
  return {
    node: (node?.addresses ?? []).flatMap((text) => parseAddress(text) ?? []),
    pods: parseCidrs([...config.clusterCIDR, ...(node?.podCIDRs ?? [])]),
  };
}
