/**
 * Flags that configure what a file can configure as well. Beside `--config` none of them has any effect.
 *
 * @module
 */
import {
  defaultHealthzPort,
  defaultMetricsPort,
  defaultMinSyncPeriodMs,
  defaultSyncPeriodMs,
} from "./config-defaults.ts";
import { defaultFields } from "./config-schema.ts";
import type { FlagSpec, FlagTable } from "./flag-spec.ts";
import {
  addressFlag,
  addressPortFlag,
  durationFlag,
  floatFlag,
  gatesFlag,
  int32Flag,
  listFlag,
  switchFlag,
  textFlag,
} from "./flag-types.ts";

/** Values of the configuration flags; durations in milliseconds. */
export interface ConfigFlags {
  readonly "feature-gates": ReadonlyMap<string, boolean>;
  readonly kubeconfig: string;
  readonly "kube-api-content-type": string;
  readonly "kube-api-qps": number;
  readonly "kube-api-burst": number;
  readonly "bind-address": string;
  readonly "healthz-bind-address": string;
  readonly "metrics-bind-address": string;
  readonly "healthz-port": number;
  readonly "metrics-port": number;
  readonly "bind-address-hard-fail": boolean;
  readonly profiling: boolean;
  readonly "show-hidden-metrics-for-version": string;
  readonly "proxy-mode": string;
  readonly "iptables-masquerade-bit": number;
  readonly "masquerade-all": boolean;
  readonly "iptables-localhost-nodeports": boolean;
  readonly "iptables-sync-period": number;
  readonly "iptables-min-sync-period": number;
  readonly "ipvs-sync-period": number;
  readonly "ipvs-min-sync-period": number;
  readonly "ipvs-scheduler": string;
  readonly "ipvs-exclude-cidrs": readonly string[];
  readonly "ipvs-strict-arp": boolean;
  readonly "ipvs-tcp-timeout": number;
  readonly "ipvs-tcpfin-timeout": number;
  readonly "ipvs-udp-timeout": number;
  readonly "detect-local-mode": string;
  readonly "pod-bridge-interface": string;
  readonly "pod-interface-name-prefix": string;
  readonly "cluster-cidr": string;
  readonly "nodeport-addresses": readonly string[];
  readonly "oom-score-adj": number;
  readonly "conntrack-max-per-core": number;
  readonly "conntrack-min": number;
  readonly "conntrack-tcp-timeout-established": number;
  readonly "conntrack-tcp-timeout-close-wait": number;
  readonly "conntrack-tcp-be-liberal": boolean;
  readonly "conntrack-udp-timeout": number;
  readonly "conntrack-udp-timeout-stream": number;
  readonly "config-sync-period": number;
}

const defaults = defaultFields;

function text(field: string, initial: string, help: string): FlagSpec<string> {
  return { type: textFlag, initial, field, help };
}

function toggle(field: string, initial: boolean, help: string): FlagSpec<boolean> {
  return { type: switchFlag, initial, field, help };
}

function int32(field: string, initial: number, help: string): FlagSpec<number> {
  return { type: int32Flag, initial, field, help };
}

function duration(field: string, initial: number, help: string): FlagSpec<number> {
  return { type: durationFlag, initial, field, help };
}

function list(field: string, initial: readonly string[], help: string): FlagSpec<readonly string[]> {
  return { type: listFlag, initial, field, help };
}

function server(field: string, initial: string, help: string): FlagSpec<string> {
  return { type: addressPortFlag, initial, field, help, emptyIsIgnored: true };
}

