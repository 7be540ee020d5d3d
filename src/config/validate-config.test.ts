/**
 * Every validation rule, with kube-proxy's path and text.
 *
 * @module
 */
import { expect, test } from "vitest";
import { withPlatformDefaults } from "./config-defaults.ts";
import { defaultFields } from "./config-schema.ts";
import { decodeConfig } from "./decode-config.ts";
import type { ConfigFields } from "./proxy-config.ts";
import { bytesOf, header } from "./testing.ts";
import { inactiveModeWarnings, validateConfig } from "./validate-config.ts";

function fieldsOf(body: string): ConfigFields {
  return withPlatformDefaults(decodeConfig(bytesOf(header + body)).fields);
}

function errorsOf(body: string): readonly string[] {
  return validateConfig(fieldsOf(body)).map((error) => error.replace(/^KubeProxyConfiguration\./, ""));
}

const conntrack = "KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration";
const markRange = "must be within the range [0, 31]";
const atLeastZero = "must be greater than or equal to 0";
const dualStackRule =
  "must be a either a single CIDR or dual-stack pair of CIDRs (e.g. [10.100.0.0/16, fde4:8dba:82e1::/48]";
const modeRule =
  "must be iptables, ipvs, nftables or blank (blank means the best-available proxy [currently iptables])";
const hiddenRule =
  "--show-hidden-metrics-for-version must be omitted or have the value '1.35'. Only the previous minor version is allowed";
const alphaRule = "Forbidden: Feature LoggingAlphaOptions is disabled";
const supportedModes = '"ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix", ""';

