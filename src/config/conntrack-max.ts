/**
 * How many connections the kernel shall track.
 *
 * Pure.
 *
 * @module
 */
import type { ConntrackSection } from "./proxy-config.ts";

/** Most that a product with the number of CPUs may come to. */
const greatestProduct = 1_048_576;

/**
 * The value for `nf_conntrack_max`, or undefined to leave the kernel's. The cap on the product comes before `min` is
 * looked at, as in kube-proxy: a product over the cap gives the cap even if `min` is greater.
 */
export function conntrackMax(
  conntrack: Pick<ConntrackSection, "maxPerCore" | "min">,
  cpus: number,
): number | undefined {
  if (conntrack.maxPerCore === 0) {
    return undefined;
  }
  const product = conntrack.maxPerCore * cpus;
  return product > greatestProduct ? greatestProduct : Math.max(product, conntrack.min);
}
