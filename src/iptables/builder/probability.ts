/**
 * Probabilities of the statistic match, exactly as the tools and the kernel have them.
 *
 * xt_statistic compares 31 random bits with a number: a rule applies when they are below it. iptables rounds the
 * probability that it reads to that number (`lround(p * 2^31)`) and prints it with eleven digits (`%.11f`). A match
 * therefore holds the number, not the text: reading back what was written gives the same match, and one in k is as
 * exact as the kernel allows.
 *
 * @module
 */

/** The threshold of probability 1. */
export const certainty: number = 2 ** 31;

/**
 * The threshold of probability 1/k.
 *
 * @throws {RangeError} unless k is a positive integer.
 */
export function thresholdOfOneIn(k: number): number {
  if (!Number.isSafeInteger(k) || k < 1) {
    throw new RangeError(`Cannot use the probability one in ${k}: not a positive integer`);
  }
  return Math.round(certainty / k);
}

/**
 * The threshold of a probability from 0 to 1.
 *
 * @throws {RangeError} when it is outside.
 */
export function thresholdOf(probability: number): number {
  if (!(probability >= 0 && probability <= 1)) {
    throw new RangeError(`Cannot use the probability ${probability}: not from 0 to 1`);
  }
  return Math.round(probability * certainty);
}

/**
 * `threshold / 2^31` as `%.11f` prints it.
 *
 * C rounds an exact tie to the even digit, `toFixed` to the larger number. Ties are the odd multiples of 1/4096: their
 * expansion ends in a 5 at the twelfth digit.
 *
 * @throws {RangeError} unless the threshold is an integer from 0 to 2^31.
 */
export function formatThreshold(threshold: number): string {
  const text = formatted.get(threshold) ?? format(threshold);
  if (formatted.size < maxFormatted) {
    formatted.set(threshold, text);
  }
  return text;
}

/** Few thresholds are ever used, those of short lists, each in every list. */
const formatted = new Map<number, string>();
const maxFormatted = 256;

function format(threshold: number): string {
  if (!Number.isInteger(threshold) || threshold < 0 || threshold > certainty) {
    throw new RangeError(
      `Cannot render the probability: threshold ${threshold} is not an integer from 0 to 2^31`,
    );
  }
  const probability = threshold / certainty;
  const tie = threshold % 2 ** 20 === 2 ** 19;
  if (!tie) {
    return probability.toFixed(11);
  }
  const truncated = probability.toFixed(12).slice(0, -1);
  return Number(truncated.at(-1)) % 2 === 0 ? truncated : probability.toFixed(11);
}