test.each([
  [
    "iptables: {masqueradeBit: -1}",
    `KubeProxyIPTablesConfiguration.MasqueradeBit: Invalid value: -1: ${markRange}`,
  ],
  [
    "iptables: {masqueradeBit: 32}",
    `KubeProxyIPTablesConfiguration.MasqueradeBit: Invalid value: 32: ${markRange}`,
  ],
  [
    "mode: ipvs\niptables: {masqueradeBit: 32}",
    `KubeProxyIPTablesConfiguration.MasqueradeBit: Invalid value: 32: ${markRange}`,
  ],
  [
    "mode: ipvs\nipvs: {tcpTimeout: -1s}",
    `KubeProxyIPVSConfiguration.TCPTimeout: Invalid value: -1s: ${atLeastZero}`,
  ],
  [
    "mode: ipvs\nipvs: {tcpFinTimeout: -1s}",
    `KubeProxyIPVSConfiguration.TCPFinTimeout: Invalid value: -1s: ${atLeastZero}`,
  ],
  [
    "mode: ipvs\nipvs: {udpTimeout: -1s}",
    `KubeProxyIPVSConfiguration.UDPTimeout: Invalid value: -1s: ${atLeastZero}`,
  ],
  [
    "mode: ipvs\nipvs: {excludeCIDRs: [10.0.0.0/8, 10.0.0.1]}",
    'KubeProxyIPVSConfiguration.ExcludeCidrs[1]: Invalid value: "10.0.0.1": must be a valid CIDR',
  ],
  [
    "mode: nftables\nnftables: {masqueradeBit: 32}",
    `KubeProxyNFTablesConfiguration.MasqueradeBit: Invalid value: 32: ${markRange}`,
  ],
  ["conntrack: {maxPerCore: -1}", `${conntrack}.MaxPerCore: Invalid value: -1: ${atLeastZero}`],
  ["conntrack: {min: -1}", `${conntrack}.Min: Invalid value: -1: ${atLeastZero}`],
  [
    "conntrack: {tcpEstablishedTimeout: -5s}",
    `${conntrack}.TCPEstablishedTimeout: Invalid value: -5s: ${atLeastZero}`,
  ],
  [
    "conntrack: {tcpCloseWaitTimeout: -5s}",
    `${conntrack}.TCPCloseWaitTimeout: Invalid value: -5s: ${atLeastZero}`,
  ],
  ["conntrack: {udpTimeout: -5s}", `${conntrack}.UDPTimeout: Invalid value: -5s: ${atLeastZero}`],
  ["conntrack: {udpStreamTimeout: -5s}", `${conntrack}.UDPStreamTimeout: Invalid value: -5s: ${atLeastZero}`],
  [
    "oomScoreAdj: -1001",
    "KubeProxyLinuxConfiguration.OOMScoreAdj: Invalid value: -1001: must be within the range [-1000, 1000]",
  ],
  [
    "oomScoreAdj: 1001",
    "KubeProxyLinuxConfiguration.OOMScoreAdj: Invalid value: 1001: must be within the range [-1000, 1000]",
  ],
  ["mode: userspace", `Mode.ProxyMode: Invalid value: "userspace": ${modeRule}`],
  ["mode: IPVS", `Mode.ProxyMode: Invalid value: "IPVS": ${modeRule}`],
  ["clientConnection: {burst: -1}", `ClientConnection.Burst: Invalid value: -1: ${atLeastZero}`],
  ["configSyncPeriod: -1s", "ConfigSyncPeriod: Invalid value: -1s: must be greater than 0"],
  ["iptables: {minSyncPeriod: -1s}", `MinSyncPeriod: Invalid value: -1s: ${atLeastZero}`],
  [
    "iptables: {minSyncPeriod: 60s}",
    "SyncPeriod: Invalid value: 1m0s: must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod",
  ],
  [
    "mode: ipvs\nipvs: {minSyncPeriod: 31s}",
    "SyncPeriod: Invalid value: 31s: must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod",
  ],
  [
    'bindAddress: "[::]"',
    'BindAddress: Invalid value: "[::]": not a valid textual representation of an IP address',
  ],
  ["healthzBindAddress: nowhere", 'HealthzBindAddress: Invalid value: "nowhere": must be IP:port'],
  ["healthzBindAddress: host:80", 'HealthzBindAddress: Invalid value: "host": must be a valid IP'],
  ["healthzBindAddress: 1.2.3.4:0", 'HealthzBindAddress: Invalid value: "0": must be a valid port'],
  ["metricsBindAddress: 1.2.3.4:65536", 'MetricsBindAddress: Invalid value: "65536": must be a valid port'],
  ["metricsBindAddress: 1.2.3.4:http", 'MetricsBindAddress: Invalid value: "http": must be a valid port'],
  ['metricsBindAddress: ":10249"', 'MetricsBindAddress: Invalid value: "": must be a valid IP'],
  [
    "nodePortAddresses: [primary, 10.0.0.0/8]",
    "NodePortAddresses[0]: Invalid value: \"primary\": can't use both 'primary' and CIDRs",
  ],
  [
    "nodePortAddresses: [10.0.0.0/8, primary]",
    "NodePortAddresses[1]: Invalid value: \"primary\": can't use both 'primary' and CIDRs",
  ],
  [
    "nodePortAddresses: [10.0.0.0/8, 1.2.3.4]",
    'NodePortAddresses[1]: Invalid value: "1.2.3.4": must be a valid CIDR',
  ],
  [
    "showHiddenMetricsForVersion: '1.34'",
    `ShowHiddenMetricsForVersion: Invalid value: "1.34": ${hiddenRule}`,
  ],
  [
    "detectLocalMode: Magic",
    `DetectLocalMode: Unsupported value: "Magic": supported values: ${supportedModes}`,
  ],
  [
    "detectLocalMode: BridgeInterface",
    'DetectLocalConfiguration.InterfaceName: Invalid value: "": must not be empty',
  ],
  [
    "detectLocalMode: InterfaceNamePrefix",
    'DetectLocalConfiguration.InterfacePrefix: Invalid value: "": must not be empty',
  ],
  [
    "clusterCIDR: 10.0.0.0/8,10.1.0.0/16",
    `DetectLocalConfiguration.ClusterCIDRs: Invalid value: ["10.0.0.0/8","10.1.0.0/16"]: ${dualStackRule}`,
  ],
  [
    "clusterCIDR: 10.0.0.0/8,fd00::/8,10.1.0.0/16",
    `DetectLocalConfiguration.ClusterCIDRs: Invalid value: ["10.0.0.0/8","fd00::/8","10.1.0.0/16"]: ${dualStackRule}`,
  ],
  [
    "clusterCIDR: 10.0.0.0/8, fd00::/8",
    'DetectLocalConfiguration.ClusterCIDRs[1]: Invalid value: " fd00::/8": ' +
      "must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)",
  ],
  ["logging: {format: xml}", 'logging.format: Invalid value: "xml": Unsupported log format'],
  ["logging: {flushFrequency: -1}", "logging.flushFrequency: Invalid value: -1ns: must be greater than 0"],
  ["logging: {verbosity: 2147483648}", "logging.verbosity: Invalid value: 2147483648: Must be <= 2147483647"],
  [
    "logging: {format: json, vmodule: [{filePattern: a, verbosity: 1}]}",
    "logging.vmodule: Forbidden: Only supported for text log format",
  ],
  [
    "logging: {vmodule: [{verbosity: 1}]}",
    "logging.vmodule[0]: Required value: File pattern must not be empty",
  ],
  [
    'logging: {vmodule: [{filePattern: "a=b"}]}',
    'logging.vmodule[0]: Invalid value: "a=b": File pattern must not contain equal sign or comma',
  ],
  [
    "logging: {vmodule: [{filePattern: a, verbosity: 2147483648}]}",
    "logging.vmodule[0]: Invalid value: 2147483648: Must be <= 2147483647",
  ],
  ["logging: {options: {json: {splitStream: true}}}", `logging.options.json.splitStream: ${alphaRule}`],
  ["logging: {options: {text: {infoBufferSize: 1Ki}}}", `logging.options.text.infoBufferSize: ${alphaRule}`],
  ["sluice: {ipvs: {drainTimeout: -1s}}", `sluice.ipvs.drainTimeout: Invalid value: -1s: ${atLeastZero}`],
  ["sluice: {ipvs: {auditPeriod: -1s}}", `sluice.ipvs.auditPeriod: Invalid value: -1s: ${atLeastZero}`],
  [
    "sluice: {iptables: {auditPeriod: -1s}}",
    `sluice.iptables.auditPeriod: Invalid value: -1s: ${atLeastZero}`,
  ],
  [
    "sluice: {externalAddresses: {reservedCIDRs: [10.96.0.0/12, x]}}",
    'sluice.externalAddresses.reservedCIDRs[1]: Invalid value: "x": must be a valid CIDR',
  ],
  [
    "sluice: {externalAddresses: {allowedCIDRs: [1.2.3.4]}}",
    'sluice.externalAddresses.allowedCIDRs[0]: Invalid value: "1.2.3.4": must be a valid CIDR',
  ],
])("validateConfig() refuses %j", (body, error) => {
  expect(errorsOf(body)).toEqual([error]);
});