/** The table. */
export const configFlags: FlagTable<ConfigFlags> = {
  "feature-gates": {
    type: gatesFlag,
    initial: defaults.featureGates,
    field: "featureGates",
    help: "Feature gates, A=true,B=false. Gates that this program does not know are accepted and have no effect.",
  },
  kubeconfig: text("clientConnection.kubeconfig", "", "Kubeconfig file with server and credentials."),
  "kube-api-content-type": text(
    "clientConnection.contentType",
    defaults.clientConnection.contentType,
    "Accepted and ignored: requests are JSON.",
  ),
  "kube-api-qps": {
    type: floatFlag,
    initial: defaults.clientConnection.qps,
    field: "clientConnection.qps",
    help: "Requests per second to the API server; negative means no limit.",
  },
  "kube-api-burst": int32(
    "clientConnection.burst",
    defaults.clientConnection.burst,
    "Requests to the API server that may be sent at once.",
  ),
  "bind-address": {
    type: addressFlag,
    initial: defaults.bindAddress,
    field: "bindAddress",
    help: "Overrides which address, and so which family, is this node's primary one. Nothing is bound to it.",
  },
  "healthz-bind-address": server(
    "healthzBindAddress",
    defaults.healthzBindAddress,
    "Address of the health server.",
  ),
  "metrics-bind-address": server(
    "metricsBindAddress",
    defaults.metricsBindAddress,
    "Address of the metrics server.",
  ),
  "healthz-port": {
    type: int32Flag,
    initial: defaultHealthzPort,
    replacement: "healthz-bind-address",
    help: "Port for a --healthz-bind-address without one; 0 disables the health server.",
  },
  "metrics-port": {
    type: int32Flag,
    initial: defaultMetricsPort,
    replacement: "metrics-bind-address",
    help: "Port for a --metrics-bind-address without one.",
  },
  "bind-address-hard-fail": toggle(
    "bindAddressHardFail",
    false,
    "End the process if a server cannot bind, instead of trying again.",
  ),
  profiling: toggle("enableProfiling", false, "Serve profiles under /debug/pprof on the metrics server."),
  "show-hidden-metrics-for-version": text(
    "showHiddenMetricsForVersion",
    "",
    "Show metrics that were hidden in this version; only the previous minor version is allowed.",
  ),
  "proxy-mode": text("mode", "", "Proxy mode: iptables (default), ipvs or nftables."),
  "iptables-masquerade-bit": int32(
    "iptables.masqueradeBit",
    defaults.iptables.masqueradeBit,
    "Bit of the packet mark that asks for masquerade, 0 to 31. Holds in ipvs mode too.",
  ),
  "masquerade-all": toggle(
    "iptables.masqueradeAll",
    false,
    "Masquerade everything that is sent to a cluster IP.",
  ),
  "iptables-localhost-nodeports": toggle(
    "iptables.localhostNodePorts",
    defaults.iptables.localhostNodePorts,
    "Serve node ports on 127.0.0.0/8 (iptables mode, IPv4).",
  ),
  "iptables-sync-period": duration(
    "iptables.syncPeriod",
    defaultSyncPeriodMs,
    "Longest time between two attempts to write the rules after a failure; any mode but ipvs.",
  ),
  "iptables-min-sync-period": duration(
    "iptables.minSyncPeriod",
    defaultMinSyncPeriodMs,
    "Shortest time between two writes of the rules; any mode but ipvs. 0 writes at once.",
  ),
  "ipvs-sync-period": duration(
    "ipvs.syncPeriod",
    defaultSyncPeriodMs,
    "Longest time between two full syncs in ipvs mode.",
  ),
  "ipvs-min-sync-period": duration(
    "ipvs.minSyncPeriod",
    defaultMinSyncPeriodMs,
    "Shortest time between two syncs in ipvs mode. 0 syncs at once.",
  ),
  "ipvs-scheduler": text("ipvs.scheduler", "", "IPVS scheduler; empty means rr."),
  "ipvs-exclude-cidrs": list(
    "ipvs.excludeCIDRs",
    defaults.ipvs.excludeCIDRs,
    "CIDRs whose virtual servers are never deleted.",
  ),
  "ipvs-strict-arp": toggle("ipvs.strictARP", false, "Set arp_ignore to 1 and arp_announce to 2."),
  "ipvs-tcp-timeout": duration(
    "ipvs.tcpTimeout",
    0,
    "Timeout of idle TCP connections; 0 leaves it as it is.",
  ),
  "ipvs-tcpfin-timeout": duration(
    "ipvs.tcpFinTimeout",
    0,
    "Timeout of TCP connections after a FIN; 0 leaves it as it is.",
  ),
  "ipvs-udp-timeout": duration("ipvs.udpTimeout", 0, "Timeout of UDP flows; 0 leaves it as it is."),
  "detect-local-mode": text(
    "detectLocalMode",
    "",
    "How traffic of local pods is recognised: ClusterCIDR (default), NodeCIDR, BridgeInterface or InterfaceNamePrefix.",
  ),
  "pod-bridge-interface": text("detectLocal.bridgeInterface", "", "The bridge for BridgeInterface."),
  "pod-interface-name-prefix": text(
    "detectLocal.interfaceNamePrefix",
    "",
    "The start of interface names for InterfaceNamePrefix.",
  ),
  "cluster-cidr": text("clusterCIDR", "", "The pods' CIDR, or one of each family joined by a comma."),
  "nodeport-addresses": list(
    "nodePortAddresses",
    defaults.nodePortAddresses,
    "CIDRs of the addresses that serve node ports, or the word primary; empty means all local addresses.",
  ),
  "oom-score-adj": int32(
    "oomScoreAdj",
    defaults.oomScoreAdj,
    "oom_score_adj of this process, -1000 to 1000.",
  ),
  "conntrack-max-per-core": int32(
    "conntrack.maxPerCore",
    defaults.conntrack.maxPerCore,
    "Tracked connections per CPU; 0 leaves the limit as it is and ignores --conntrack-min.",
  ),
  "conntrack-min": int32("conntrack.min", defaults.conntrack.min, "Fewest tracked connections in total."),
  "conntrack-tcp-timeout-established": duration(
    "conntrack.tcpEstablishedTimeout",
    defaults.conntrack.tcpEstablishedTimeoutMs,
    "Timeout of idle established TCP connections; 0 leaves it as it is.",
  ),
  "conntrack-tcp-timeout-close-wait": duration(
    "conntrack.tcpCloseWaitTimeout",
    defaults.conntrack.tcpCloseWaitTimeoutMs,
    "Timeout of TCP connections in CLOSE_WAIT; 0 leaves it as it is.",
  ),
  "conntrack-tcp-be-liberal": toggle(
    "conntrack.tcpBeLiberal",
    false,
    "Set nf_conntrack_tcp_be_liberal to 1.",
  ),
  "conntrack-udp-timeout": duration(
    "conntrack.udpTimeout",
    0,
    "Timeout of UDP flows without a reply; 0 leaves it as it is.",
  ),
  "conntrack-udp-timeout-stream": duration(
    "conntrack.udpStreamTimeout",
    0,
    "Timeout of UDP flows with replies; 0 leaves it as it is.",
  ),
  "config-sync-period": duration(
    "configSyncPeriod",
    defaults.configSyncPeriodMs,
    "How often the informers hand out everything again.",
  ),
};
