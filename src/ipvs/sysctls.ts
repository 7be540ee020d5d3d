/**
 * Kernel settings that ipvs mode needs, by version of the kernel.
 *
 * Pure. Those below `net/ipv4/vs` exist once the module of IPVS is loaded, in each network namespace, and serve IPv6 too.
 *
 * @module
 */

/** A setting and the value that it must have. */
export interface Sysctl {
  /** Below `/proc/sys`. */
  readonly name: string;
  readonly value: number;
}

/** Major and minor number of a kernel. */
export type KernelVersion = readonly [major: number, minor: number];

/** Reads `6.1.0-18-amd64`; undefined when it is no version. */
export function parseKernelVersion(release: string): KernelVersion | undefined {
  const [, major, minor] = /^([0-9]+)\.([0-9]+)/.exec(release) ?? [];
  return major === undefined || minor === undefined ? undefined : [Number(major), Number(minor)];
}

/**
 * The settings of a kernel.
 *
 * - `conntrack`: without it IPVS's packets are not tracked, and masquerade does nothing.
 * - `conn_reuse_mode`: before 5.9 a client that uses a port again waits for a second under 1, and may reach an endpoint
 *   that is gone under 0; the latter is the lesser evil (kubernetes/kubernetes#81775). Since 5.9 the default is right. It
 *   exists since 4.1.
 * - `expire_nodest_conn`: connections whose endpoint was deleted end, instead of having their packets dropped.
 * - `expire_quiescent_template`: a client is not bound any longer to an endpoint of weight 0.
 *
 * @param version undefined when it is not known: then nothing is set that depends on it
 * @param strictARP whether the node must not answer ARP for addresses on kube-ipvs0
 */
export function ipvsSysctls(version: KernelVersion | undefined, strictARP: boolean): readonly Sysctl[] {
  const reuse = version !== undefined && !isBefore(version, [4, 1]) && isBefore(version, [5, 9]);
  return [
    { name: "net/ipv4/vs/conntrack", value: 1 },
    ...(reuse ? [{ name: "net/ipv4/vs/conn_reuse_mode", value: 0 }] : []),
    { name: "net/ipv4/vs/expire_nodest_conn", value: 1 },
    { name: "net/ipv4/vs/expire_quiescent_template", value: 1 },
    { name: "net/ipv4/ip_forward", value: 1 },
    ...(strictARP
      ? [
          { name: "net/ipv4/conf/all/arp_ignore", value: 1 },
          { name: "net/ipv4/conf/all/arp_announce", value: 2 },
        ]
      : []),
  ];
}

function isBefore([major, minor]: KernelVersion, [otherMajor, otherMinor]: KernelVersion): boolean {
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}
