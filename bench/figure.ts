/**
 * Figures: what a benchmark has measured, one JSON line each.
 *
 * Pure but for {@link printFigure}.
 *
 * @module
 */
import type { Variant } from "../e2e/harness/iptables-variant.ts";

/** What a value counts. `MB` are millions of bytes. */
export type Unit = "ms" | "us" | "MB" | "bytes" | "ratio" | "processes" | "requests";

/** One figure. What does not apply is absent. */
export interface Figure {
  readonly figure: string;
  /** Of `growth`: the figure that grows. */
  readonly of?: string;
  /** The mode, where it is not iptables mode. */
  readonly mode?: "ipvs";
  readonly variant?: Variant;
  readonly services?: number;
  /** Endpoints of each Service. */
  readonly endpoints?: number;
  /** The figure itself; of several measurements the median. */
  readonly value: number;
  readonly unit: Unit;
  /** What the same thing costs without the program: the median of the bare tool, in the same unit and the same run. */
  readonly bare?: number;
  /** `value` divided by `bare`. */
  readonly ratio?: number;
  readonly p50?: number;
  readonly p99?: number;
  /** Number of measurements. */
  readonly n?: number;
  /** What was run to get `bare`. */
  readonly command?: string;
  /** Further measurements that belong to the figure, by name; units are in the names. */
  readonly detail?: Readonly<Record<string, number>>;
}

/** What many measurements of one thing come to. */
export interface Summary {
  /** The median. */
  readonly value: number;
  readonly p50: number;
  readonly p99: number;
  readonly n: number;
}

/**
 * The value that the share `part` of the values does not exceed: of 100 values 0.99 gives the 99th in ascending order.
 *
 * @throws RangeError without values
 */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const found = sorted[Math.max(Math.ceil(sorted.length * part) - 1, 0)];
  if (found === undefined) {
    throw new RangeError("Cannot find a percentile: there are no values");
  }
  return found;
}

/** The middle value; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const { length } = values;
  return length % 2 === 1
    ? percentile(values, 0.5)
    : (percentile(values, 0.5) + percentile(values, (length / 2 + 1) / length)) / 2;
}

/** Median and percentiles of measurements. */
export function summarize(values: readonly number[]): Summary {
  const middle = median(values);
  return { value: middle, p50: middle, p99: percentile(values, 0.99), n: values.length };
}

/** `bare` and `ratio` of a figure. */
export function against(bare: number, value: number): Pick<Figure, "bare" | "ratio"> {
  return { bare, ratio: value / bare };
}

/** Figures whose growth says nothing: they do not depend on the number of Services, or are differences. */
const withoutGrowth: ReadonlySet<string> = new Set([
  "load-average",
  "memory-idle",
  "change-own-time",
  "restart-bytes",
]);

/** How each figure grows from the least number of Services to the greatest: one `growth` for each that has both. */
export function growthOf(figures: readonly Figure[]): readonly Figure[] {
  const kinds = Map.groupBy(
    figures.filter(({ figure, services }) => services !== undefined && !withoutGrowth.has(figure)),
    ({ figure, mode = "", variant = "" }) => `${figure} ${mode} ${variant}`,
  );
  return [...kinds.values()].flatMap((same): readonly Figure[] => {
    const sorted = same.toSorted((a, b) => (a.services ?? 0) - (b.services ?? 0));
    const [least] = sorted;
    const most = sorted.at(-1);
    if (least === undefined || most === undefined || least.services === most.services || least.value === 0) {
      return [];
    }
    const { figure, mode, variant, services = 0, endpoints = 0 } = most;
    return [
      {
        figure: "growth",
        of: figure,
        ...(mode === undefined ? {} : { mode }),
        ...(variant === undefined ? {} : { variant }),
        services,
        endpoints,
        value: most.value / least.value,
        unit: "ratio",
      },
    ];
  });
}

/** The figure as a line of JSON, numbers with four significant digits. */
export function formatFigure(figure: Figure): string {
  return JSON.stringify(figure, (_, value: unknown) =>
    typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value,
  );
}

/** Prints a figure on standard output. */
export function printFigure(figure: Figure): void {
  process.stdout.write(`${formatFigure(figure)}\n`);
}
