/**
 * How often the properties of this folder are tried: as usual, or as often as FC_RUNS says, for a search that takes
 * longer.
 *
 * @module
 */

/** The number of runs of a property. */
export function runsOf(usual: number): number {
  const wanted = Number(process.env["FC_RUNS"] ?? usual);
  if (!Number.isSafeInteger(wanted) || wanted < 1) {
    throw new RangeError(
      `Cannot run properties FC_RUNS=${process.env["FC_RUNS"]} times: not a positive integer`,
    );
  }
  return wanted;
}

/** A limit for so many runs that only a loop without end exceeds, in milliseconds. */
export function patienceFor(runs: number): number {
  return 60_000 + runs * 250;
}
