/**
 * Decoding and defaulting of files: defaults, strictness, errors with their paths.
 *
 * @module
 */
import { expect, test } from "vitest";
import { ConfigError } from "./config-error.ts";
import { defaultFields } from "./config-schema.ts";
import { decodeConfig, maxConfigBytes } from "./decode-config.ts";
import type { ConfigFields } from "./proxy-config.ts";
import { bytesOf, header, kubeadmFile } from "./testing.ts";

function decode(body: string): ConfigFields {
  return decodeConfig(bytesOf(header + body)).fields;
}

function warningsOf(text: string): readonly string[] {
  return decodeConfig(bytesOf(text)).warnings.map((warning) => warning.message);
}

const lenient = "Using lenient decoding as strict decoding failed: strict decoding error: ";

test("decodeConfig() gives kubeadm's file the same values as an empty one", () => {
  const { fields, warnings } = decodeConfig(bytesOf(kubeadmFile));
  expect(warnings).toEqual([]);
  expect(fields).toEqual({
    ...defaultFields,
    clusterCIDR: ["10.244.0.0/16"],
    clientConnection: {
      ...defaultFields.clientConnection,
      kubeconfig: "/var/lib/kube-proxy/kubeconfig.conf",
    },
  });
});

test("decodeConfig() defaults an empty file as kube-proxy does", () => {
  expect(decode("")).toEqual({
    featureGates: new Map(),
    hostnameOverride: "",
    bindAddress: "0.0.0.0",
    healthzBindAddress: "0.0.0.0:10256",
    metricsBindAddress: "127.0.0.1:10249",
    bindAddressHardFail: false,
    enableProfiling: false,
    showHiddenMetricsForVersion: "",
    mode: "",
    iptables: {
      masqueradeBit: 14,
      masqueradeAll: false,
      localhostNodePorts: true,
      syncPeriodMs: 30_000,
      minSyncPeriodMs: 1_000,
    },
    ipvs: {
      syncPeriodMs: 30_000,
      minSyncPeriodMs: 0,
      scheduler: "",
      excludeCIDRs: [],
      strictARP: false,
      tcpTimeoutMs: 0,
      tcpFinTimeoutMs: 0,
      udpTimeoutMs: 0,
    },
    nftables: { masqueradeBit: 14, masqueradeAll: false, syncPeriodMs: 30_000, minSyncPeriodMs: 1_000 },
    winkernel: {
      networkName: "",
      sourceVip: "",
      enableDSR: false,
      rootHnsEndpointName: "",
      forwardHealthCheckVip: false,
    },
    detectLocalMode: "",
    detectLocal: { bridgeInterface: "", interfaceNamePrefix: "" },
    clusterCIDR: [],
    nodePortAddresses: [],
    conntrack: {
      maxPerCore: 32_768,
      min: 131_072,
      tcpEstablishedTimeoutMs: 86_400_000,
      tcpCloseWaitTimeoutMs: 3_600_000,
      tcpBeLiberal: false,
      udpTimeoutMs: 0,
      udpStreamTimeoutMs: 0,
    },
    oomScoreAdj: -999,
    configSyncPeriodMs: 900_000,
    portRange: "",
    windowsRunAsService: false,
    clientConnection: {
      kubeconfig: "",
      acceptContentTypes: "",
      contentType: "application/vnd.kubernetes.protobuf",
      qps: 5,
      burst: 10,
    },
    logging: {
      format: "text",
      flushFrequencyMs: 5_000,
      verbosity: 0,
      vmodule: [],
      options: {
        text: { splitStream: false, infoBufferSize: "0" },
        json: { splitStream: false, infoBufferSize: "0" },
      },
    },
    sluice: {
      affinity: { backend: "auto" },
      iptables: { variant: "auto", auditPeriodMs: 0, layout: "auto" },
      ipvs: { auditPeriodMs: 0, drainTimeoutMs: 900_000, acceptServices: true, answerPing: false },
      nodePorts: { localhostForwarder: false },
      page: { enabled: false },
      metrics: { perService: false, maxServicePorts: 1000 },
      externalAddresses: { allowedCIDRs: [], reservedCIDRs: [], allowNodeAddresses: false },
    },
  });
});

