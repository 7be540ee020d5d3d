/**
 * Where a variant of iptables may hold rules on this host. Looking makes nothing: the legacy programs create the tables
 * that they are asked for, so for them the kernel's own list of tables is read.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import type { Family } from "../proxier/address.ts";
import { installedFamilies } from "./setup.ts";
import type { Variant } from "./tools.ts";

const tableLists: Readonly<Record<Family, string>> = {
  IPv4: "/proc/net/ip_tables_names",
  IPv6: "/proc/net/ip6_tables_names",
};

/** The families for which the variant may hold rules. */
export async function familiesWithRules(
  variant: Variant,
  families: readonly Family[],
): Promise<readonly Family[]> {
  if (variant === "nft") {
    return await installedFamilies(variant, families);
  }
  const lists = await Promise.all(families.map((family) => readTableList(tableLists[family])));
  return families.filter((_, index) => lists[index] !== "");
}

/** A kernel without the variant has no list. */
async function readTableList(path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      return "";
    }
    throw error;
  }
}
