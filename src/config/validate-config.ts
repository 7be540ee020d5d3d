/**
 * Validation: the rules of kube-proxy (Kubernetes 1.36) with its paths and texts, in its order, and those of our own
 * section.
 *
 * Paths of kube-proxy's fields are those that kube-proxy prints (`KubeProxyConfiguration.Mode.ProxyMode`), though
 * they are not always the path in the file. Of the three mode sections only the active one can refuse a
 * configuration (and the mark bit of `iptables`, which ipvs mode uses too). The others are checked as well, but what
 * is wrong there is a warning until the mode is switched.
 *
 * Pure. Expects defaulted fields with the platform's defaults filled in.
 *
 * @module
 */
import { type Cidr, parseAddress, parseCidr } from "../proxier/address.ts";
import type { ConfigWarning } from "./config-warning.ts";
import { modeSettings } from "./effective-settings.ts";
import { invalidDuration, invalidValue, unsupportedValue } from "./field-error.ts";
import { splitHostPort } from "./host-port.ts";
import {
  type ConfigFields,
  type ConntrackSection,
  detectLocalModes,
  type IpvsSection,
  isDetectLocalMode,
  isProxyMode,
  type ProxyMode,
  proxyModes,
  type SluiceSection,
} from "./proxy-config.ts";
import { validateLogging } from "./validate-logging.ts";

/** The release before the one whose metrics we follow: the only legal `showHiddenMetricsForVersion`. */
export const previousKubernetesVersion = "1.35";

const root = "KubeProxyConfiguration";
const atLeastZero = "must be greater than or equal to 0";
const aboveZero = "must be greater than 0";
const markBitRange = "must be within the range [0, 31]";
const mustBeCidr = "must be a valid CIDR";
const cidrExample = "(e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)";
const dualStackRule =
  "must be a either a single CIDR or dual-stack pair of CIDRs (e.g. [10.100.0.0/16, fde4:8dba:82e1::/48]";

/** Everything that makes the configuration unusable; empty when it is valid. */
export function validateConfig(config: ConfigFields): readonly string[] {
  return [
    ...markBitErrors(`${root}.KubeProxyIPTablesConfiguration`, config.iptables.masqueradeBit),
    ...modeSectionErrors(config, config.mode),
    ...linuxErrors(config, `${root}.KubeProxyLinuxConfiguration`),
    ...modeErrors(config.mode),
    ...negativeNumber(`${root}.ClientConnection.Burst`, config.clientConnection.burst),
    ...notAboveZero(`${root}.ConfigSyncPeriod`, config.configSyncPeriodMs),
    ...periodErrors(config, config.mode),
    ...serverErrors(config),
    ...nodePortErrors(`${root}.NodePortAddresses`, config.nodePortAddresses),
    ...hiddenMetricsErrors(config.showHiddenMetricsForVersion),
    ...detectLocalErrors(config),
    ...validateLogging(config, `${root}.logging`),
    ...sluiceErrors(config.sluice),
  ];
}

/** What would make the configuration unusable if it were in another mode, one warning per mode and error. */
export function inactiveModeWarnings(config: ConfigFields): readonly ConfigWarning[] {
  return proxyModes
    .filter((mode) => mode !== config.mode)
    .flatMap((mode) => [...modeSectionErrors(config, mode), ...periodErrors(config, mode)].map(warn(mode)));
}

function warn(mode: ProxyMode): (error: string) => ConfigWarning {
  return (error) => ({
    kind: "inactive-section",
    message: `section ${mode} is not in use but would be refused if it were: ${error}`,
  });
}

function modeSectionErrors(config: ConfigFields, mode: string): readonly string[] {
  switch (mode) {
    case "ipvs":
      return ipvsErrors(config.ipvs, `${root}.KubeProxyIPVSConfiguration`);
    case "nftables":
      return markBitErrors(`${root}.KubeProxyNFTablesConfiguration`, config.nftables.masqueradeBit);
    default:
      return []; // iptables: its mark bit is checked whatever the mode
  }
}

function markBitErrors(path: string, bit: number): readonly string[] {
  return bit < 0 || bit > 31 ? [invalidValue(`${path}.MasqueradeBit`, bit, markBitRange)] : [];
}

