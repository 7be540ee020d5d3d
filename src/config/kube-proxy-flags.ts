/**
 * The command line of kube-proxy 1.36, with our own options: what `run` and `render` accept.
 *
 * @module
 */

import { ConfigError } from "./config-error.ts";
import { type ConfigFlags, configFlags } from "./config-flags.ts";
import type { FlagTable } from "./flag-spec.ts";
import { isBoolText } from "./flag-types.ts";
import { type LoggingFlags, loggingFlags } from "./logging-flags.ts";
import { type ParsedFlags, parseFlags } from "./parse-flags.ts";
import { type ProcessFlags, processFlags } from "./process-flags.ts";
import { quoteText } from "./quote-text.ts";

/** Values of all flags. */
export interface KubeProxyFlags extends ProcessFlags, LoggingFlags, ConfigFlags {}

/** All flags. */
export const kubeProxyFlags: FlagTable<KubeProxyFlags> = {
  ...processFlags,
  ...loggingFlags,
  ...configFlags,
};

/** Flags that kube-proxy had once. Old manifests still carry them; kube-proxy refuses them too. */
export const retiredFlags: readonly string[] = [
  "proxy-port-range",
  "udp-timeout",
  "cleanup-ipvs",
  "cleanup-iptables",
  "resource-container",
  "add-dir-header",
  "alsologtostderr",
  "log-backtrace-at",
  "log-dir",
  "log-file",
  "log-file-max-size",
  "logtostderr",
  "one-output",
  "skip-headers",
  "skip-log-headers",
  "stderrthreshold",
];

/**
 * Reads the arguments of `run` or `render`, the subcommand itself left out.
 *
 * @throws {ConfigError} for an unknown flag, a bad value, or an argument that is no flag.
 */
export function parseKubeProxyFlags(argv: readonly string[]): ParsedFlags<KubeProxyFlags> {
  const parsed = parseFlags(kubeProxyFlags, argv, retiredFlags);
  const surplus = parsed.positional.filter((argument) => argument !== "");
  if (surplus.length > 0) {
    const list = surplus.map((argument) => quoteText(argument)).join(" ");
    const hint = surplus.some(isBoolText)
      ? "; the value of a switch follows an equals sign, --name=false"
      : "";
    throw new ConfigError(`"kube-proxy" does not take any arguments, got [${list}]${hint}`);
  }
  return parsed;
}

/** Given flags that `--config` makes ineffective, in the order in which they were given. */
export function flagsIgnoredBesideFile(given: ReadonlySet<string>): readonly string[] {
  return [...given].filter((name) => Object.hasOwn(configFlags, name));
}
