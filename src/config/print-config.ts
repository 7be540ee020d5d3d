/**
 * The configuration as others see it: the object behind `/configz` and the file of `--write-config-to`.
 *
 * Both show kube-proxy's view. kube-proxy keeps one pair of sync periods and one masquerade-all flag, so only the
 * section of the effective mode shows them. Our own section appears only if something in it was changed.
 *
 * Pure.
 *
 * @module
 */
import { stringify, type Tags } from "yaml";
import { type PlainObject, plainObject } from "./codec.ts";
import { configApiVersion, configKind, configSchema } from "./config-schema.ts";
import { modeSettings } from "./effective-settings.ts";
import type { ConfigFields } from "./proxy-config.ts";

/** The object with `apiVersion` and `kind`, keys in alphabetical order, durations as text. */
export function configObject(config: ConfigFields): PlainObject {
  const fields = configSchema.encode(kubeProxyView(config));
  return plainObject([
    ...Object.entries(fields as PlainObject),
    ["apiVersion", configApiVersion],
    ["kind", configKind],
  ]);
}

/** The YAML file of `--write-config-to`. Reading it back gives the same effective configuration. */
export function printConfig(config: ConfigFields): string {
  // Version 1.1 makes the printer quote words such as `yes` that a 1.1 reader would take for booleans.
  return stringify(configObject(config), {
    version: "1.1",
    schema: "yaml-1.1",
    customTags: withoutMergeKeys,
    indentSeq: false,
    lineWidth: 0,
  });
}

/** Makes the printer quote `<<`: here it is a text like any other, a reader would take it for a merge. */
function withoutMergeKeys(tags: Tags): Tags {
  return tags.map((tag) =>
    typeof tag !== "string" && tag.tag === "tag:yaml.org,2002:merge"
      ? { ...tag, default: true, identify: (): boolean => false }
      : tag,
  ) as Tags;
}

/** The fields with everything blanked that kube-proxy would not have kept. */
function kubeProxyView(config: ConfigFields): ConfigFields {
  const { mode, masqueradeAll, syncPeriodMs, minSyncPeriodMs } = modeSettings(config, config.mode);
  const periods = { syncPeriodMs, minSyncPeriodMs };
  const none = { syncPeriodMs: 0, minSyncPeriodMs: 0 };
  return {
    ...config,
    iptables: {
      ...config.iptables,
      ...(mode === "iptables" ? periods : none),
      masqueradeAll: mode !== "nftables" && masqueradeAll,
    },
    ipvs: { ...config.ipvs, ...(mode === "ipvs" ? periods : none) },
    nftables: {
      ...config.nftables,
      ...(mode === "nftables" ? periods : none),
      masqueradeAll: mode === "nftables" && masqueradeAll,
    },
  };
}