test("decodeConfig() reads every field", () => {
  const fields = decode(`
featureGates: {A: true, B: no}
hostnameOverride: node-7
bindAddress: "::"
healthzBindAddress: 192.0.2.1
metricsBindAddress: "[::]:9"
bindAddressHardFail: yes
enableProfiling: true
showHiddenMetricsForVersion: "1.35"
mode: ipvs
iptables: {masqueradeBit: 0, masqueradeAll: true, localhostNodePorts: false, syncPeriod: 1m, minSyncPeriod: 2s}
ipvs:
  syncPeriod: 45s
  minSyncPeriod: 5s
  scheduler: lc
  excludeCIDRs: [10.0.0.0/8]
  strictARP: true
  tcpTimeout: 1h
  tcpFinTimeout: 2m
  udpTimeout: 3s
nftables: {masqueradeBit: 15, masqueradeAll: true, syncPeriod: 50s, minSyncPeriod: 6s}
winkernel: {networkName: w, sourceVip: 1.2.3.4, enableDSR: true, rootHnsEndpointName: r, forwardHealthCheckVip: true}
detectLocalMode: BridgeInterface
detectLocal: {bridgeInterface: cbr0, interfaceNamePrefix: veth}
clusterCIDR: 10.0.0.0/8,fd00::/8
nodePortAddresses: [primary]
conntrack:
  maxPerCore: 0
  min: 0
  tcpEstablishedTimeout: 0s
  tcpCloseWaitTimeout: 0s
  tcpBeLiberal: true
  udpTimeout: 10s
  udpStreamTimeout: 20s
oomScoreAdj: 0
configSyncPeriod: 1h
portRange: anything
windowsRunAsService: true
clientConnection: {kubeconfig: /k, acceptContentTypes: a, contentType: c, qps: -1.5, burst: 3}
logging:
  format: json
  flushFrequency: 1s
  verbosity: 4
  vmodule: [{filePattern: "a*", verbosity: 9}]
  options: {text: {splitStream: true, infoBufferSize: 64Ki}, json: {splitStream: true, infoBufferSize: 512}}
sluice:
  affinity: {backend: ipset}
  iptables: {variant: legacy, auditPeriod: 5m, layout: lean}
  ipvs: {auditPeriod: 1m, drainTimeout: 30s, acceptServices: false, answerPing: true}
  nodePorts: {localhostForwarder: true}
  externalAddresses: {allowedCIDRs: [192.0.2.0/24], reservedCIDRs: [10.96.0.0/12], allowNodeAddresses: true}
`);
  expect(fields).toMatchObject({
    featureGates: new Map([
      ["A", true],
      ["B", false],
    ]),
    hostnameOverride: "node-7",
    bindAddress: "::",
    healthzBindAddress: "192.0.2.1:10256",
    metricsBindAddress: "[::]:9",
    bindAddressHardFail: true,
    enableProfiling: true,
    showHiddenMetricsForVersion: "1.35",
    mode: "ipvs",
    iptables: { masqueradeBit: 0, masqueradeAll: true, localhostNodePorts: false },
    ipvs: {
      syncPeriodMs: 45_000,
      minSyncPeriodMs: 5_000,
      scheduler: "lc",
      excludeCIDRs: ["10.0.0.0/8"],
      strictARP: true,
      tcpTimeoutMs: 3_600_000,
      tcpFinTimeoutMs: 120_000,
      udpTimeoutMs: 3_000,
    },
    nftables: { masqueradeBit: 15, masqueradeAll: true, syncPeriodMs: 50_000, minSyncPeriodMs: 6_000 },
    winkernel: { networkName: "w", sourceVip: "1.2.3.4", enableDSR: true, rootHnsEndpointName: "r" },
    detectLocalMode: "BridgeInterface",
    detectLocal: { bridgeInterface: "cbr0", interfaceNamePrefix: "veth" },
    clusterCIDR: ["10.0.0.0/8", "fd00::/8"],
    nodePortAddresses: ["primary"],
    conntrack: {
      maxPerCore: 0,
      min: 0,
      tcpEstablishedTimeoutMs: 0,
      tcpCloseWaitTimeoutMs: 0,
      tcpBeLiberal: true,
      udpTimeoutMs: 10_000,
      udpStreamTimeoutMs: 20_000,
    },
    oomScoreAdj: 0,
    configSyncPeriodMs: 3_600_000,
    portRange: "anything",
    windowsRunAsService: true,
    clientConnection: { kubeconfig: "/k", acceptContentTypes: "a", contentType: "c", qps: -1.5, burst: 3 },
    logging: {
      format: "json",
      flushFrequencyMs: 1_000,
      verbosity: 4,
      vmodule: [{ filePattern: "a*", verbosity: 9 }],
      options: {
        text: { splitStream: true, infoBufferSize: "64Ki" },
        json: { splitStream: true, infoBufferSize: "512" },
      },
    },
    sluice: {
      affinity: { backend: "ipset" },
      iptables: { variant: "legacy", auditPeriodMs: 300_000, layout: "lean" },
      ipvs: { auditPeriodMs: 60_000, drainTimeoutMs: 30_000, acceptServices: false, answerPing: true },
      nodePorts: { localhostForwarder: true },
      externalAddresses: {
        allowedCIDRs: ["192.0.2.0/24"],
        reservedCIDRs: ["10.96.0.0/12"],
        allowNodeAddresses: true,
      },
    },
  });
});

