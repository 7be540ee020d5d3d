/**
 * Every finding that there is: why it matters and the command that mends it.
 *
 * docs/doctor.md lists the same, and a test holds the two against each other.
 *
 * @module
 */

/** What is said of a finding wherever it is found. */
export interface CatalogueEntry {
  readonly why: string;
  readonly mend: string;
}

/** The names of all findings, in the order in which findings are printed. */
export const findingIds = [
  "iptables-features",
  "ipvs-features",
  "nftables-features",
  "ip-forward",
  "ipv6-forward",
  "route-localnet",
  "conntrack-liberal",
  "ipvs-conntrack",
  "ipvs-conn-reuse",
  "ipvs-expire",
  "ipvs-timeouts",
  "strict-arp",
  "load-balancer-subnet",
  "conntrack-fill",
  "conntrack-dropped",
  "iptables-variants",
  "kubelet-hint",
  "xtables-lock",
  "bridge-nf-call",
  "hairpin",
  "recent-list",
  "leftover-mode",
  "leftover-kube-proxy",
  "second-proxy",
  "forward-policy",
  "input-policy",
  "daemon",
  "sync-lag",
  "left-out-services",
  "clock-skew",
  "drift",
  "pod-network",
  "tunnel-mtu",
  "vxlan-checksum",
  "cni-masquerade",
  "mark-overlap",
  "rp-filter",
] as const;

/** The name of a finding. */
export type FindingId = (typeof findingIds)[number];

