/**
 * The Linux capabilities that the program cannot do without, and what each is for.
 *
 * Pure. The kernel tells them in `/proc/self/status`.
 *
 * @module
 */

/** A capability that every mode needs, without `CAP_`: as `securityContext.capabilities` writes it. */
export type Capability = "NET_ADMIN" | "NET_RAW";

interface Need {
  /** Of linux/capability.h. */
  readonly bit: number;
  readonly use: string;
}

const needs: Readonly<Record<Capability, Need>> = {
  NET_ADMIN: { bit: 12, use: "for netlink and iptables" },
  // Also in the nft variant of iptables mode: one rule of any program's that looks at an ipset, and it reads no table.
  NET_RAW: { bit: 13, use: "for the raw socket that iptables opens to write rules and to look at ipsets" },
};

/** Those that are missing, from the text of `/proc/self/status`. None when the text does not tell. */
export function missingCapabilities(status: string): readonly Capability[] {
  const [, hex] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  if (hex === undefined) {
    return [];
  }
  const held = BigInt(`0x${hex}`);
  return (Object.keys(needs) as Capability[]).filter(
    (name) => ((held >> BigInt(needs[name].bit)) & 1n) === 0n,
  );
}

/** One line that names what is missing, and what for. */
export function describeMissing(missing: readonly Capability[]): string {
  const each = missing.map((name) => `${name} (${needs[name].use})`).join(" and ");
  return `the process lacks ${each}: run it as root with these in securityContext.capabilities.add`;
}
