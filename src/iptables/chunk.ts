/**
 * Lists in parts.
 *
 * Pure.
 *
 * @module
 */

/** The items in order, in groups of `size`; the last one may be smaller. */
export function chunk<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
