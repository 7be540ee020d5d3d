/**
 * From a command line to a start: precedence, prefixes of errors, and the vectors of the whole.
 *
 * @module
 */
import { expect, test } from "vitest";
import { ConfigError } from "./config-error.ts";
import { conntrackMax } from "./conntrack-max.ts";
import { decodeConfig } from "./decode-config.ts";
import { ipvsScheduler, masqueradeMark, modeSettings, serverAddress } from "./effective-settings.ts";
import { parseKubeProxyFlags } from "./kube-proxy-flags.ts";
import { configFromFile, configFromFlags, loadConfig } from "./load-config.ts";
import { bytesOf, header, kubeadmFile, run, runFile, start } from "./testing.ts";

async function messagesOf(started: ReturnType<typeof run>): Promise<readonly string[]> {
  return (await started).warnings.map((warning) => warning.message);
}

test("loadConfig() accepts kubeadm's file", async () => {
  const { config, warnings } = await run(["--config=/var/lib/kube-proxy/config.conf"], kubeadmFile);
  expect(warnings).toEqual([]);
  expect(modeSettings(config, config.mode)).toMatchObject({
    mode: "iptables",
    syncPeriodMs: 30_000,
    minSyncPeriodMs: 1_000,
  });
  expect([config.healthzBindAddress, config.metricsBindAddress, config.detectLocalMode]).toEqual([
    "0.0.0.0:10256",
    "127.0.0.1:10249",
    "ClusterCIDR",
  ]);
});

test("configFromFile() reads kubeadm's file in ipvs mode with its own minimum period", () => {
  const bytes = bytesOf(kubeadmFile.replace('mode: ""', "mode: ipvs"));
  const { config } = configFromFile(bytes, parseKubeProxyFlags([]));
  const settings = modeSettings(config, config.mode);
  expect([settings.syncPeriodMs, settings.minSyncPeriodMs]).toEqual([30_000, 0]);
  expect([ipvsScheduler(config), masqueradeMark(settings.masqueradeBit)]).toEqual(["rr", 0x4000]);
});

test("configFromFlags() takes ipvs mode with the minimum period of iptables mode", () => {
  const { config } = configFromFlags(parseKubeProxyFlags(["--proxy-mode=ipvs"]));
  const { syncPeriodMs, minSyncPeriodMs } = modeSettings(config, config.mode);
  expect([syncPeriodMs, minSyncPeriodMs]).toEqual([30_000, 1_000]);
});

test.each([
  [
    "metricsBindAddress: ':10249'",
    'KubeProxyConfiguration.MetricsBindAddress: Invalid value: "": must be a valid IP',
  ],
  ["mode: userspace", "KubeProxyConfiguration.Mode.ProxyMode: Invalid value:"],
  ["iptables: {minSyncPeriod: 60s}", "KubeProxyConfiguration.SyncPeriod: Invalid value: 1m0s:"],
  ["nodePortAddresses: [primary, 10.0.0.0/8]", "can't use both"],
  ["clusterCIDR: 10.0.0.0/8,10.1.0.0/16", "dual-stack pair"],
  ["detectLocalMode: BridgeInterface", "must not be empty"],
  ["mode: x\nbindAddress: z", /^failed validate: \[.*ProxyMode: .*, .*BindAddress: .*\]$/],
])("loadConfig() refuses a file with %j", async (body, text) => {
  const started = runFile(body);
  await expect(started).rejects.toThrow(text);
  await expect(started).rejects.toThrow(/^failed validate: /);
  await expect(started).rejects.toMatchObject({ name: "ConfigError", exitStatus: 2 });
});

test.each([
  ["configSyncPeriod: 30", /^failed complete: failed to decode: configSyncPeriod: expected a duration/],
  [
    "ipvs:\n\tscheduler: rr",
    /^failed complete: failed to decode: Tabs are not allowed as indentation \(line 4\)$/,
  ],
])("loadConfig() fails to decode a file with %j", async (body, text) => {
  await expect(runFile(body)).rejects.toThrow(text);
});

test("loadConfig() refuses a file without kind", async () => {
  const started = run(["--config=f"], "apiVersion: kubeproxy.config.k8s.io/v1alpha1\n");
  await expect(started).rejects.toThrow(
    new ConfigError("failed complete: failed to decode: Object 'Kind' is missing"),
  );
});

test("loadConfig() refuses a file that cannot be read", async () => {
  await expect(start(["--config=/no"])).rejects.toThrow(
    new ConfigError(
      "failed complete: cannot read --config \"/no\": ENOENT: no such file or directory, open '/no'",
    ),
  );
});

test("loadConfig() refuses a mode that has no backend and names those that have one", async () => {
  const message =
    'failed validate: KubeProxyConfiguration.Mode.ProxyMode: Unsupported value: "nftables": supported values: "iptables", "ipvs"';
  await expect(runFile("mode: nftables")).rejects.toThrow(new ConfigError(message));
  await expect(start(["--proxy-mode=nftables"])).rejects.toThrow(new ConfigError(message));
});

test("loadConfig() cleans up and writes files in any mode", async () => {
  expect((await start(["--cleanup", "--proxy-mode=nftables"])).action).toBe("cleanup");
  const startup = await start(["--cleanup", "--write-config-to=out", "--proxy-mode=nftables"]);
  if (startup.action !== "write-config") {
    throw new TypeError(startup.action);
  }
  expect(startup.path).toBe("out");
  const { fields } = decodeConfig(bytesOf(startup.content));
  expect([fields.mode, fields.nodePortAddresses]).toEqual(["nftables", ["primary"]]);
});

