/**
 * Numbers for people to read in a narrow column.
 *
 * Pure.
 *
 * @module
 */

/** Three digits and a unit of thousands: `0`, `0.50`, `12.3`, `999`, `1.00k`, `12.3M`; `-` for what is not known. */
export function shortNumber(value: number | undefined): string {
  if (value === undefined) {
    return "-";
  }
  let [scaled, unit] = [value, ""];
  for (const next of ["k", "M", "G", "T", "P"]) {
    if (scaled < 999.5) {
      break;
    }
    scaled /= 1000;
    unit = next;
  }
  if (unit === "" && Number.isInteger(scaled)) {
    return String(scaled);
  }
  const digits = scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0;
  return `${scaled.toFixed(digits)}${unit}`;
}

/** Two decimals; `-` for what is not known. */
export function skewText(skew: number | undefined): string {
  return skew === undefined ? "-" : skew.toFixed(2);
}

/** The sum; 0 of nothing. */
export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
