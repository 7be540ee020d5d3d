/**
 * Flags that control the process and are no part of the configuration: they hold beside `--config`.
 *
 * @module
 */
import type { FlagTable } from "./flag-spec.ts";
import { switchFlag, textFlag, versionFlag, wordFlag } from "./flag-types.ts";

/** What is printed where there is something to print. */
export type OutputFormat = "text" | "json" | "yaml";

/** Values of the process flags. */
export interface ProcessFlags {
  readonly config: string;
  readonly "write-config-to": string;
  readonly cleanup: boolean;
  readonly "init-only": boolean;
  /** `true`, `false`, `raw`, or the version to report. */
  readonly version: string;
  readonly help: boolean;
  readonly master: string;
  readonly "hostname-override": string;
  readonly "boot-id-file": string;
  readonly "machine-id-file": string;
  readonly manifests: string;
  readonly once: boolean;
  readonly output: OutputFormat;
  readonly strict: boolean;
}

/** The table. The last four are not kube-proxy's. */
export const processFlags: FlagTable<ProcessFlags> = {
  config: {
    type: textFlag,
    initial: "",
    help: "Configuration file (KubeProxyConfiguration). It replaces everything that other flags configure, except logging.",
  },
  "write-config-to": {
    type: textFlag,
    initial: "",
    help: "Write the effective configuration to this file and exit.",
  },
  cleanup: {
    type: switchFlag,
    initial: false,
    help: "Remove everything that any proxy mode left on this node and exit.",
  },
  "init-only": {
    type: switchFlag,
    initial: false,
    help: "Do only what needs full privileges (sysctls, kernel modules) and exit. CAP_NET_ADMIN suffices afterwards.",
  },
  version: {
    type: versionFlag,
    initial: "false",
    help: "Print the version and exit; 'raw' prints the details. A value vX.Y.Z is reported in place of the version.",
  },
  help: { type: switchFlag, initial: false, shorthand: "h", help: "Print this text and exit." },
  master: {
    type: textFlag,
    initial: "",
    help: "URL of the Kubernetes API server; replaces the server of the kubeconfig.",
  },
  "hostname-override": {
    type: textFlag,
    initial: "",
    field: "hostnameOverride",
    help: "Name of this node's Node object, if it is not the machine's host name. Wins over the file.",
  },
  "boot-id-file": { type: textFlag, initial: "", help: "Accepted and ignored." },
  "machine-id-file": { type: textFlag, initial: "", help: "Accepted and ignored." },
  manifests: {
    type: textFlag,
    initial: "",
    help: "Directory of YAML or JSON files with Services, EndpointSlices and Nodes, watched in place of an API server.",
  },
  once: {
    type: switchFlag,
    initial: false,
    help: "Synchronise once, leave the rules in place and exit.",
  },
  output: {
    type: wordFlag<OutputFormat>(["text", "json", "yaml"]),
    initial: "text",
    help: "Form of what is printed.",
  },
  strict: {
    type: switchFlag,
    initial: false,
    help: "For doctor: let warnings count as errors.",
  },
};
