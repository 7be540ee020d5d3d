/**
 * The kernel's notation for sets of CPUs: `0-3,8`.
 *
 * Pure.
 *
 * @module
 */

/** How many CPUs a list names; undefined when it is none. */
export function countCpus(list: string): number | undefined {
  let count = 0;
  for (const range of list.trim().split(",")) {
    const [, first, last = first] = /^([0-9]+)(?:-([0-9]+))?$/.exec(range) ?? [];
    const size = Number(last) - Number(first) + 1;
    if (!(size >= 1)) {
      return undefined;
    }
    count += size;
  }
  return count;
}