function ipvsErrors(ipvs: IpvsSection, path: string): readonly string[] {
  return [
    ...negativeDuration(`${path}.TCPTimeout`, ipvs.tcpTimeoutMs),
    ...negativeDuration(`${path}.TCPFinTimeout`, ipvs.tcpFinTimeoutMs),
    ...negativeDuration(`${path}.UDPTimeout`, ipvs.udpTimeoutMs),
    ...cidrListErrors(`${path}.ExcludeCidrs`, ipvs.excludeCIDRs),
  ];
}

function linuxErrors(config: ConfigFields, path: string): readonly string[] {
  const { oomScoreAdj } = config;
  const range = "must be within the range [-1000, 1000]";
  return [
    ...conntrackErrors(config.conntrack, `${path}.KubeProxyConntrackConfiguration`),
    ...(oomScoreAdj < -1000 || oomScoreAdj > 1000
      ? [invalidValue(`${path}.OOMScoreAdj`, oomScoreAdj, range)]
      : []),
  ];
}

function conntrackErrors(conntrack: ConntrackSection, path: string): readonly string[] {
  return [
    ...negativeNumber(`${path}.MaxPerCore`, conntrack.maxPerCore),
    ...negativeNumber(`${path}.Min`, conntrack.min),
    ...negativeDuration(`${path}.TCPEstablishedTimeout`, conntrack.tcpEstablishedTimeoutMs),
    ...negativeDuration(`${path}.TCPCloseWaitTimeout`, conntrack.tcpCloseWaitTimeoutMs),
    ...negativeDuration(`${path}.UDPTimeout`, conntrack.udpTimeoutMs),
    ...negativeDuration(`${path}.UDPStreamTimeout`, conntrack.udpStreamTimeoutMs),
  ];
}

function modeErrors(mode: string): readonly string[] {
  const rule = `must be ${proxyModes.join(", ")} or blank (blank means the best-available proxy [currently iptables])`;
  return mode === "" || isProxyMode(mode) ? [] : [invalidValue(`${root}.Mode.ProxyMode`, mode, rule)];
}

function periodErrors(config: ConfigFields, mode: string): readonly string[] {
  const { syncPeriodMs, minSyncPeriodMs } = modeSettings(config, mode);
  const order = `must be greater than or equal to ${root}.MinSyncPeriod`;
  return [
    ...notAboveZero(`${root}.SyncPeriod`, syncPeriodMs),
    ...negativeDuration(`${root}.MinSyncPeriod`, minSyncPeriodMs),
    ...(minSyncPeriodMs > syncPeriodMs
      ? [invalidDuration(`${root}.SyncPeriod`, minSyncPeriodMs, order)]
      : []),
  ];
}

function serverErrors(config: ConfigFields): readonly string[] {
  const { bindAddress, healthzBindAddress, metricsBindAddress } = config;
  const notAddress = "not a valid textual representation of an IP address";
  return [
    ...(parseAddress(bindAddress) === undefined
      ? [invalidValue(`${root}.BindAddress`, bindAddress, notAddress)]
      : []),
    ...(healthzBindAddress === "" ? [] : hostPortErrors(`${root}.HealthzBindAddress`, healthzBindAddress)),
    ...hostPortErrors(`${root}.MetricsBindAddress`, metricsBindAddress),
  ];
}

function hostPortErrors(path: string, text: string): readonly string[] {
  const parts = splitHostPort(text);
  if (parts === undefined) {
    return [invalidValue(path, text, "must be IP:port")];
  }
  const { host, port } = parts;
  const number = /^\+?[0-9]+$/.test(port) ? Number(port) : 0;
  return [
    ...(parseAddress(host) === undefined ? [invalidValue(path, host, "must be a valid IP")] : []),
    ...(number < 1 || number > 65_535 ? [invalidValue(path, port, "must be a valid port")] : []),
  ];
}

function nodePortErrors(path: string, addresses: readonly string[]): readonly string[] {
  const word = addresses.indexOf("primary");
  if (word < 0) {
    return cidrListErrors(path, addresses);
  }
  const mixed =
    addresses.length > 1
      ? [invalidValue(`${path}[${word}]`, "primary", "can't use both 'primary' and CIDRs")]
      : [];
  // What follows the word is not looked at: it has to go anyway.
  return [...cidrListErrors(path, addresses.slice(0, word)), ...mixed];
}

