/**
 * The pod network beside which the proxy runs, recognised by its links, routes and chains, and the traps that each kind
 * has for Services.
 *
 * @module
 */
import { parseKernelVersion } from "../../ipvs/sysctls.ts";
import { type Cidr, cidrContains } from "../../proxier/address.ts";
import { isOfPods } from "./bridge-findings.ts";
import type { Facts, LinkFact, RouteFact } from "./facts.ts";
import { type Finding, finding, notSeen, someOf } from "./finding.ts";

/** Bytes that a tunnel puts around a packet, over IPv4. */
const overhead: Readonly<Record<string, number>> = { vxlan: 50, ipip: 20 };

/** Flannel's backend udp: its program's device, and what that puts around a packet. */
const flannelUdp = { device: /^flannel\d+$/, overhead: 28 };

/** What is recognised, and its traps. */
export function podNetworkFindings(facts: Facts): readonly Finding[] {
  const { links, routes } = facts;
  if (!links.known) {
    return [notSeen("pod-network", links.reason), notSeen("rp-filter", links.reason)];
  }
  const some = routes.known ? routes.value : [];
  return [
    network(links.value, some, facts),
    ...tunnels(links.value, some),
    ...checksums(links.value, facts.kernelRelease),
    reversePath(links.value, some),
  ];
}

/** Kinds of pod networks, as an operator calls them. */
export function podNetworkKinds(
  links: readonly LinkFact[],
  routes: readonly RouteFact[],
  podNetworks: readonly Cidr[],
): readonly string[] {
  const has = (pattern: RegExp): boolean => links.some(({ name }) => pattern.test(name));
  const kinds: string[] = [];
  if (has(/^cali/)) {
    const tunnel = has(/^vxlan\.calico/) ? "VXLAN" : usesLink(routes, /^tunl0$/) ? "IPIP" : undefined;
    const some = hasGateways(routes, podNetworks) ? " between subnets" : "";
    kinds.push(tunnel === undefined ? "Calico" : `Calico (${tunnel}${some})`);
  } else if (usesLink(routes, /^tunl\d*$/)) {
    kinds.push("IPIP");
  }
  if (has(/^flannel(-v6)?\.\d+$/)) {
    kinds.push("flannel VXLAN");
  }
  if (has(flannelUdp.device)) {
    kinds.push("flannel UDP");
  }
  if (has(/^cilium_host$/)) {
    kinds.push("Cilium");
  }
  return kinds.length > 0 ? kinds : plainKinds(links, routes, podNetworks);
}

/** Kinds without devices that have names of their own. */
function plainKinds(
  links: readonly LinkFact[],
  routes: readonly RouteFact[],
  podNetworks: readonly Cidr[],
): readonly string[] {
  const bridges = links.filter(
    (one) =>
      one.kind === "bridge" && (/^(cni|cbr|kube-bridge|weave)/.test(one.name) || isOfPods(one, podNetworks)),
  );
  if (bridges.length > 0) {
    if (bridges.some(({ name }) => /^docker/.test(name))) {
      return ["Docker's bridge"];
    }
    const remote = routes.some(
      ({ gateway, link, destination }) =>
        gateway !== undefined && destination.prefix > 0 && !bridges.some(({ name }) => name === link),
    );
    return [remote ? "bridge with routes between nodes (flannel host-gw)" : "bridge"];
  }
  const toPods = routes.some(({ destination, link }) => destination.prefix === 32 && /^veth/.test(link));
  return toPods ? ["a link to each pod (ptp)"] : [];
}

/** Whether pods of some nodes are reached through these nodes as they are, beside those that a tunnel leads to. */
function hasGateways(routes: readonly RouteFact[], podNetworks: readonly Cidr[]): boolean {
  return routes.some(
    ({ gateway, link, destination }) =>
      gateway !== undefined &&
      !/^(tunl0$|vxlan\.calico)/.test(link) &&
      podNetworks.some(
        (network) => network.prefix < destination.prefix && cidrContains(network, destination.address),
      ),
  );
}

function usesLink(routes: readonly RouteFact[], pattern: RegExp): boolean {
  return routes.some(({ link }) => pattern.test(link));
}

