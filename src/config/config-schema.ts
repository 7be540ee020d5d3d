/**
 * The table of fields: type and default of everything a configuration file can say.
 *
 * Source: `KubeProxyConfiguration`, `kubeproxy.config.k8s.io/v1alpha1`, as of Kubernetes 1.36, and its defaulting.
 * `whenZero` marks the fields whose zero value is replaced too: kubeadm writes the object without defaulting it,
 * so a real file is full of zeros that mean "default". Section `sluice` is ours.
 *
 * @module
 */
import { type Codec, listOf, mapOf, omitDefault, section, whenAbsent, whenZero } from "./codec.ts";
import {
  defaultBindAddress,
  defaultContentType,
  defaultDrainTimeoutMs,
  defaultFlushFrequencyMs,
  defaultMasqueradeBit,
  defaultMinSyncPeriodMs,
  defaultSyncPeriodMs,
  withServerAddresses,
} from "./config-defaults.ts";
import type {
  AffinityBackend,
  ClientConnectionSection,
  ConfigFields,
  ConntrackSection,
  DetectLocalSection,
  IptablesLayout,
  IptablesSection,
  IptablesVariant,
  IpvsSection,
  LoggingSection,
  LogStreamOptions,
  NftablesSection,
  SluiceSection,
  VmoduleEntry,
  WinkernelSection,
} from "./proxy-config.ts";
import {
  bool,
  durationMs,
  durationOrNanosecondsMs,
  float32,
  int32,
  oneOf,
  quantity,
  text,
  uint32,
} from "./scalar-codecs.ts";

/** `apiVersion` of the only version there is. */
export const configApiVersion = "kubeproxy.config.k8s.io/v1alpha1";

/** `kind` of the object. */
export const configKind = "KubeProxyConfiguration";

const iptables = section<IptablesSection>({
  masqueradeBit: whenAbsent(int32, defaultMasqueradeBit),
  masqueradeAll: bool,
  localhostNodePorts: whenAbsent(bool, true),
  syncPeriodMs: whenZero(durationMs, defaultSyncPeriodMs),
  minSyncPeriodMs: whenZero(durationMs, defaultMinSyncPeriodMs),
});

const ipvs = section<IpvsSection>({
  syncPeriodMs: whenZero(durationMs, defaultSyncPeriodMs),
  minSyncPeriodMs: durationMs,
  scheduler: text,
  excludeCIDRs: listOf(text),
  strictARP: bool,
  tcpTimeoutMs: durationMs,
  tcpFinTimeoutMs: durationMs,
  udpTimeoutMs: durationMs,
});

const nftables = section<NftablesSection>({
  masqueradeBit: whenAbsent(int32, defaultMasqueradeBit),
  masqueradeAll: bool,
  syncPeriodMs: whenZero(durationMs, defaultSyncPeriodMs),
  minSyncPeriodMs: whenZero(durationMs, defaultMinSyncPeriodMs),
});

const winkernel = section<WinkernelSection>({
  networkName: text,
  sourceVip: text,
  enableDSR: bool,
  rootHnsEndpointName: text,
  forwardHealthCheckVip: bool,
});

const conntrack = section<ConntrackSection>({
  maxPerCore: whenAbsent(int32, 32_768),
  min: whenAbsent(int32, 131_072),
  tcpEstablishedTimeoutMs: whenAbsent(durationMs, 24 * 3_600_000),
  tcpCloseWaitTimeoutMs: whenAbsent(durationMs, 3_600_000),
  tcpBeLiberal: bool,
  udpTimeoutMs: durationMs,
  udpStreamTimeoutMs: durationMs,
});

const clientConnection = section<ClientConnectionSection>({
  kubeconfig: text,
  acceptContentTypes: text,
  contentType: whenZero(text, defaultContentType),
  qps: whenZero(float32, 5),
  burst: whenZero(int32, 10),
});

const logStream = section<LogStreamOptions>({ splitStream: omitDefault(bool), infoBufferSize: quantity });

const logging = section<LoggingSection>({
  format: whenZero(text, "text"),
  flushFrequencyMs: whenZero(durationOrNanosecondsMs, defaultFlushFrequencyMs),
  verbosity: uint32,
  vmodule: omitDefault(listOf(section<VmoduleEntry>({ filePattern: text, verbosity: uint32 }))),
  options: section<LoggingSection["options"]>({ text: logStream, json: logStream }),
});

const sluice = section<SluiceSection>({
  affinity: section<SluiceSection["affinity"]>({
    backend: oneOf<AffinityBackend>(["auto", "recent", "ipset"]),
  }),
  iptables: section<SluiceSection["iptables"]>({
    variant: oneOf<IptablesVariant>(["auto", "nft", "legacy"]),
    auditPeriodMs: durationMs,
    layout: oneOf<IptablesLayout>(["auto", "lean", "endpoint-chains"]),
  }),
  ipvs: section<SluiceSection["ipvs"]>({
    auditPeriodMs: durationMs,
    drainTimeoutMs: whenAbsent(durationMs, defaultDrainTimeoutMs),
    acceptServices: whenAbsent(bool, true),
    answerPing: bool,
  }),
  nodePorts: section<SluiceSection["nodePorts"]>({ localhostForwarder: bool }),
  externalAddresses: section<SluiceSection["externalAddresses"]>({
    allowedCIDRs: listOf(text),
    reservedCIDRs: listOf(text),
    allowNodeAddresses: bool,
  }),
  page: section<SluiceSection["page"]>({ enabled: bool }),
  metrics: section<SluiceSection["metrics"]>({ perService: bool, maxServicePorts: whenZero(int32, 1_000) }),
});

/** `clusterCIDR`: CIDRs joined by commas. Not trimmed, so a space after a comma fails validation. */
const commaList: Codec<readonly string[]> = {
  absent: [],
  decode(node, path, report) {
    const joined = text.decode(node, path, report);
    return joined === "" ? [] : joined.split(",");
  },
  encode: (value) => value.join(","),
};

/** The whole object, without `apiVersion` and `kind`. The server addresses are not defaulted here. */
export const configSchema: Codec<ConfigFields> = section<ConfigFields>(
  {
    featureGates: omitDefault(mapOf(bool)),
    hostnameOverride: text,
    bindAddress: whenZero(text, defaultBindAddress),
    healthzBindAddress: text,
    metricsBindAddress: text,
    bindAddressHardFail: bool,
    enableProfiling: bool,
    showHiddenMetricsForVersion: text,
    mode: text,
    iptables,
    ipvs,
    nftables,
    winkernel,
    detectLocalMode: text,
    detectLocal: section<DetectLocalSection>({ bridgeInterface: text, interfaceNamePrefix: text }),
    clusterCIDR: commaList,
    nodePortAddresses: listOf(text),
    conntrack,
    oomScoreAdj: whenAbsent(int32, -999),
    configSyncPeriodMs: whenZero(durationMs, 15 * 60_000),
    portRange: text,
    windowsRunAsService: omitDefault(bool),
    clientConnection,
    logging,
    sluice: omitDefault(sluice),
  },
  ["apiVersion", "kind"],
);

/** What a file without any field gives. */
export const defaultFields: ConfigFields = withServerAddresses(configSchema.absent);