test("loadConfig() validates before it writes", async () => {
  await expect(start(["--write-config-to=out", "--metrics-bind-address=1.2.3.4"])).rejects.toThrow(
    'failed validate: KubeProxyConfiguration.MetricsBindAddress: Invalid value: "1.2.3.4": must be IP:port',
  );
});

test("loadConfig() runs with unknown fields and duplicate keys, and warns", async () => {
  expect(await messagesOf(runFile("foo: 1"))).toEqual([
    'Using lenient decoding as strict decoding failed: strict decoding error: unknown field "foo"',
  ]);
  const { config, warnings } = await runFile("bindAddress: 10.0.0.1\nbindAddress: 10.0.0.2");
  expect(config.bindAddress).toBe("10.0.0.2");
  expect(warnings).toMatchObject([
    { kind: "strictness", message: expect.stringContaining('key "bindAddress" already set in map') },
  ]);
});

test("loadConfig() disables the health server with port 0, but not the metrics server", async () => {
  const { config } = await run(["--healthz-port=0"]);
  expect(serverAddress(config.healthzBindAddress)).toBeUndefined();
  await expect(start(["--metrics-port=0"])).rejects.toThrow(
    'failed validate: KubeProxyConfiguration.MetricsBindAddress: Invalid value: "": must be IP:port',
  );
});

test("loadConfig() lets the file win over flags and names the flags that it ignores", async () => {
  const started = run(
    ["--proxy-mode=ipvs", "--config=f", "--hostname-override=n", "-v=4", "--cluster-cidr=", "--once"],
    `${header}mode: iptables`,
  );
  expect((await started).config.mode).toBe("iptables");
  expect((await started).warnings).toEqual([
    { kind: "ignored-flag", message: "ignored because --config is given: --proxy-mode, --cluster-cidr" },
  ]);
});

test("loadConfig() refuses an empty cluster CIDR from a flag", async () => {
  await expect(start(["--cluster-cidr="])).rejects.toThrow(
    'KubeProxyConfiguration.DetectLocalConfiguration.ClusterCIDRs[0]: Invalid value: "": must be a valid CIDR block',
  );
});

test("loadConfig() lets --hostname-override win over the file", async () => {
  const file = `${header}hostnameOverride: From-File`;
  expect((await run(["--config=f", "--hostname-override= Node-A "], file)).nodeName).toBe("node-a");
  expect((await run(["--config=f"], file)).nodeName).toBe("from-file");
  expect((await run([])).nodeName).toBe("host-1");
  await expect(start(["--hostname-override= "])).rejects.toThrow(
    new ConfigError("failed complete: empty hostname-override is invalid"),
  );
});

test("loadConfig() prefers NODE_NAME to the host name", async () => {
  const startup = await loadConfig({
    argv: [],
    readFile: () => Promise.reject(new Error("not needed")),
    hostName: "host",
    nodeNameVariable: "Node-B",
  });
  expect(startup).toMatchObject({ action: "run", nodeName: "node-b" });
});

test("loadConfig() lays logging flags over the file's section", async () => {
  const file = `${header}logging: {verbosity: 2, flushFrequency: 9s, vmodule: [{filePattern: file, verbosity: 1}]}`;
  const { config } = await run(["--config=f", "-v=4", "--vmodule=flag=3"], file);
  expect(config.logging).toMatchObject({
    verbosity: 4,
    flushFrequencyMs: 9_000,
    vmodule: [
      { filePattern: "flag", verbosity: 3 },
      { filePattern: "file", verbosity: 1 },
    ],
  });
  expect((await run(["--config=f"], file)).config.logging.verbosity).toBe(2);
});

test("loadConfig() warns about sections that are broken but not in use", async () => {
  const { warnings } = await runFile("ipvs: {excludeCIDRs: [nonsense]}");
  expect(warnings.map((warning) => warning.kind)).toEqual(["inactive-section"]);
});

test("loadConfig() warns about deprecated flags and empty addresses", async () => {
  expect(await messagesOf(run(["--healthz-port=1", "--metrics-bind-address="]))).toEqual([
    "Flag --healthz-port has been deprecated, use --healthz-bind-address instead",
    '--metrics-bind-address="" has no effect: an empty address does not disable the server',
  ]);
});

test.each([
  [["--help"], { action: "help" }],
  [["-h", "--version"], { action: "help" }],
  [["--version"], { action: "version", detailed: false }],
  [["--version=raw", "--config=/missing"], { action: "version", detailed: true }],
])("loadConfig() answers %j before it reads anything", async (argv, startup) => {
  expect(await start(argv)).toEqual(startup);
});

test("loadConfig() hands on what controls the process", async () => {
  const argv = [
    "--manifests=/m",
    "--once",
    "--init-only",
    "--master=http://m",
    "--output=json",
    "--strict",
    "--version=v1.36.2",
  ];
  expect((await run(argv)).process).toEqual({
    configFile: undefined,
    master: "http://m",
    manifests: "/m",
    once: true,
    initOnly: true,
    output: "json",
    strict: true,
    reportedVersion: "v1.36.2",
  });
});

test("loadConfig() gives node ports in nftables mode to the primary addresses only", async () => {
  const startup = await start(["--cleanup", "--proxy-mode=nftables"]);
  expect(startup).toMatchObject({ config: { nodePortAddresses: ["primary"] } });
});

test("conntrackMax() of the defaults is capped before the minimum is looked at", async () => {
  const { config } = await runFile("conntrack: {min: 2000000}");
  expect(conntrackMax(config.conntrack, 64)).toBe(1_048_576);
});
