/**
 * What a run of the benchmarks is to measure, from the command line.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { Variant } from "../e2e/harness/iptables-variant.ts";

/** What can be asked for. */
export const topics: readonly Topic[] = [
  "cold",
  "change",
  "memory",
  "restart",
  "planning",
  "first-packet",
  "audit",
];

/** A group of figures that are measured together. */
export type Topic = "cold" | "change" | "memory" | "restart" | "planning" | "first-packet" | "audit";

/** A mode that can be measured. */
export type BenchMode = "iptables" | "ipvs";

/** The run. */
export interface BenchOptions {
  readonly modes: readonly BenchMode[];
  /** Numbers of Services, ascending. */
  readonly services: readonly number[];
  /** Endpoints of each Service. */
  readonly endpoints: number;
  readonly variants: readonly Variant[];
  readonly topics: ReadonlySet<Topic>;
  /** How often the bare tool loads everything; the daemon does so once more. */
  readonly repeat: number;
  /** Single-endpoint changes whose latency is measured. */
  readonly changes: number;
  /** Changes, these included, after which memory is looked at again. */
  readonly manyChanges: number;
}

const variants: readonly Variant[] = ["nft", "legacy"];
const modes: readonly BenchMode[] = ["iptables", "ipvs"];

/** Text of `--help`. */
export const usage: string = `usage: node bench/main.ts [options]        needs root
  --mode LIST        ${modes.join(",")} (iptables); ipvs needs User Mode Linux and takes ten minutes
  --services LIST    numbers of Services (1000,10000)
  --endpoints N      endpoints of each Service (10)
  --variant LIST     of iptables: ${variants.join(",")} (all)
  --only LIST        figures: ${topics.join(",")} (all)
  --repeat N         times the bare tool loads everything, in turn with the daemon (2)
  --changes N        single-endpoint changes whose latency is measured (100)
  --many-changes N   changes, these included, after which memory is looked at again (1000)
`;

/**
 * Reads the arguments. Undefined when they ask for help.
 *
 * @throws RangeError for a value without sense, TypeError for an unknown option
 */
export function readOptions(args: readonly string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: "boolean", default: false },
      mode: { type: "string", default: "iptables" },
      services: { type: "string", default: "1000,10000" },
      endpoints: { type: "string", default: "10" },
      variant: { type: "string", default: variants.join(",") },
      only: { type: "string", default: topics.join(",") },
      repeat: { type: "string", default: "2" },
      changes: { type: "string", default: "100" },
      "many-changes": { type: "string", default: "1000" },
    },
  });
  if (values.help) {
    return undefined;
  }
  const services = values.services.split(",").map((text) => readNumber("services", text));
  return {
    modes: readWords("mode", values.mode, modes),
    services: [...new Set(services)].sort((a, b) => a - b),
    endpoints: readNumber("endpoints", values.endpoints),
    variants: readWords("variant", values.variant, variants),
    topics: new Set(readWords("only", values.only, topics)),
    repeat: readNumber("repeat", values.repeat),
    changes: readNumber("changes", values.changes),
    manyChanges: readNumber("many-changes", values["many-changes"]),
  };
}

function readNumber(option: string, text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) {
    throw new RangeError(
      `Cannot read --${option}: must be numbers from 1 to 9999999, got ${JSON.stringify(text)}`,
    );
  }
  return Number(text);
}

function readWords<Word extends string>(
  option: string,
  text: string,
  known: readonly Word[],
): readonly Word[] {
  return text.split(",").map((word) => {
    const found = known.find((one) => one === word);
    if (found === undefined) {
      throw new RangeError(
        `Cannot read --${option}: must be some of ${known.join(",")}, got ${JSON.stringify(word)}`,
      );
    }
    return found;
  });
}
