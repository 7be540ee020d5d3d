/**
 * The configuration of a command line without a file.
 *
 * @module
 */
import { expect, test } from "vitest";
import { configFlags } from "./config-flags.ts";
import { defaultFields } from "./config-schema.ts";
import { fieldsFromFlags } from "./fields-from-flags.ts";
import { parseKubeProxyFlags } from "./kube-proxy-flags.ts";
import type { ConfigFields } from "./proxy-config.ts";

function fields(...argv: readonly string[]): ConfigFields {
  return fieldsFromFlags(parseKubeProxyFlags(argv));
}

test("fieldsFromFlags() without flags equals an empty file but for the minimum period of ipvs mode", () => {
  expect(fields()).toEqual({ ...defaultFields, ipvs: { ...defaultFields.ipvs, minSyncPeriodMs: 1_000 } });
});

test("fieldsFromFlags() puts every flag that equals a field into that field", () => {
  expect(
    fields(
      "--feature-gates=A=true",
      "--kubeconfig=/k",
      "--kube-api-content-type=c",
      "--kube-api-qps=2.5",
      "--kube-api-burst=7",
      "--bind-address=::",
      "--healthz-bind-address=[::]:1",
      "--metrics-bind-address=[::]:2",
      "--bind-address-hard-fail",
      "--profiling",
      "--show-hidden-metrics-for-version=1.35",
      "--proxy-mode=ipvs",
      "--iptables-masquerade-bit=3",
      "--masquerade-all",
      "--iptables-localhost-nodeports=false",
      "--ipvs-sync-period=20s",
      "--ipvs-min-sync-period=2s",
      "--ipvs-scheduler=lc",
      "--ipvs-exclude-cidrs=10.0.0.0/8,11.0.0.0/8",
      "--ipvs-strict-arp",
      "--ipvs-tcp-timeout=1s",
      "--ipvs-tcpfin-timeout=2s",
      "--ipvs-udp-timeout=3s",
      "--detect-local-mode=NodeCIDR",
      "--pod-bridge-interface=br",
      "--pod-interface-name-prefix=veth",
      "--cluster-cidr=10.0.0.0/8,fd00::/8",
      "--nodeport-addresses=primary",
      "--oom-score-adj=-5",
      "--conntrack-max-per-core=1",
      "--conntrack-min=2",
      "--conntrack-tcp-timeout-established=3s",
      "--conntrack-tcp-timeout-close-wait=4s",
      "--conntrack-tcp-be-liberal",
      "--conntrack-udp-timeout=5s",
      "--conntrack-udp-timeout-stream=6s",
      "--config-sync-period=7s",
      "--logging-format=json",
      "--log-flush-frequency=8s",
      "-v9",
      "--vmodule=a=1",
      "--log-text-split-stream",
      "--log-text-info-buffer-size=1Ki",
      "--log-json-split-stream",
      "--log-json-info-buffer-size=2Ki",
    ),
  ).toEqual({
    ...defaultFields,
    featureGates: new Map([["A", true]]),
    bindAddress: "::",
    healthzBindAddress: "[::]:1",
    metricsBindAddress: "[::]:2",
    bindAddressHardFail: true,
    enableProfiling: true,
    showHiddenMetricsForVersion: "1.35",
    mode: "ipvs",
    iptables: { ...defaultFields.iptables, masqueradeBit: 3, masqueradeAll: true, localhostNodePorts: false },
    ipvs: {
      syncPeriodMs: 20_000,
      minSyncPeriodMs: 2_000,
      scheduler: "lc",
      excludeCIDRs: ["10.0.0.0/8", "11.0.0.0/8"],
      strictARP: true,
      tcpTimeoutMs: 1_000,
      tcpFinTimeoutMs: 2_000,
      udpTimeoutMs: 3_000,
    },
    detectLocalMode: "NodeCIDR",
    detectLocal: { bridgeInterface: "br", interfaceNamePrefix: "veth" },
    clusterCIDR: ["10.0.0.0/8", "fd00::/8"],
    nodePortAddresses: ["primary"],
    conntrack: {
      maxPerCore: 1,
      min: 2,
      tcpEstablishedTimeoutMs: 3_000,
      tcpCloseWaitTimeoutMs: 4_000,
      tcpBeLiberal: true,
      udpTimeoutMs: 5_000,
      udpStreamTimeoutMs: 6_000,
    },
    oomScoreAdj: -5,
    configSyncPeriodMs: 7_000,
    clientConnection: {
      ...defaultFields.clientConnection,
      kubeconfig: "/k",
      contentType: "c",
      qps: 2.5,
      burst: 7,
    },
    logging: {
      format: "json",
      flushFrequencyMs: 8_000,
      verbosity: 9,
      vmodule: [{ filePattern: "a", verbosity: 1 }],
      options: {
        text: { splitStream: true, infoBufferSize: "1Ki" },
        json: { splitStream: true, infoBufferSize: "2Ki" },
      },
    },
  });
});