const interfaceModes = [
  ["BridgeInterface", "bridgeInterface", "InterfaceName", 15],
  ["InterfaceNamePrefix", "interfaceNamePrefix", "InterfacePrefix", 14],
] as const;

test.each(interfaceModes)("validateConfig() refuses what %s cannot look for", (mode, key, field, longest) => {
  const errors = (name: string): readonly string[] =>
    errorsOf(`detectLocalMode: ${mode}\ndetectLocal: {${key}: ${JSON.stringify(name)}}`);
  for (const name of ["x".repeat(longest + 1), "a b", "-i", "!x", "a/b", "a:b", "a'b", "a\\b", "caf\u00e9"]) {
    const rule = `must have at most ${longest} characters that interface names may have`;
    expect(errors(name)).toEqual([
      `DetectLocalConfiguration.${field}: Invalid value: ${JSON.stringify(name)}: ${rule}`,
    ]);
  }
  for (const name of ["x".repeat(longest), "cali", "br-1.2_3@4", "br+"]) {
    expect(errors(name)).toEqual([]);
  }
});

test("validateConfig() refuses a period that is not above zero, and one below the minimum", () => {
  expect(errorsOf("iptables: {syncPeriod: -1s}")).toEqual([
    "SyncPeriod: Invalid value: -1s: must be greater than 0",
    "SyncPeriod: Invalid value: 1s: must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod",
  ]);
});

