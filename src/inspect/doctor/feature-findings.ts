/**
 * Which modes this kernel can serve. What a mode lacks that is not in use is told, and is nothing wrong.
 *
 * @module
 */
import type { Facts } from "./facts.ts";
import { type Finding, finding, notSeen } from "./finding.ts";
import {
  hasPart,
  iptablesExtras,
  iptablesParts,
  ipvsParts,
  type KernelPart,
  type KernelParts,
  nftablesParts,
  schedulerPart,
} from "./kernel-parts.ts";

/** One finding for each mode. */
export function featureFindings({ wanted, parts, variant }: Facts): readonly Finding[] {
  const schedulers = wanted.schedulers.map(schedulerPart);
  const nftIsUsed = wanted.mode === "nftables" || (variant.known && variant.value === "nft");
  return [
    featureFinding("iptables", wanted.mode === "iptables", parts, iptablesParts, iptablesExtras),
    featureFinding("ipvs", wanted.mode === "ipvs", parts, [...ipvsParts, ...schedulers], []),
    featureFinding("nftables", nftIsUsed, parts, nftIsUsed ? nftablesParts.slice(0, 1) : nftablesParts, []),
  ];
}

function featureFinding(
  mode: "iptables" | "ipvs" | "nftables",
  isUsed: boolean,
  parts: KernelParts,
  needed: readonly KernelPart[],
  useful: readonly KernelPart[],
): Finding {
  const id = `${mode}-features` as const;
  const where = isUsed ? "in use" : "not in use";
  const without = (all: readonly KernelPart[], answer: boolean | undefined): string =>
    all
      .filter((one) => hasPart(parts, one) === answer)
      .map(({ module }) => module)
      .join(", ");
  const missing = without(needed, false);
  if (missing !== "") {
    return finding(
      id,
      isUsed ? "error" : "ok",
      `${mode} mode (${where}) is not possible: the kernel lacks ${missing}`,
      `modprobe -a ${missing.replaceAll(",", "")}`,
    );
  }
  const unclear = without(needed, undefined);
  if (unclear !== "") {
    return isUsed
      ? notSeen(id, `neither the kernel's configuration nor its modules tell of ${unclear}`)
      : finding(id, "ok", `${mode} mode (${where}): nothing here tells of ${unclear}`);
  }
  const lacking = without(useful, false);
  return lacking === ""
    ? finding(id, "ok", `the kernel has what ${mode} mode (${where}) needs`)
    : finding(
        id,
        isUsed ? "warning" : "ok",
        `${mode} mode (${where}) does with longer rules and 100 clients of affinity: the kernel lacks ${lacking}`,
        `modprobe -a ${lacking.replaceAll(",", "")}`,
      );
}
