/**
 * The table of flags: complete, and in step with the file's fields.
 *
 * @module
 */
import { expect, test } from "vitest";
import { ConfigError } from "./config-error.ts";
import { configFlags } from "./config-flags.ts";
import { configSchema, defaultFields } from "./config-schema.ts";
import type { FlagSpec } from "./flag-spec.ts";
import {
  flagsIgnoredBesideFile,
  kubeProxyFlags,
  parseKubeProxyFlags,
  retiredFlags,
} from "./kube-proxy-flags.ts";
import { printFlagHelp, printFlagValues } from "./print-flags.ts";

const specs = Object.entries<FlagSpec<unknown>>(kubeProxyFlags);

test("kubeProxyFlags has every flag of kube-proxy 1.36 and our own", () => {
  const kubeProxy = `config write-config-to cleanup init-only version feature-gates kubeconfig master
    kube-api-content-type kube-api-qps kube-api-burst hostname-override bind-address healthz-bind-address
    metrics-bind-address healthz-port metrics-port bind-address-hard-fail profiling show-hidden-metrics-for-version
    proxy-mode iptables-masquerade-bit masquerade-all iptables-localhost-nodeports iptables-sync-period
    iptables-min-sync-period ipvs-sync-period ipvs-min-sync-period ipvs-scheduler ipvs-exclude-cidrs ipvs-strict-arp
    ipvs-tcp-timeout ipvs-tcpfin-timeout ipvs-udp-timeout detect-local-mode pod-bridge-interface
    pod-interface-name-prefix cluster-cidr nodeport-addresses oom-score-adj conntrack-max-per-core conntrack-min
    conntrack-tcp-timeout-established conntrack-tcp-timeout-close-wait conntrack-tcp-be-liberal conntrack-udp-timeout
    conntrack-udp-timeout-stream config-sync-period logging-format log-flush-frequency v vmodule
    log-text-split-stream log-text-info-buffer-size log-json-split-stream log-json-info-buffer-size boot-id-file
    machine-id-file help`.split(/\s+/);
  expect(specs.map(([name]) => name).sort()).toEqual(
    [...kubeProxy, "manifests", "once", "output", "strict"].sort(),
  );
  expect(retiredFlags.filter((name) => Object.hasOwn(kubeProxyFlags, name))).toEqual([]);
});

/** Sections that the printed object leaves out while they hold their defaults. */
const omitted = [
  "featureGates",
  "logging.vmodule",
  "logging.options.text.splitStream",
  "logging.options.json.splitStream",
];

test.each(specs.flatMap(([name, spec]) => (spec.field === undefined ? [] : [[name, spec.field]])))(
  "kubeProxyFlags: --%s names the existing field %s",
  (_, field) => {
    let value: unknown = configSchema.encode(defaultFields);
    for (const key of field.split(".")) {
      value = new Map<string, unknown>(Object.entries(value ?? {})).get(key);
    }
    expect(value !== undefined || omitted.includes(field)).toBe(true);
  },
);

test("parseKubeProxyFlags() reads back the value that each flag prints", () => {
  for (const [name, spec] of specs) {
    const { values } = parseKubeProxyFlags([`--${name}=${spec.type.print(spec.initial)}`]);
    expect(new Map(Object.entries(values)).get(name), name).toEqual(spec.initial);
  }
});

test.each([
  [["x"], '"kube-proxy" does not take any arguments, got ["x"]'],
  [["", "x", "y"], '"kube-proxy" does not take any arguments, got ["x" "y"]'],
  [
    ["--masquerade-all", "false"],
    '"kube-proxy" does not take any arguments, got ["false"]; the value of a switch follows an equals sign, --name=false',
  ],
  [["--cleanup-ipvs=true"], "unknown flag: --cleanup-ipvs (kube-proxy no longer has this flag)"],
  [["--logtostderr"], "unknown flag: --logtostderr (kube-proxy no longer has this flag)"],
  [["--proxy-mod=ipvs"], "unknown flag: --proxy-mod (did you mean --proxy-mode?)"],
  [["--output=toml"], 'invalid argument "toml" for "--output" flag: must be text or json or yaml'],
])("parseKubeProxyFlags() refuses %j", (argv, message) => {
  expect(() => parseKubeProxyFlags(argv)).toThrow(new ConfigError(message));
});

test("parseKubeProxyFlags() accepts empty arguments and the leftovers of a Go library", () => {
  const { positional } = parseKubeProxyFlags(["", "--boot-id-file=/a,/b", "--machine-id-file=/c"]);
  expect(positional).toEqual([""]);
});

test("flagsIgnoredBesideFile() leaves out logging, process control and what nobody uses", () => {
  const given = new Set(specs.map(([name]) => name));
  expect(flagsIgnoredBesideFile(given)).toEqual(Object.keys(configFlags));
});

test("printFlagHelp() shows every flag on lines of at most 110 characters", () => {
  const help = printFlagHelp(kubeProxyFlags);
  expect(help.match(/^ {2}(?: {4}|-[a-z], )--[a-z-]+/gm)).toHaveLength(specs.length);
  expect(help.split("\n").filter((line) => line.length > 110)).toEqual([]);
  expect(help).toContain(
    "      --healthz-port int32\n" +
      "          Port for a --healthz-bind-address without one; 0 disables the health server.\n" +
      "          (default 10256; deprecated, use --healthz-bind-address)\n",
  );
  expect(help).toContain("  -v, --v Level\n          Log verbosity.\n          (file: logging.verbosity)\n");
});

test("printFlagValues() shows every flag with its value in quotes", () => {
  const { values } = parseKubeProxyFlags(["--nodeport-addresses=a,b", "-v2", "--feature-gates=A=true"]);
  const lines = printFlagValues(kubeProxyFlags, values);
  expect(lines).toHaveLength(specs.length);
  expect(
    lines.filter((line) => /--(?:v|nodeport-addresses|feature-gates|config-sync-period)=/.test(line)),
  ).toEqual([
    'FLAG: --config-sync-period="15m0s"',
    'FLAG: --feature-gates="A=true"',
    'FLAG: --nodeport-addresses="a,b"',
    'FLAG: --v="2"',
  ]);
});