test("decodeConfig() accepts JSON", () => {
  const json = JSON.stringify({
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode: "iptables",
    ipvs: { syncPeriod: "30s" },
    clusterCIDR: "10.0.0.0/8",
    nodePortAddresses: [],
    iptables: { masqueradeBit: 15, syncPeriod: "40s", minSyncPeriod: "0s" },
  });
  const { fields, warnings } = decodeConfig(bytesOf(json));
  expect(warnings).toEqual([]);
  expect(fields.iptables).toMatchObject({ masqueradeBit: 15, syncPeriodMs: 40_000, minSyncPeriodMs: 1_000 });
});

test.each([
  ['bindAddress: "::"', "[::]:10256", "[::1]:10249"],
  ["bindAddress: foo", "[::]:10256", "[::1]:10249"],
  ['bindAddress: "::ffff:192.0.2.1"', "0.0.0.0:10256", "127.0.0.1:10249"],
  ["healthzBindAddress: 127.0.0.1", "127.0.0.1:10256", "127.0.0.1:10249"],
  ['metricsBindAddress: "::1"', "0.0.0.0:10256", "[::1]:10249"],
  ['metricsBindAddress: "nonsense"', "0.0.0.0:10256", "nonsense"],
])("decodeConfig() derives the server addresses of %s", (body, healthz, metrics) => {
  const { healthzBindAddress, metricsBindAddress } = decode(body);
  expect([healthzBindAddress, metricsBindAddress]).toEqual([healthz, metrics]);
});

test.each(["0", '"5s"', "5000000000", '"0s"', "null"])(
  "decodeConfig() reads flushFrequency %s as 5s",
  (value) => {
    expect(decode(`logging: {flushFrequency: ${value}}`).logging.flushFrequencyMs).toBe(5_000);
  },
);

test.each([
  ["foo: 1", 'unknown field "foo"'],
  ["iptables: {foo: 1}", 'unknown field "iptables.foo"'],
  ["udpIdleTimeout: 250ms", 'unknown field "udpIdleTimeout"'],
  ["Mode: ipvs", 'unknown field "Mode" (did you mean "mode"?)'],
  ["iptables: {masqaradeAll: true}", 'unknown field "iptables.masqaradeAll" (did you mean "masqueradeAll"?)'],
  [
    "logging: {vmodule: [{filePatern: a}]}",
    'unknown field "logging.vmodule[0].filePatern" (did you mean "filePattern"?)',
  ],
  ["sluice: {afinity: {}}", 'unknown field "sluice.afinity" (did you mean "affinity"?)'],
  ["mode: ipvs\nmode: iptables", 'line 4: key "mode" already set in map'],
  [
    "foo: 1\nbar: 2\nfoo: 3",
    'line 5: key "foo" already set in map, unknown field "foo", unknown field "bar"',
  ],
])("decodeConfig() warns about %j", (body, complaint) => {
  expect(warningsOf(header + body)).toEqual([lenient + complaint]);
});

test("decodeConfig() words duplicate fields of JSON as kube-proxy does", () => {
  const json =
    '{"apiVersion":"kubeproxy.config.k8s.io/v1alpha1","kind":"KubeProxyConfiguration","ipvs":{"scheduler":"rr","scheduler":"lc"}}';
  expect(warningsOf(json)).toEqual([`${lenient}duplicate field "ipvs.scheduler"`]);
});

test("decodeConfig() lists no more than twenty complaints", () => {
  const body = Array.from({ length: 25 }, (_, index) => `unknown${index}: 1`).join("\n");
  const [message = ""] = warningsOf(header + body);
  expect(message.match(/unknown field/g)).toHaveLength(20);
  expect(message).toMatch(/, and 5 more$/);
});

