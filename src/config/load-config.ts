/**
 * From a command line to what the process is to do, with the configuration that it needs.
 *
 * The two sources are not merged: with `--config` the file replaces everything that flags configure, except logging
 * and `--hostname-override`. The order of steps is kube-proxy's, because later steps read what earlier ones settled:
 * file or flags, platform defaults, host name, validation.
 *
 * Pure except for the function that reads the file, which is passed in.
 *
 * @module
 */
import { withPlatformDefaults } from "./config-defaults.ts";
import { ConfigError } from "./config-error.ts";
import type { ConfigWarning } from "./config-warning.ts";
import { decodeConfig } from "./decode-config.ts";
import { joinErrors, unsupportedValue } from "./field-error.ts";
import { fieldsFromFlags } from "./fields-from-flags.ts";
import { flagsIgnoredBesideFile, type KubeProxyFlags, parseKubeProxyFlags } from "./kube-proxy-flags.ts";
import { overlayLogging } from "./logging-flags.ts";
import { hostnameFromFlag, resolveNodeName } from "./node-name.ts";
import type { ParsedFlags } from "./parse-flags.ts";
import { printConfig } from "./print-config.ts";
import type { OutputFormat } from "./process-flags.ts";
import {
  availableModes,
  type ConfigFields,
  isDetectLocalMode,
  isProxyMode,
  type ProxyConfig,
  type ProxyMode,
} from "./proxy-config.ts";
import { quoteText } from "./quote-text.ts";
import { inactiveModeWarnings, validateConfig } from "./validate-config.ts";

/** What a start depends on. */
export interface StartupInput {
  /** The arguments of `run` or `render`, without program and subcommand. */
  readonly argv: readonly string[];
  /** Reads the file of `--config`; at most a byte more than `maxConfigBytes` is needed. */
  readonly readFile: (path: string) => Promise<Uint8Array>;
  /** The machine's host name. */
  readonly hostName: string;
  /** Environment variable `NODE_NAME`. */
  readonly nodeNameVariable: string | undefined;
}

/** A validated configuration and what is odd about it. */
export interface LoadedConfig {
  readonly config: ProxyConfig;
  readonly warnings: readonly ConfigWarning[];
}

/** Settings of the process that are no part of the configuration. Undefined means not given. */
export interface ProcessOptions {
  readonly configFile: string | undefined;
  readonly master: string | undefined;
  /** Directory of manifests to watch in place of an API server. */
  readonly manifests: string | undefined;
  readonly once: boolean;
  readonly initOnly: boolean;
  readonly output: OutputFormat;
  /** Whether warnings count as errors. */
  readonly strict: boolean;
  /** The version to report in place of the program's own. */
  readonly reportedVersion: string | undefined;
}

/** What is common to every start that has read a configuration. */
export interface LoadedStartup extends LoadedConfig {
  readonly process: ProcessOptions;
  /** The command line, for printing it and for reading the file again later. */
  readonly flags: ParsedFlags<KubeProxyFlags>;
}

/** What the process is to do. */
export type Startup =
  | { readonly action: "help" }
  | { readonly action: "version"; readonly detailed: boolean }
  | ({ readonly action: "write-config"; readonly path: string; readonly content: string } & LoadedStartup)
  | ({ readonly action: "cleanup" } & LoadedStartup)
  | ({ readonly action: "run"; readonly nodeName: string } & LoadedStartup);

/**
 * Reads command line and file.
 *
 * @throws {ConfigError} for everything that ends the start.
 */