function hiddenMetricsErrors(version: string): readonly string[] {
  const rule =
    "--show-hidden-metrics-for-version must be omitted or have the value " +
    `'${previousKubernetesVersion}'. Only the previous minor version is allowed`;
  return version === "" || version === previousKubernetesVersion
    ? []
    : [invalidValue(`${root}.ShowHiddenMetricsForVersion`, version, rule)];
}

function detectLocalErrors(config: ConfigFields): readonly string[] {
  const { detectLocalMode, detectLocal, clusterCIDR } = config;
  const path = `${root}.DetectLocalConfiguration`;
  if (detectLocalMode !== "" && !isDetectLocalMode(detectLocalMode)) {
    return [unsupportedValue(`${root}.DetectLocalMode`, detectLocalMode, [...detectLocalModes, ""])];
  }
  switch (detectLocalMode) {
    case "BridgeInterface":
      return interfaceErrors(`${path}.InterfaceName`, detectLocal.bridgeInterface, longestInterfaceName);
    case "InterfaceNamePrefix":
      // Rules say `prefix+`.
      return interfaceErrors(
        `${path}.InterfacePrefix`,
        detectLocal.interfaceNamePrefix,
        longestInterfaceName - 1,
      );
    case "ClusterCIDR":
      return clusterCidrErrors(`${path}.ClusterCIDRs`, clusterCIDR);
    default:
      return [];
  }
}

/** IFNAMSIZ without the final zero. */
const longestInterfaceName = 15;

/** What stands in a rule as one word, and may stand in the name of an interface (`dev_valid_name` in Linux). */
const interfaceName = /^(?![-!])[!#-&(-.0-9;-[\]-~]+$/;

/** kube-proxy takes any text here and then cannot write a rule. */
function interfaceErrors(path: string, name: string, longest: number): readonly string[] {
  if (name === "") {
    return [invalidValue(path, "", "must not be empty")];
  }
  const rule = `must have at most ${longest} characters that interface names may have`;
  return name.length <= longest && interfaceName.test(name) ? [] : [invalidValue(path, name, rule)];
}

function clusterCidrErrors(path: string, texts: readonly string[]): readonly string[] {
  if (texts.length > 2) {
    return [invalidValue(path, texts, dualStackRule)];
  }
  const bad = cidrListErrors(path, texts, `must be a valid CIDR block ${cidrExample}`);
  const [first, second]: readonly (Cidr | undefined)[] = texts.map(parseCidr);
  const sameFamily = first !== undefined && first.family === second?.family;
  return sameFamily ? [invalidValue(path, texts, dualStackRule)] : bad;
}

function sluiceErrors(sluice: SluiceSection): readonly string[] {
  return [
    ...negativeDuration("sluice.iptables.auditPeriod", sluice.iptables.auditPeriodMs),
    ...negativeDuration("sluice.ipvs.auditPeriod", sluice.ipvs.auditPeriodMs),
    ...negativeDuration("sluice.ipvs.drainTimeout", sluice.ipvs.drainTimeoutMs),
    ...negativeNumber("sluice.metrics.maxServicePorts", sluice.metrics.maxServicePorts),
    ...cidrListErrors("sluice.externalAddresses.allowedCIDRs", sluice.externalAddresses.allowedCIDRs),
    ...cidrListErrors("sluice.externalAddresses.reservedCIDRs", sluice.externalAddresses.reservedCIDRs),
  ];
}

function cidrListErrors(
  path: string,
  texts: readonly string[],
  rule: string = mustBeCidr,
): readonly string[] {
  return texts.flatMap((text, index) =>
    parseCidr(text) === undefined ? [invalidValue(`${path}[${index}]`, text, rule)] : [],
  );
}

function negativeNumber(path: string, value: number): readonly string[] {
  return value < 0 ? [invalidValue(path, value, atLeastZero)] : [];
}

function negativeDuration(path: string, valueMs: number): readonly string[] {
  return valueMs < 0 ? [invalidDuration(path, valueMs, atLeastZero)] : [];
}

function notAboveZero(path: string, valueMs: number): readonly string[] {
  return valueMs <= 0 ? [invalidDuration(path, valueMs, aboveZero)] : [];
}
