/**
 * Which of the kernel's tables there are on this host.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { hasIpvs, hasLegacyTables } from "../inspect/host-kernel.ts";
import type { InspectMode } from "../inspect/ipvsadm-command.ts";
import type { TableReader } from "../inspect/table-reader.ts";
import type { Variant } from "../iptables/tools.ts";
import { isKernelError } from "../netlink/kernel-error.ts";
import { CommandError } from "./exit.ts";

/**
 * Opens them, IPVS first. What a mode does not need is not even loaded.
 *
 * @throws CommandError when IPVS was asked for and the kernel has none
 */
export async function openReaders(mode: InspectMode): Promise<readonly TableReader[]> {
  if (mode === "ipvs") return [await openIpvsReader()];
  const readers: TableReader[] = mode === "auto" && hasIpvs() ? [await openIpvsReader()] : [];
  const { IptablesReader } = await import("../inspect/iptables-reader.ts");
  const clock = { now: () => performance.now(), sleep: (ms: number) => sleep(ms) };
  const legacy = hasLegacyTables("IPv4") || hasLegacyTables("IPv6");
  const variants: readonly Variant[] = legacy ? ["nft", "legacy"] : ["nft"];
  return [...readers, ...variants.map((variant) => new IptablesReader(variant, clock))];
}

async function openIpvsReader(): Promise<TableReader> {
  const { IpvsReader } = await import("../inspect/ipvs-reader.ts");
  try {
    return new IpvsReader();
  } catch (error) {
    if (isKernelError(error, "unsupported")) {
      const message = "Can't initialize ipvs: this kernel has no IPVS (module ip_vs)";
      throw new CommandError(2, message, { cause: error });
    }
    throw error;
  }
}