test("validateConfig() refuses an empty metrics address, though an empty health address is fine", () => {
  const fields = { ...withPlatformDefaults(defaultFields), healthzBindAddress: "", metricsBindAddress: "" };
  expect(validateConfig(fields)).toEqual([
    'KubeProxyConfiguration.MetricsBindAddress: Invalid value: "": must be IP:port',
  ]);
});

test.each([
  "",
  "mode: ipvs",
  "mode: nftables",
  "iptables: {masqueradeBit: 0}",
  "iptables: {masqueradeBit: 31}",
  "iptables: {minSyncPeriod: 30s}",
  "bindAddress: 010.0.0.1",
  "clusterCIDR: 10.1.2.3/16",
  "clusterCIDR: fd00::/8,10.0.0.0/8",
  "detectLocalMode: NodeCIDR\nclusterCIDR: nonsense",
  "nodePortAddresses: [primary]",
  "nodePortAddresses: [10.1.2.3/8, '::/0']",
  "showHiddenMetricsForVersion: '1.35'",
  "portRange: nonsense",
  "ipvs: {excludeCIDRs: [nonsense], tcpTimeout: -1s, minSyncPeriod: 1h}",
  "nftables: {masqueradeBit: 99}",
  "featureGates: {NoSuchGate: true}",
  "featureGates: {LoggingAlphaOptions: true}\nlogging: {options: {json: {splitStream: true, infoBufferSize: 1M}}}",
  "logging: {options: {json: {infoBufferSize: 0.0Ki}}}",
  "clientConnection: {qps: -1}",
  "conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s}",
])("validateConfig() accepts %j", (body) => {
  expect(errorsOf(body)).toEqual([]);
});

test("validateConfig() lists errors in kube-proxy's order", () => {
  expect(
    errorsOf("mode: x\noomScoreAdj: 2000\nbindAddress: x\ndetectLocalMode: Magic").map(
      (e) => e.split(":")[0],
    ),
  ).toEqual(["KubeProxyLinuxConfiguration.OOMScoreAdj", "Mode.ProxyMode", "BindAddress", "DetectLocalMode"]);
});

test.each([
  [
    "ipvs: {excludeCIDRs: [x]}",
    'section ipvs is not in use but would be refused if it were: KubeProxyConfiguration.KubeProxyIPVSConfiguration.ExcludeCidrs[0]: Invalid value: "x": must be a valid CIDR',
  ],
  [
    "ipvs: {minSyncPeriod: 1h}",
    "section ipvs is not in use but would be refused if it were: KubeProxyConfiguration.SyncPeriod: Invalid value: 1h0m0s: must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod",
  ],
  [
    "nftables: {masqueradeBit: 99}",
    "section nftables is not in use but would be refused if it were: KubeProxyConfiguration.KubeProxyNFTablesConfiguration.MasqueradeBit: Invalid value: 99: must be within the range [0, 31]",
  ],
  [
    "mode: ipvs\niptables: {syncPeriod: 1ms}",
    "section iptables is not in use but would be refused if it were: KubeProxyConfiguration.SyncPeriod: Invalid value: 1s: must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod",
  ],
])("inactiveModeWarnings() reports %j", (body, message) => {
  expect(inactiveModeWarnings(fieldsOf(body))).toEqual([{ kind: "inactive-section", message }]);
});

test("inactiveModeWarnings() says nothing about sections that would do", () => {
  expect(
    ["iptables", "ipvs", "nftables"].flatMap((mode) => inactiveModeWarnings(fieldsOf(`mode: ${mode}`))),
  ).toEqual([]);
});
