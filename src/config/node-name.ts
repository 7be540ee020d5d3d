/**
 * The name of this node's Node object.
 *
 * Pure.
 *
 * @module
 */
import { ConfigError } from "./config-error.ts";

/** Where the name can come from. */
export interface NodeNameSources {
  /** `hostnameOverride`, in which `--hostname-override` is already included. */
  readonly hostnameOverride: string;
  /** Environment variable `NODE_NAME`, which manifests commonly set from `spec.nodeName`. */
  readonly nodeNameVariable: string | undefined;
  /** The machine's host name. */
  readonly hostName: string;
}

/**
 * The first source that is not empty, trimmed and in lower case.
 *
 * @throws {ConfigError} when nothing is left of it.
 */
export function resolveNodeName(sources: NodeNameSources): string {
  const chosen = sources.hostnameOverride || sources.nodeNameVariable || sources.hostName;
  const name = chosen.trim().toLowerCase();
  if (name === "") {
    throw new ConfigError("empty hostname is invalid");
  }
  return name;
}

/**
 * The value of `--hostname-override` as it goes into `hostnameOverride`, or undefined when it is not given.
 *
 * @throws {ConfigError} when it holds nothing but white space.
 */
export function hostnameFromFlag(flag: string): string | undefined {
  if (flag === "") {
    return undefined;
  }
  const name = flag.trim().toLowerCase();
  if (name === "") {
    throw new ConfigError("empty hostname-override is invalid");
  }
  return name;
}
