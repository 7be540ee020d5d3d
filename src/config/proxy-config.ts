/**
 * The configuration as values: `KubeProxyConfiguration` of `kubeproxy.config.k8s.io/v1alpha1`, and our own settings
 * beside it.
 *
 * Names are those of the file, so that a field here can be found in the Kubernetes documentation and the other way
 * round. One rule for durations: the field `syncPeriod` is `syncPeriodMs` in memory, in milliseconds. Texts such as
 * addresses and CIDRs stay as they were written, because `/configz` and `--write-config-to` show them again;
 * effective-settings.ts hands them out parsed.
 *
 * All three mode sections are kept with their own periods, although kube-proxy keeps one pair only: a change of
 * `mode` while running must find the values of the new mode.
 *
 * @module
 */

/** How the kernel balances load. */
export type ProxyMode = "iptables" | "ipvs" | "nftables";

/** Every mode that the configuration knows. */
export const proxyModes: readonly ProxyMode[] = ["iptables", "ipvs", "nftables"];

/** The modes that have a backend. A mode that is known but not available is refused at start. */
export const availableModes: readonly ProxyMode[] = ["iptables", "ipvs"];

/** How traffic of local pods is recognised. */
export type DetectLocalMode = "ClusterCIDR" | "NodeCIDR" | "BridgeInterface" | "InterfaceNamePrefix";

/** Every way to recognise local pods, in the order in which kube-proxy's error message lists them. */
export const detectLocalModes: readonly DetectLocalMode[] = [
  "ClusterCIDR",
  "NodeCIDR",
  "BridgeInterface",
  "InterfaceNamePrefix",
];

/** Section `iptables`. The mark bit and masquerade-all hold in ipvs mode too. */
export interface IptablesSection {
  /** Bit of the packet mark that asks for masquerade; 14 is the mark 0x4000. */
  readonly masqueradeBit: number;
  readonly masqueradeAll: boolean;
  readonly localhostNodePorts: boolean;
  readonly syncPeriodMs: number;
  readonly minSyncPeriodMs: number;
}

/** Section `ipvs`. */
export interface IpvsSection {
  readonly syncPeriodMs: number;
  readonly minSyncPeriodMs: number;
  /** Empty means `rr`. */
  readonly scheduler: string;
  /** CIDRs whose virtual servers are never deleted. */
  readonly excludeCIDRs: readonly string[];
  readonly strictARP: boolean;
  /** The three IPVS timeouts; 0 leaves the kernel's value. */
  readonly tcpTimeoutMs: number;
  readonly tcpFinTimeoutMs: number;
  readonly udpTimeoutMs: number;
}

/** Section `nftables`. */
export interface NftablesSection {
  readonly masqueradeBit: number;
  readonly masqueradeAll: boolean;
  readonly syncPeriodMs: number;
  readonly minSyncPeriodMs: number;
}

/** Section `conntrack`. */
export interface ConntrackSection {
  /** Table size per CPU; 0 leaves the kernel's value and ignores `min`. */
  readonly maxPerCore: number;
  readonly min: number;
  /** 0 leaves the kernel's value, as for the other three. */
  readonly tcpEstablishedTimeoutMs: number;
  readonly tcpCloseWaitTimeoutMs: number;
  readonly tcpBeLiberal: boolean;
  readonly udpTimeoutMs: number;
  readonly udpStreamTimeoutMs: number;
}

/** Section `clientConnection`. */
export interface ClientConnectionSection {
  /** Path; empty without `--master` means the in-cluster configuration. */
  readonly kubeconfig: string;
  /** Accepted and without effect: this client speaks JSON only. So is `contentType`. */
  readonly acceptContentTypes: string;
  readonly contentType: string;
  /** Requests per second; negative means no limit. */
  readonly qps: number;
  readonly burst: number;
}

/** Section `detectLocal`. */
export interface DetectLocalSection {
  readonly bridgeInterface: string;
  readonly interfaceNamePrefix: string;
}

/** One entry of `logging.vmodule`. */
export interface VmoduleEntry {
  readonly filePattern: string;
  readonly verbosity: number;
}

/** `logging.options.text` and `logging.options.json`. */
export interface LogStreamOptions {
  readonly splitStream: boolean;
  /** A Kubernetes quantity, as written. */
  readonly infoBufferSize: string;
}

/** Section `logging`. */
export interface LoggingSection {
  readonly format: string;
  readonly flushFrequencyMs: number;
  readonly verbosity: number;
  readonly vmodule: readonly VmoduleEntry[];
  readonly options: { readonly text: LogStreamOptions; readonly json: LogStreamOptions };
}

