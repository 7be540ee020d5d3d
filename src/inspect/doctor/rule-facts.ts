/**
 * The rule sets of both variants and families, read without making anything: where the kernel says that it has no tables,
 * no program is asked, because some make what they list.
 *
 * @module
 */
import { dumpTables, type Variant } from "../../iptables/tools.ts";
import { type Family, families } from "../../proxier/address.ts";
import type { RulesFact } from "./facts.ts";
import { type HostFiles, isAbsent } from "./files.ts";
import { type Fact, known, unknown } from "./finding.ts";
import { RuleSummary } from "./rule-summary.ts";

/** Tables of nftables that iptables-nft keeps its rules in. */
const iptablesTables = /^(ip6?) (filter|nat|mangle|raw|security)$/;

/** Kubelet's chains, by which it says which variant it uses. */
export const hintChains: readonly string[] = ["KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY"];

/** Reads all four. */
export async function readRules(
  files: HostFiles,
  nftTables: Fact<readonly string[]>,
): Promise<readonly RulesFact[]> {
  const places = (["nft", "legacy"] as const).flatMap((variant) =>
    families.map((family) => ({ variant, family })),
  );
  return await Promise.all(
    places.map(async ({ variant, family }) => {
      const isEmpty = variant === "nft" ? hasNoNft(nftTables, family) : hasNoLegacy(files, family);
      return { variant, family, rules: isEmpty ? known(RuleSummary.of("")) : await readOne(variant, family) };
    }),
  );
}

function hasNoNft(tables: Fact<readonly string[]>, family: Family): boolean {
  const prefix = family === "IPv4" ? "ip" : "ip6";
  return tables.known && !tables.value.some((name) => iptablesTables.exec(name)?.[1] === prefix);
}

function hasNoLegacy(files: HostFiles, family: Family): boolean {
  const names = files.read(`/proc/net/${family === "IPv4" ? "ip" : "ip6"}_tables_names`);
  return names.known ? names.value.trim() === "" : isAbsent(names);
}

async function readOne(variant: Variant, family: Family): Promise<Fact<RuleSummary>> {
  const { summary, scanner } = RuleSummary.reader();
  let malformed: string | undefined;
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      malformed ??= error instanceof Error ? error.message : String(error);
    }
  };
  try {
    await dumpTables(variant, family, (text) => attempt(() => scanner.push(text)));
    attempt(() => scanner.end());
  } catch (error) {
    return unknown(error instanceof Error ? error.message : String(error));
  }
  return malformed === undefined ? known(summary) : unknown(malformed);
}

/**
 * The variant that serves, or would: the configured one, else the one with kubelet's chains, else the one that has a
 * service proxy's, else nft where it works.
 */
export function variantOf(
  configured: Variant | "auto",
  rules: readonly RulesFact[],
  nftWorks: boolean,
): Fact<Variant> {
  if (configured !== "auto") {
    return known(configured);
  }
  const marks: readonly ((all: RuleSummary) => boolean)[] = [
    (all) => hintChains.some((chain) => all.hasChain("mangle", chain)),
    (all) => all.hasChain("nat", "KUBE-SERVICES"),
  ];
  for (const mark of marks) {
    const found = rules.find((one) => one.rules.known && mark(one.rules.value));
    if (found !== undefined) {
      return known(found.variant);
    }
  }
  const unseen = rules.find((one) => !one.rules.known && !one.rules.reason.includes("ENOENT"));
  if (unseen !== undefined && !unseen.rules.known) {
    return unknown(unseen.rules.reason);
  }
  return known(nftWorks ? "nft" : "legacy");
}