/** A value of each type of flag that is no default. */
const otherValues = new Map([
  ["string", "x"],
  ["strings", "x"],
  ["int32", "7"],
  ["float32", "7"],
  ["duration", "77s"],
  ["ip", "192.0.2.7"],
  ["ipport", "192.0.2.7:7"],
  ["mapStringBool", "X=true"],
]);

/** What some flags need beside them to have an effect. */
const company = new Map([
  ["healthz-port", ["--healthz-bind-address=192.0.2.7"]],
  ["metrics-port", ["--metrics-bind-address=192.0.2.7"]],
  ["ipvs-sync-period", ["--proxy-mode=ipvs"]],
  ["ipvs-min-sync-period", ["--proxy-mode=ipvs"]],
]);

test.each(
  Object.entries(configFlags).map(([name, { type, initial }]) => [name, type.label, initial] as const),
)("fieldsFromFlags() does not forget --%s", (name, label, initial) => {
  const others = company.get(name) ?? [];
  const value = otherValues.get(label) ?? String(initial !== true);
  expect(fields(...others, `--${name}=${value}`)).not.toEqual(fields(...others));
});

const periodFlags = [
  "--iptables-sync-period=11s",
  "--iptables-min-sync-period=0s",
  "--ipvs-sync-period=22s",
  "--ipvs-min-sync-period=2s",
];

test.each([
  ["iptables", [11_000, 0], [30_000, 1_000], [30_000, 1_000]],
  ["ipvs", [30_000, 1_000], [22_000, 2_000], [30_000, 1_000]],
  ["nftables", [30_000, 1_000], [30_000, 1_000], [11_000, 0]],
])("fieldsFromFlags() sets the periods of mode %s only", (mode, iptables, ipvs, nftables) => {
  const set = fields(`--proxy-mode=${mode}`, ...periodFlags);
  const periods = [set.iptables, set.ipvs, set.nftables].map((one) => [
    one.syncPeriodMs,
    one.minSyncPeriodMs,
  ]);
  expect(periods).toEqual([iptables, ipvs, nftables]);
});

test.each([
  ["iptables", true, false],
  ["ipvs", true, false],
  ["nftables", false, true],
])("fieldsFromFlags() sets masquerade-all where mode %s looks for it", (mode, iptables, nftables) => {
  const set = fields("--masquerade-all", `--proxy-mode=${mode}`);
  expect([set.iptables.masqueradeAll, set.nftables.masqueradeAll]).toEqual([iptables, nftables]);
});

test.each([
  [["--healthz-port=12345"], "0.0.0.0:10256", "127.0.0.1:10249"],
  [["--healthz-port=12345", "--healthz-bind-address=0.0.0.0"], "0.0.0.0:12345", "127.0.0.1:10249"],
  [["--healthz-bind-address=::1", "--metrics-bind-address=::"], "[::1]:10256", "[::]:10249"],
  [["--healthz-port=0"], "", "127.0.0.1:10249"],
  [["--metrics-port=0"], "0.0.0.0:10256", ""],
  [["--healthz-port=0", "--write-config-to=f"], "0.0.0.0:10256", "127.0.0.1:10249"],
  [["--healthz-bind-address=1.2.3.4", "--write-config-to=f"], "1.2.3.4", "127.0.0.1:10249"],
  [["--healthz-bind-address=", "--metrics-bind-address="], "0.0.0.0:10256", "127.0.0.1:10249"],
  [["--bind-address=::"], "0.0.0.0:10256", "127.0.0.1:10249"],
])("fieldsFromFlags() derives the server addresses of %j", (argv, healthz, metrics) => {
  const { healthzBindAddress, metricsBindAddress } = fields(...argv);
  expect([healthzBindAddress, metricsBindAddress]).toEqual([healthz, metrics]);
});

test("fieldsFromFlags() tells an empty cluster CIDR from none", () => {
  expect([fields("--cluster-cidr=").clusterCIDR, fields().clusterCIDR]).toEqual([[""], []]);
});