export async function loadConfig(input: StartupInput): Promise<Startup> {
  const flags = parseKubeProxyFlags(input.argv);
  const { values } = flags;
  if (values.help) {
    return { action: "help" };
  }
  if (values.version === "true" || values.version === "raw") {
    return { action: "version", detailed: values.version === "raw" };
  }
  const loaded =
    values.config === ""
      ? configFromFlags(flags)
      : configFromFile(await bytesOf(values.config, input.readFile), flags);
  const warnings = [...flags.warnings, ...loaded.warnings];
  const startup: LoadedStartup = { ...loaded, warnings, process: processOptions(values), flags };
  const { config } = startup;
  if (values["write-config-to"] !== "") {
    const path = values["write-config-to"];
    return { action: "write-config", path, content: printConfig(config), ...startup };
  }
  if (values.cleanup) {
    return { action: "cleanup", ...startup };
  }
  refuseUnavailableMode(config.mode);
  const { hostName, nodeNameVariable } = input;
  const nodeName = resolveNodeName({ hostnameOverride: config.hostnameOverride, nodeNameVariable, hostName });
  return { action: "run", nodeName, ...startup };
}

/**
 * The configuration of a file, with the flags that hold beside it. Also what a changed file is read with later.
 *
 * @throws {ConfigError} `failed complete: …` or `failed validate: …`
 */
export function configFromFile(bytes: Uint8Array, flags: ParsedFlags<KubeProxyFlags>): LoadedConfig {
  const { values, given } = flags;
  const { fields, warnings } = complete(() => decodeConfig(bytes));
  const overlaid = { ...fields, logging: overlayLogging(fields.logging, values, given) };
  const { config, warnings: more } = checkConfig(overlaid, values);
  return { config, warnings: [...ignoredFlagWarnings(given), ...warnings, ...more] };
}

/**
 * The configuration of a command line without `--config`.
 *
 * @throws {ConfigError} `failed complete: …` or `failed validate: …`
 */
export function configFromFlags(flags: ParsedFlags<KubeProxyFlags>): LoadedConfig {
  return checkConfig(fieldsFromFlags(flags), flags.values);
}

/**
 * Refuses a mode that is known but has no backend.
 *
 * @throws {ConfigError}
 */
export function refuseUnavailableMode(mode: ProxyMode): void {
  if (!availableModes.includes(mode)) {
    const error = unsupportedValue("KubeProxyConfiguration.Mode.ProxyMode", mode, availableModes);
    throw new ConfigError(`failed validate: ${error}`);
  }
}

/** Platform defaults, host name, validation. */
function checkConfig(fields: ConfigFields, values: KubeProxyFlags): LoadedConfig {
  const completed = withPlatformDefaults(fields);
  const override = complete(() => hostnameFromFlag(values["hostname-override"]));
  const named = { ...completed, hostnameOverride: override ?? completed.hostnameOverride };
  const errors = validateConfig(named);
  const { mode, detectLocalMode } = named;
  if (errors.length > 0 || !isProxyMode(mode) || !isDetectLocalMode(detectLocalMode)) {
    throw new ConfigError(`failed validate: ${joinErrors(errors)}`);
  }
  return { config: { ...named, mode, detectLocalMode }, warnings: inactiveModeWarnings(named) };
}

/** Runs a step whose errors kube-proxy reports behind `failed complete: `. */
function complete<T>(step: () => T): T {
  try {
    return step();
  } catch (cause) {
    if (cause instanceof ConfigError) {
      throw new ConfigError(`failed complete: ${cause.message}`, { cause });
    }
    throw cause;
  }
}

async function bytesOf(path: string, readFile: StartupInput["readFile"]): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(`failed complete: cannot read --config ${quoteText(path)}: ${reason}`, { cause });
  }
}

function ignoredFlagWarnings(given: ReadonlySet<string>): readonly ConfigWarning[] {
  const ignored = flagsIgnoredBesideFile(given);
  if (ignored.length === 0) {
    return [];
  }
  const list = ignored.map((name) => `--${name}`).join(", ");
  return [{ kind: "ignored-flag", message: `ignored because --config is given: ${list}` }];
}

function processOptions(values: KubeProxyFlags): ProcessOptions {
  const { version } = values;
  return {
    configFile: values.config || undefined,
    master: values.master || undefined,
    manifests: values.manifests || undefined,
    once: values.once,
    initOnly: values["init-only"],
    output: values.output,
    strict: values.strict,
    reportedVersion: version === "false" ? undefined : version,
  };
}