function network(
  links: readonly LinkFact[],
  routes: readonly RouteFact[],
  { routes: fact, wanted }: Facts,
): Finding {
  const id = "pod-network";
  const kinds = podNetworkKinds(links, routes, wanted.podNetworks);
  const devices = links.filter(
    ({ name }) =>
      /^(cni|cbr|flannel[.\d]|vxlan\.calico|cilium_host)/.test(name) ||
      (name === "tunl0" && usesLink(routes, /^tunl0$/)),
  );
  const down = devices.filter(({ up }) => !up).map(({ name }) => name);
  if (down.length > 0) {
    return finding(id, "error", `${kinds.join(", ")}: ${someOf(down)} is down`, `ip link set ${down[0]} up`);
  }
  if (kinds.length > 0) {
    return finding(id, "ok", kinds.join(", "));
  }
  return notSeen(id, fact.known ? "no pod network is recognised by its links and routes" : fact.reason);
}

function tunnels(links: readonly LinkFact[], routes: readonly RouteFact[]): readonly Finding[] {
  const id = "tunnel-mtu";
  // The kernel makes a tunl0 of its own in every namespace: only one with routes is in use.
  const isUsed = (name: string): boolean => routes.some(({ link }) => link === name);
  const all = links.filter(
    ({ kind, name }) => kind === "vxlan" || (kind === "ipip" && isUsed(name)) || flannelUdp.device.test(name),
  );
  if (all.length === 0) {
    return [];
  }
  const underneath = routes.find(({ destination }) => destination.prefix === 0)?.link;
  for (const tunnel of all) {
    const below = links.find(({ name }) => name === (tunnel.underlay ?? underneath));
    const most = (below?.mtu ?? Number.POSITIVE_INFINITY) - (overhead[tunnel.kind] ?? flannelUdp.overhead);
    if (below !== undefined && tunnel.mtu > most) {
      return [
        finding(
          id,
          "error",
          `${tunnel.name} has MTU ${tunnel.mtu}; over ${below.name} (${below.mtu}) ${most} is the most`,
          `ip link set ${tunnel.name} mtu ${most}, and the same in the CNI configuration`,
        ),
      ];
    }
    // Calico's pods have a link each, of the MTU that they have themselves.
    const pods = links.find(
      ({ name, kind, mtu }) =>
        mtu > tunnel.mtu && ((kind === "bridge" && /^(cni|cbr)/.test(name)) || /^cali/.test(name)),
    );
    if (pods !== undefined) {
      return [
        finding(
          id,
          "warning",
          `pods on ${pods.name} have MTU ${pods.mtu}, ${tunnel.name} ${tunnel.mtu}`,
          `set mtu to ${tunnel.mtu} in the CNI configuration`,
        ),
      ];
    }
  }
  return [finding(id, "ok", all.map(({ name, mtu }) => `${name} has MTU ${mtu}`).join(", "))];
}

function checksums(links: readonly LinkFact[], release: string): readonly Finding[] {
  const id = "vxlan-checksum";
  const device = links.find(({ kind }) => kind === "vxlan");
  if (device === undefined) {
    return [];
  }
  const version = parseKernelVersion(release);
  if (version === undefined) {
    return [notSeen(id, `the kernel's version ${JSON.stringify(release)} cannot be read`)];
  }
  const [major, minor] = version;
  const isOld = major < 5 || (major === 5 && minor < 7);
  return [
    isOld
      ? finding(
          id,
          "warning",
          `Linux ${major}.${minor} with ${device.name}`,
          `ethtool -K ${device.name} tx-checksum-ip-generic off`,
        )
      : finding(id, "ok", `Linux ${major}.${minor} sends right checksums over ${device.name}`),
  ];
}

function reversePath(links: readonly LinkFact[], routes: readonly RouteFact[]): Finding {
  const id = "rp-filter";
  const uplinks = new Set(
    routes.filter(({ destination }) => destination.prefix === 0).map(({ link }) => link),
  );
  const tunnels = new Set(links.filter(({ kind }) => kind in overhead).map(({ name }) => name));
  const asymmetric = links.filter(({ name }) => tunnels.has(name) || (uplinks.size > 1 && uplinks.has(name)));
  const unseen = asymmetric.find(({ rpFilter }) => !rpFilter.known);
  if (unseen !== undefined && !unseen.rpFilter.known) {
    return notSeen(id, unseen.rpFilter.reason);
  }
  const strict = asymmetric.filter(({ rpFilter }) => rpFilter.known && rpFilter.value === 1);
  return strict.length > 0
    ? finding(
        id,
        "warning",
        `the reverse-path filter is strict on ${someOf(strict.map(({ name }) => name))}, where ways may differ`,
        `sysctl -w ${strict.map(({ name }) => `net.ipv4.conf.${name.replaceAll(".", "/")}.rp_filter=2`).join(" ")} net.ipv4.conf.all.rp_filter=2`,
      )
    : finding(id, "ok", "no interface filters strictly where ways may differ");
}