/** The catalogue. */
export const catalogue: Readonly<Record<FindingId, CatalogueEntry>> = {
  "iptables-features": {
    why: "iptables mode cannot write its rules without these parts of the kernel",
    mend: "modprobe -a xt_comment xt_statistic xt_recent xt_conntrack xt_addrtype xt_mark",
  },
  "ipvs-features": {
    why: "ipvs mode cannot serve without IPVS, its scheduler, ipsets and a dummy device",
    mend: "modprobe -a ip_vs ip_vs_rr dummy ip_set xt_set",
  },
  "nftables-features": {
    why: "nftables mode, and iptables-nft, need nf_tables",
    mend: "modprobe -a nf_tables nft_compat",
  },
  "ip-forward": {
    why: "packets to endpoints on other hosts, and from them, are thrown away",
    mend: "sysctl -w net.ipv4.ip_forward=1",
  },
  "ipv6-forward": {
    why: "IPv6 packets to and from pods are thrown away",
    mend: "sysctl -w net.ipv6.conf.all.forwarding=1",
  },
  "route-localnet": {
    why: "with it neighbours may reach what listens on 127.0.0.1; without it NodePorts do not answer there",
    mend: "set sluice.nodePorts.localhostForwarder to true, then sysctl -w net.ipv4.conf.all.route_localnet=0",
  },
  "conntrack-liberal": {
    why: "a packet that conntrack calls INVALID reaches the client untranslated, which resets the connection",
    mend: "sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1, or start kube-sluice: it drops such packets",
  },
  "ipvs-conntrack": {
    why: "without it packets that IPVS sends are not tracked, and masquerade does nothing",
    mend: "sysctl -w net.ipv4.vs.conntrack=1",
  },
  "ipvs-conn-reuse": {
    why: "before Linux 5.9 a client that uses a port again waits a second for each connection",
    mend: "sysctl -w net.ipv4.vs.conn_reuse_mode=0",
  },
  "ipvs-expire": {
    why: "connections to an endpoint that is gone hang instead of ending",
    mend: "sysctl -w net.ipv4.vs.expire_nodest_conn=1 net.ipv4.vs.expire_quiescent_template=1",
  },
  "ipvs-timeouts": {
    why: "idle connections are forgotten before a keepalive renews them, and the next packet is reset",
    mend: "sysctl -w net.ipv4.tcp_keepalive_time=600, or set ipvs.tcpTimeout to 2h5m",
  },
  "strict-arp": {
    why: "this node answers ARP for every address on kube-ipvs0, though the configuration forbids it",
    mend: "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2",
  },
  "load-balancer-subnet": {
    why: "every node in ipvs mode answers ARP for the address, and neighbours go to any of them",
    mend: "set ipvs.strictARP to true",
  },
  "conntrack-fill": {
    why: "new connections are dropped when the table is full",
    mend: "sysctl -w net.netfilter.nf_conntrack_max=1048576, and raise conntrack.maxPerCore",
  },
  "conntrack-dropped": {
    why: "connections were lost since the start of the node because the table was full",
    mend: "sysctl -w net.netfilter.nf_conntrack_max=1048576, and raise conntrack.maxPerCore",
  },
  "iptables-variants": {
    why: "packets pass both rule sets; what one drops the other cannot let through, and each tool sees only its own",
    mend: "kube-sluice cleanup --config FILE with sluice.iptables.variant of the one that is not used; move other writers",
  },
  "kubelet-hint": {
    why: "kubelet and the service proxy must use one variant of iptables, or each rules for itself",
    mend: "set sluice.iptables.variant to auto, or to the variant that kubelet uses",
  },
  "xtables-lock": {
    why: "whoever holds the lock keeps all other programs from changing rules of the legacy variant",
    mend: "lsof /run/xtables.lock, and end the process that hangs",
  },
  "bridge-nf-call": {
    why: "between two pods of one bridge the reply takes a short cut past the translation, and connections time out",
    mend: "modprobe br_netfilter; sysctl -w net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1",
  },
  hairpin: {
    why: "a pod cannot reach itself through its Service",
    mend: "set hairpinMode to true in the CNI configuration; now: bridge link set dev PORT hairpin on",
  },
  "recent-list": {
    why: "the oldest clients are forgotten without a word, and lose their endpoint",
    mend: "set sluice.affinity.backend to ipset, or load xt_recent with ip_list_tot=10000",
  },
  "leftover-mode": {
    why: "two modes rule the same packets, and the one that nobody keeps up sends them to endpoints that are gone",
    mend: "start kube-sluice, which removes it once it serves; or kube-sluice cleanup",
  },
  "leftover-kube-proxy": {
    why: "kube-proxy's nftables rules come first or last by priority, and nobody keeps them up",
    mend: "nft delete table ip kube-proxy; nft delete table ip6 kube-proxy",
  },
  "second-proxy": {
    why: "two service proxies write the same chains, each undoing the other's work",
    mend: "kubectl -n kube-system delete daemonset kube-proxy, or the service proxy of the CNI",
  },
  "forward-policy": {
    why: "packets to and from pods are dropped unless somebody's rule lets them pass",
    mend: "iptables -P FORWARD ACCEPT, or have the CNI plugin accept the pod network",
  },
  "input-policy": {
    why: "in ipvs mode packets to Services pass INPUT, and its policy drops them",
    mend: "set sluice.ipvs.acceptServices to true",
  },
  daemon: {
    why: "nobody keeps the rules up: endpoints that come and go are not followed",
    mend: "kubectl -n kube-system rollout restart daemonset kube-sluice, and see its log",
  },
  "sync-lag": {
    why: "changes of Services and endpoints do not reach the kernel",
    mend: "kubectl -n kube-system logs daemonset/kube-sluice | grep -E 'Sync failed|xtables lock'",
  },
  "left-out-services": {
    why: "the kernel refuses the rules of these Services, and they are not served",
    mend: "kubectl -n kube-system logs daemonset/kube-sluice | grep 'left out'",
  },
  "clock-skew": {
    why: "programming latency is measured against another node's clock, and certificates fail next",
    mend: "chronyc makestep, or timedatectl set-ntp true",
  },
  drift: {
    why: "what the kernel does is not what the cluster asks for",
    mend: "kubectl -n kube-system rollout restart daemonset kube-sluice: it compares and repairs",
  },
  "pod-network": {
    why: "pods that cannot be reached without translation cannot be endpoints on other nodes",
    mend: "ip route; see the log of the CNI plugin",
  },
  "tunnel-mtu": {
    why: "large packets are lost or fragmented on the way between nodes, and connections hang after the first bytes",
    mend: "ip link set DEVICE mtu MTU, and the same in the CNI configuration",
  },
  "vxlan-checksum": {
    why: "before Linux 5.7 translated packets leave a VXLAN device with a wrong checksum, and connections stall for 63 s",
    mend: "ethtool -K DEVICE tx-checksum-ip-generic off",
  },
  "cni-masquerade": {
    why: "endpoints on other nodes see the node's address in place of the pod's, and network policies by source fail",
    mend: "set ipMasq to false in the CNI configuration, or leave the pod network out of the rule",
  },
  "mark-overlap": {
    why: "packets are masqueraded that should not be, or the other way round",
    mend: "set iptables.masqueradeBit to a bit that nobody else uses (Calico: FELIX_IPTABLESMARKMASK)",
  },
  "rp-filter": {
    why: "packets that come in by another interface than the answer would take are dropped",
    mend: "sysctl -w net.ipv4.conf.all.rp_filter=2",
  },
};
