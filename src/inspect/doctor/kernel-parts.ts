/**
 * Which parts this kernel has, told from what it says of itself: nothing is loaded to find out.
 *
 * Pure. Sources: modules that are loaded, the kernel's own configuration, and the lists of modules that go with it. A
 * part that none of them mentions is missing only if one of them would have to.
 *
 * @module
 */

/** Where it can be told from. Undefined: there is no such file, or it cannot be read. */
export interface KernelParts {
  /** Names in /proc/modules and /sys/module. */
  readonly loaded: ReadonlySet<string>;
  /** Text of /proc/config.gz or /boot/config-RELEASE. */
  readonly config: string | undefined;
  /** Names in modules.builtin and modules.dep of the release. */
  readonly installed: ReadonlySet<string> | undefined;
  /** Names in modules.builtin alone. */
  readonly builtIn: ReadonlySet<string> | undefined;
}

/** A part of the kernel: its module, and its option in the configuration. */
export interface KernelPart {
  readonly module: string;
  readonly option: string;
}

const part = (module: string, option: string): KernelPart => ({ module, option: `CONFIG_${option}` });

/** What iptables mode cannot do without, in either variant. */
export const iptablesParts: readonly KernelPart[] = [
  part("xt_comment", "NETFILTER_XT_MATCH_COMMENT"),
  part("xt_statistic", "NETFILTER_XT_MATCH_STATISTIC"),
  part("xt_recent", "NETFILTER_XT_MATCH_RECENT"),
  part("xt_conntrack", "NETFILTER_XT_MATCH_CONNTRACK"),
  part("xt_addrtype", "NETFILTER_XT_MATCH_ADDRTYPE"),
  part("xt_mark", "NETFILTER_XT_MARK"),
];

/** What makes it better: short rules, affinity for any number of clients. */
export const iptablesExtras: readonly KernelPart[] = [
  part("xt_bpf", "NETFILTER_XT_MATCH_BPF"),
  part("xt_set", "NETFILTER_XT_SET"),
  part("ip_set_hash_ip", "IP_SET_HASH_IP"),
];

/** What ipvs mode cannot do without, schedulers apart. */
export const ipvsParts: readonly KernelPart[] = [
  part("ip_vs", "IP_VS"),
  part("dummy", "DUMMY"),
  part("xt_set", "NETFILTER_XT_SET"),
  part("xt_comment", "NETFILTER_XT_MATCH_COMMENT"),
  part("xt_conntrack", "NETFILTER_XT_MATCH_CONNTRACK"),
  part("ip_set_hash_ipport", "IP_SET_HASH_IPPORT"),
  part("ip_set_hash_ipportip", "IP_SET_HASH_IPPORTIP"),
  part("ip_set_hash_ipportnet", "IP_SET_HASH_IPPORTNET"),
  part("ip_set_bitmap_port", "IP_SET_BITMAP_PORT"),
];

/** What nftables mode needs. */
export const nftablesParts: readonly KernelPart[] = [
  part("nf_tables", "NF_TABLES"),
  part("nft_masq", "NFT_MASQ"),
  part("nft_nat", "NFT_NAT"),
  part("nft_numgen", "NFT_NUMGEN"),
];

/** The part that is a scheduler of IPVS. */
export function schedulerPart(scheduler: string): KernelPart {
  return part(`ip_vs_${scheduler}`, `IP_VS_${scheduler.toUpperCase()}`);
}

/** Whether the kernel has a part; undefined when nothing tells. */
export function hasPart(parts: KernelParts, { module, option }: KernelPart): boolean | undefined {
  if (parts.loaded.has(module)) {
    return true;
  }
  const configured = parts.config === undefined ? undefined : optionOf(parts.config, option);
  if (configured === "y") {
    return true;
  }
  if (parts.installed?.has(module) === true) {
    return true;
  }
  if (configured === "n") {
    return false;
  }
  // Built as a module: it is there if its file is, and nobody knows where the list is missing.
  return parts.installed === undefined ? undefined : false;
}

/**
 * Whether the part may be running now. Asking one that is not would have the kernel load it, and where it is not there is
 * nothing to find.
 */
export function mayRun({ loaded, config, builtIn }: KernelParts, { module, option }: KernelPart): boolean {
  if (loaded.has(module)) {
    return true;
  }
  if (config !== undefined) {
    return optionOf(config, option) === "y";
  }
  return builtIn === undefined || builtIn.has(module);
}

function optionOf(config: string, option: string): "y" | "m" | "n" {
  const [, value] = new RegExp(`^${option}=([ym])$`, "m").exec(config) ?? [];
  return value === "y" || value === "m" ? value : "n";
}

/** The module names in modules.builtin and modules.dep: `kernel/net/netfilter/xt_recent.ko.xz: …`. */
export function modulesIn(text: string): readonly string[] {
  return [...text.matchAll(/^[^\s:]*?([^/\s:]+)\.ko(?:\.\w+)?(?=:|\s|$)/gm)].map(([, name = ""]) =>
    name.replaceAll("-", "_"),
  );
}