/** Section `winkernel`: accepted, carried along, without effect. */
export interface WinkernelSection {
  readonly networkName: string;
  readonly sourceVip: string;
  readonly enableDSR: boolean;
  readonly rootHnsEndpointName: string;
  readonly forwardHealthCheckVip: boolean;
}

/** How ClientIP affinity is kept in iptables mode; `auto` lets the node's abilities decide. */
export type AffinityBackend = "auto" | "recent" | "ipset";

/** Which iptables is used; `auto` follows what the node uses already. */
export type IptablesVariant = "auto" | "nft" | "legacy";

/** How iptables rules are laid out; `endpoint-chains` is kube-proxy's layout. */
export type IptablesLayout = "auto" | "lean" | "endpoint-chains";

/**
 * Section `sluice`: settings that kube-proxy does not have. kube-proxy itself takes the key for an unknown field,
 * warns and goes on, so a file with it serves both.
 */
export interface SluiceSection {
  readonly affinity: { readonly backend: AffinityBackend };
  readonly iptables: {
    readonly variant: IptablesVariant;
    /** How often the rules in the kernel are read back; 0 lets the program choose. */
    readonly auditPeriodMs: number;
    readonly layout: IptablesLayout;
  };
  readonly ipvs: {
    /** How often virtual servers, sets and addresses are read back; 0 lets the program choose. */
    readonly auditPeriodMs: number;
    /** How long a real server whose endpoint is gone may keep its connections; 0 removes it at once. */
    readonly drainTimeoutMs: number;
    /** Whether packets for Services are accepted in INPUT, so that a host with INPUT DROP serves them. */
    readonly acceptServices: boolean;
    /** Whether Service addresses answer ping. */
    readonly answerPing: boolean;
  };
  readonly nodePorts: {
    /** Whether node ports answer on 127.0.0.1 and ::1 through the program itself. */
    readonly localhostForwarder: boolean;
  };
  readonly externalAddresses: {
    /** External and load-balancer addresses outside these CIDRs are not served; empty allows all. */
    readonly allowedCIDRs: readonly string[];
    /** Those inside these are not served: the Service network, for example. */
    readonly reservedCIDRs: readonly string[];
    /** Whether `spec.externalIPs` may name an address of this node. */
    readonly allowNodeAddresses: boolean;
  };
  /** Whether the metrics server shows a page for people at `/page`. */
  readonly page: { readonly enabled: boolean };
  readonly metrics: {
    /** Whether Services have metrics of their own. */
    readonly perService: boolean;
    /** As many Service ports have them at most. */
    readonly maxServicePorts: number;
  };
}

/** Everything a file can say, decoded and defaulted but not validated. */
export interface ConfigFields {
  readonly featureGates: ReadonlyMap<string, boolean>;
  readonly hostnameOverride: string;
  /** Not bound: overrides which address, and so which family, is the node's primary one. */
  readonly bindAddress: string;
  /** `IP:port`; empty means no server (only possible through `--healthz-port=0`). */
  readonly healthzBindAddress: string;
  /** `IP:port`. */
  readonly metricsBindAddress: string;
  readonly bindAddressHardFail: boolean;
  readonly enableProfiling: boolean;
  readonly showHiddenMetricsForVersion: string;
  readonly mode: string;
  readonly iptables: IptablesSection;
  readonly ipvs: IpvsSection;
  readonly nftables: NftablesSection;
  readonly winkernel: WinkernelSection;
  readonly detectLocalMode: string;
  readonly detectLocal: DetectLocalSection;
  /** The text split at its commas; the file's empty text is the empty list. */
  readonly clusterCIDR: readonly string[];
  /** CIDRs, or the single word `primary`; empty means all local addresses. */
  readonly nodePortAddresses: readonly string[];
  readonly conntrack: ConntrackSection;
  readonly oomScoreAdj: number;
  readonly configSyncPeriodMs: number;
  /** Accepted and without effect, as is `windowsRunAsService`. */
  readonly portRange: string;
  readonly windowsRunAsService: boolean;
  readonly clientConnection: ClientConnectionSection;
  readonly logging: LoggingSection;
  readonly sluice: SluiceSection;
}

/** A configuration that passed validation, with the platform's defaults filled in. */
export interface ProxyConfig extends ConfigFields {
  readonly mode: ProxyMode;
  readonly detectLocalMode: DetectLocalMode;
}

/** Whether the text names a mode. */
export function isProxyMode(text: string): text is ProxyMode {
  return (proxyModes as readonly string[]).includes(text);
}

/** Whether the text names a way to recognise local pods. */
export function isDetectLocalMode(text: string): text is DetectLocalMode {
  return (detectLocalModes as readonly string[]).includes(text);
}
