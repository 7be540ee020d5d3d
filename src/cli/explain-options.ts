/**
 * The options of `explain` that kube-proxy does not have. All others are read as those of `run`.
 *
 * Pure.
 *
 * @module
 */
import { CommandError } from "./exit.ts";

/** What an answer may be printed as. */
export const outputForms = ["text", "json", "yaml"] as const;

/** What was given. */
export interface ExplainOptions {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly via: string | undefined;
  /** Whether the kernel is read beside `--manifests`. */
  readonly live: boolean;
  readonly output: (typeof outputForms)[number];
}

const withValue = ["from", "to", "via", "output"];

/**
 * Takes the options of `explain` out of a command line.
 *
 * @returns them, and the rest
 * @throws CommandError for one without its value, or with a bad one
 */
export function splitExplainOptions(argv: readonly string[]): {
  readonly options: ExplainOptions;
  readonly rest: readonly string[];
} {
  const given = new Map<string, string>();
  const rest: string[] = [];
  const words = argv.values();
  for (const word of words) {
    const [, name = "", value] = /^(?:--|(?=-o$|-o=))([a-z]+|-o)(?:=(.*))?$/s.exec(word) ?? [];
    const option = name === "-o" ? "output" : name;
    if (option === "live" && value === undefined) {
      given.set(option, "true");
    } else if (withValue.includes(option)) {
      given.set(option, value ?? nextOf(words, word));
    } else {
      rest.push(word);
    }
  }
  const output = given.get("output") ?? "text";
  const form = outputForms.find((one) => one === output);
  if (form === undefined) {
    throw new CommandError(2, `--output must be one of ${outputForms.join(", ")}`);
  }
  return {
    options: {
      from: given.get("from"),
      to: given.get("to"),
      via: given.get("via"),
      live: given.has("live"),
      output: form,
    },
    rest,
  };
}

function nextOf(words: Iterator<string>, option: string): string {
  const next = words.next();
  if (next.done === true || next.value.startsWith("--")) {
    throw new CommandError(2, `flag needs an argument: ${option}`);
  }
  return next.value;
}
