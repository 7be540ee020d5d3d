/**
 * The printed configuration.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { PlainObject } from "./codec.ts";
import { withPlatformDefaults } from "./config-defaults.ts";
import { decodeConfig } from "./decode-config.ts";
import { configObject, printConfig } from "./print-config.ts";
import type { ConfigFields } from "./proxy-config.ts";
import { bytesOf, header, kubeadmFile, run, runFile } from "./testing.ts";

test("printConfig() prints the effective configuration with sorted keys", async () => {
  const { config } = await run(["--config=f"], kubeadmFile);
  expect(printConfig(config)).toBe(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 10
  contentType: application/vnd.kubernetes.protobuf
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 5
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 15m0s
conntrack:
  maxPerCore: 32768
  min: 131072
  tcpBeLiberal: false
  tcpCloseWaitTimeout: 1h0m0s
  tcpEstablishedTimeout: 24h0m0s
  udpStreamTimeout: 0s
  udpTimeout: 0s
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ClusterCIDR
enableProfiling: false
healthzBindAddress: 0.0.0.0:10256
hostnameOverride: ""
iptables:
  localhostNodePorts: true
  masqueradeAll: false
  masqueradeBit: 14
  minSyncPeriod: 1s
  syncPeriod: 30s
ipvs:
  excludeCIDRs: null
  minSyncPeriod: 0s
  scheduler: ""
  strictARP: false
  syncPeriod: 0s
  tcpFinTimeout: 0s
  tcpTimeout: 0s
  udpTimeout: 0s
kind: KubeProxyConfiguration
logging:
  flushFrequency: 5s
  format: text
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 0
metricsBindAddress: 127.0.0.1:10249
mode: iptables
nftables:
  masqueradeAll: false
  masqueradeBit: 14
  minSyncPeriod: 0s
  syncPeriod: 0s
nodePortAddresses: null
oomScoreAdj: -999
portRange: ""
showHiddenMetricsForVersion: ""
winkernel:
  enableDSR: false
  forwardHealthCheckVip: false
  networkName: ""
  rootHnsEndpointName: ""
  sourceVip: ""
`);
});

const allSections = `
iptables: {syncPeriod: 11s, minSyncPeriod: 1s, masqueradeAll: true}
ipvs: {syncPeriod: 22s, minSyncPeriod: 2s}
nftables: {syncPeriod: 33s, minSyncPeriod: 3s, masqueradeAll: true}
`;

function periodsOf(object: PlainObject): unknown {
  const { iptables, ipvs, nftables } = object;
  return { iptables, ipvs, nftables };
}

test.each([
  ["iptables", { iptables: ["1s", "11s", true], ipvs: ["0s", "0s"], nftables: ["0s", "0s", false] }],
  ["ipvs", { iptables: ["0s", "0s", true], ipvs: ["2s", "22s"], nftables: ["0s", "0s", false] }],
  ["nftables", { iptables: ["0s", "0s", false], ipvs: ["0s", "0s"], nftables: ["3s", "33s", true] }],
])("configObject() shows the periods of mode %s only", (mode, expected) => {
  const { fields } = decodeConfig(bytesOf(`${header}mode: ${mode}${allSections}`));
  const show = ([minSyncPeriod, syncPeriod, masqueradeAll]: readonly unknown[]): unknown => ({
    minSyncPeriod,
    syncPeriod,
    ...(masqueradeAll === undefined ? {} : { masqueradeAll }),
  });
  expect(periodsOf(configObject(fields))).toMatchObject({
    iptables: show(expected.iptables),
    ipvs: show(expected.ipvs),
    nftables: show(expected.nftables),
  });
});

test("printConfig() shows our own section only if something in it was changed", async () => {
  const { config } = await runFile("sluice: {affinity: {backend: recent}}");
  expect(configObject(config)["sluice"]).toEqual({
    affinity: { backend: "recent" },
    externalAddresses: { allowedCIDRs: null, reservedCIDRs: null, allowNodeAddresses: false },
    iptables: { auditPeriod: "0s", layout: "auto", variant: "auto" },
    ipvs: { acceptServices: true, answerPing: false, auditPeriod: "0s", drainTimeout: "15m0s" },
    nodePorts: { localhostForwarder: false },
    page: { enabled: false },
    metrics: { perService: false, maxServicePorts: 1000 },
  });
  expect(printConfig((await runFile("")).config)).not.toContain("sluice");
});

test("printConfig() quotes words that would be read as something else", async () => {
  const { config } = await runFile('hostnameOverride: "yes"\nportRange: "010"');
  const { fields } = decodeConfig(bytesOf(printConfig(config)));
  expect([fields.hostnameOverride, fields.portRange]).toEqual(["yes", "010"]);
});

const anyText = fc.oneof(
  fc.string(),
  fc.constantFrom("yes", "010", "1:30", "~", "2001-01-01", "<<", "a: b", "0x1"),
);
const anyDurationMs = fc.oneof(
  fc.constant(0),
  fc.integer(),
  fc.double({ min: -1e12, max: 1e12, noNaN: true }),
);
const anyList = fc.array(anyText, { maxLength: 3 });

/** Changes of many fields of all kinds; valid or not does not matter here. */
const anyChange = fc.record(
  {
    featureGates: fc.dictionary(anyText, fc.boolean()),
    hostnameOverride: anyText,
    bindAddress: anyText,
    healthzBindAddress: anyText,
    mode: fc.constantFrom("", "iptables", "ipvs", "nftables", "other"),
    clusterCIDR: anyText,
    nodePortAddresses: anyList,
    oomScoreAdj: fc.integer(),
    windowsRunAsService: fc.boolean(),
    configSyncPeriod: anyDurationMs.map((ms) => `${Math.trunc(ms)}ms`),
    iptables: fc.record(
      { masqueradeBit: fc.integer(), syncPeriod: anyDurationMs.map((ms) => `${Math.trunc(ms)}ns`) },
      { requiredKeys: [] },
    ),
    ipvs: fc.record(
      { excludeCIDRs: anyList, strictARP: fc.boolean(), scheduler: anyText },
      { requiredKeys: [] },
    ),
    clientConnection: fc.record(
      { qps: fc.float({ noNaN: true, noDefaultInfinity: true }) },
      { requiredKeys: [] },
    ),
    logging: fc.record(
      { vmodule: fc.array(fc.record({ filePattern: anyText, verbosity: fc.nat() }), { maxLength: 2 }) },
      { requiredKeys: [] },
    ),
    sluice: fc.record(
      { affinity: fc.record({ backend: fc.constantFrom("auto", "recent", "ipset") }, { requiredKeys: [] }) },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);

/** The sections of the other modes lose their periods and masquerade-all when printed. */
function withoutInactive(fields: ConfigFields): unknown {
  const periods = { syncPeriodMs: 0, minSyncPeriodMs: 0, masqueradeAll: false };
  const inactive = (mode: string): boolean => (fields.mode === "nftables") !== (mode === "nftables");
  return {
    ...fields,
    iptables: { ...fields.iptables, ...(fields.mode === "iptables" ? {} : periods) },
    ipvs: { ...fields.ipvs, ...(fields.mode === "ipvs" ? {} : periods) },
    nftables: { ...fields.nftables, ...(inactive("nftables") ? periods : {}) },
  };
}

test("decodeConfig() reads back what printConfig() prints, and it prints the same again", () => {
  fc.assert(
    fc.property(anyChange, (change) => {
      const object = {
        apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
        kind: "KubeProxyConfiguration",
        ...change,
      };
      const fields = withPlatformDefaults(decodeConfig(bytesOf(JSON.stringify(object))).fields);
      const printed = printConfig(fields);
      const { fields: again, warnings } = decodeConfig(bytesOf(printed));
      expect(warnings).toEqual([]);
      expect(withoutInactive(again)).toEqual(withoutInactive(fields));
      expect(printConfig(again)).toBe(printed);
    }),
    { numRuns: 300 },
  );
});
