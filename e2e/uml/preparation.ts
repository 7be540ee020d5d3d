/**
 * What a guest does before its work, as a line of the shell.
 *
 * Two programs that want a table at once, while its module is being loaded, would get in each other's way. And the guest
 * has little memory, so its kernel means to track few connections.
 *
 * @module
 */

/** The line. */
export const guestPreparation: string = [
  ...["iptables-legacy", "ip6tables-legacy"].flatMap((tool) =>
    ["filter", "mangle", "nat"].map((table) => `${tool} -t ${table} -S >/dev/null`),
  ),
  "echo 262144 >/proc/sys/net/netfilter/nf_conntrack_max",
].join("; ");