test.each([
  [
    "configSyncPeriod: 30",
    'configSyncPeriod: expected a duration string such as "30s", got the number 30 (line 3)',
  ],
  ['configSyncPeriod: "30"', 'configSyncPeriod: time: missing unit in duration "30" (line 3)'],
  ['configSyncPeriod: ""', 'configSyncPeriod: time: invalid duration "" (line 3)'],
  ["mode: 1", "mode: expected a string, got the number 1 (line 3)"],
  ["mode: yes", "mode: expected a string, got the boolean true (line 3)"],
  ["mode: [ipvs]", "mode: expected a string, got a list (line 3)"],
  ["iptables: ipvs", 'iptables: expected a mapping, got the string "ipvs" (line 3)'],
  ["iptables:\n  masqueradeAll: 1", "iptables.masqueradeAll: expected a boolean, got the number 1 (line 4)"],
  [
    'iptables: {masqueradeBit: "14"}',
    'iptables.masqueradeBit: expected a 32-bit integer, got the string "14" (line 3)',
  ],
  ["oomScoreAdj: 1.5", "oomScoreAdj: expected a 32-bit integer, got the number 1.5 (line 3)"],
  ["oomScoreAdj: 2147483648", "oomScoreAdj: expected a 32-bit integer, got the number 2147483648 (line 3)"],
  [
    "logging: {verbosity: -1}",
    "logging.verbosity: expected an unsigned 32-bit integer, got the number -1 (line 3)",
  ],
  [
    "logging: {flushFrequency: 1.5}",
    'logging.flushFrequency: expected a duration string such as "30s" or a number of nanoseconds, got the number 1.5 (line 3)',
  ],
  [
    "logging: {options: {json: {infoBufferSize: many}}}",
    'logging.options.json.infoBufferSize: expected a quantity such as "64Ki", got the string "many" (line 3)',
  ],
  [
    "clientConnection: {qps: 1e39}",
    "clientConnection.qps: expected a 32-bit floating-point number, got the number 1e+39 (line 3)",
  ],
  [
    "clientConnection: {qps: .nan}",
    "clientConnection.qps: expected a 32-bit floating-point number, got the number NaN (line 3)",
  ],
  ["nodePortAddresses: primary", 'nodePortAddresses: expected a list, got the string "primary" (line 3)'],
  ["nodePortAddresses: [a, 1]", "nodePortAddresses[1]: expected a string, got the number 1 (line 3)"],
  ["featureGates: {A: maybe}", 'featureGates.A: expected a boolean, got the string "maybe" (line 3)'],
  ["featureGates: [A]", "featureGates: expected a mapping, got a list (line 3)"],
  ["clusterCIDR: [10.0.0.0/8]", "clusterCIDR: expected a string, got a list (line 3)"],
  [
    "sluice: {affinity: {backend: hash}}",
    'sluice.affinity.backend: Unsupported value: "hash": supported values: "auto", "recent", "ipset"',
  ],
  ["sluice: {iptables: {layout: 1}}", "sluice.iptables.layout: expected a string, got the number 1 (line 3)"],
  [
    "mode: 1\nipvs: {strictARP: 2}",
    "[mode: expected a string, got the number 1 (line 3), ipvs.strictARP: expected a boolean, got the number 2 (line 4)]",
  ],
])("decodeConfig() refuses %j", (body, reason) => {
  expect(() => decode(body)).toThrow(new ConfigError(`failed to decode: ${reason}`));
});

test.each([
  ["", "Object 'Kind' is missing: the file does not hold a mapping"],
  ["- a", "Object 'Kind' is missing: the file does not hold a mapping"],
  ["apiVersion: kubeproxy.config.k8s.io/v1alpha1", "Object 'Kind' is missing"],
  ["kind: ''", "Object 'Kind' is missing"],
  ["kind: KubeProxyConfiguration", "Object 'apiVersion' is missing"],
  [
    "apiVersion: v1\nkind: ConfigMap",
    'no kind "ConfigMap" is registered for version "v1"; ' +
      'expected "KubeProxyConfiguration" of "kubeproxy.config.k8s.io/v1alpha1"',
  ],
  ["kind: [", "Flow sequence in block collection must be sufficiently indented and end with a ] (line 1)"],
])("decodeConfig() refuses the document %j", (text, reason) => {
  expect(() => decodeConfig(bytesOf(text))).toThrow(new ConfigError(`failed to decode: ${reason}`));
});

test("decodeConfig() refuses what is no UTF-8 text or too large", () => {
  expect(() => decodeConfig(Uint8Array.of(0xff, 0xfe, 0x61, 0x00))).toThrow(
    "failed to decode: the file is not valid UTF-8",
  );
  expect(() => decodeConfig(new Uint8Array(maxConfigBytes + 1))).toThrow("more than 1048576 bytes");
});

test("decodeConfig() keeps its message on one line", () => {
  expect(() => decode('mode: ["a"\n')).toThrow(/^[^\n]*$/);
});
