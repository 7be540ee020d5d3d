/**
 * Deep equality of plain values: primitives, arrays and objects with own enumerable keys.
 *
 * @module
 */

/** Whether two plain values are structurally equal. An absent key equals an undefined one. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) {
    return true;
  }
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
    return false;
  }
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) &&
      Array.isArray(b) &&
      a.length === b.length &&
      a.every((item, index) => sameValue(item, b[index]))
    );
  }
  return sameRecord(a as Record<string, unknown>, b as Record<string, unknown>);
}

function sameRecord(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  for (const key in a) {
    // What every object inherits (`constructor`, `toString`) is no value of either.
    if (!sameValue(a[key], Object.hasOwn(b, key) ? b[key] : undefined)) {
      return false;
    }
  }
  for (const key in b) {
    if (b[key] !== undefined && !Object.hasOwn(a, key)) {
      return false;
    }
  }
  return true;
}
