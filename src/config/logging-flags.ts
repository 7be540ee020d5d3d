/**
 * Logging flags. They hold beside `--config`, each winning over its field of the file.
 *
 * @module
 */
import { defaultFields } from "./config-schema.ts";
import type { FlagTable } from "./flag-spec.ts";
import {
  durationFlag,
  quantityFlag,
  switchFlag,
  textFlag,
  verbosityFlag,
  vmoduleFlag,
} from "./flag-types.ts";
import type { LoggingSection, VmoduleEntry } from "./proxy-config.ts";

/** Values of the logging flags; durations in milliseconds. */
export interface LoggingFlags {
  readonly "logging-format": string;
  readonly "log-flush-frequency": number;
  readonly v: number;
  readonly vmodule: readonly VmoduleEntry[];
  readonly "log-text-split-stream": boolean;
  readonly "log-text-info-buffer-size": string;
  readonly "log-json-split-stream": boolean;
  readonly "log-json-info-buffer-size": string;
}

const { logging } = defaultFields;
const splitHelp = "Alpha: write errors to standard error and the rest to standard output";
const bufferHelp =
  "Alpha: with split streams, buffer this much output, e.g. 512, 64Ki or 1M; 0 does not buffer.";

/** The table. */
export const loggingFlags: FlagTable<LoggingFlags> = {
  "logging-format": {
    type: textFlag,
    initial: logging.format,
    field: "logging.format",
    help: "Log format: text or json.",
  },
  "log-flush-frequency": {
    type: durationFlag,
    initial: logging.flushFrequencyMs,
    field: "logging.flushFrequency",
    help: "Longest time between log flushes. Output is not buffered, so this has no effect.",
  },
  v: {
    type: verbosityFlag,
    initial: logging.verbosity,
    shorthand: "v",
    field: "logging.verbosity",
    help: "Log verbosity.",
  },
  vmodule: {
    type: vmoduleFlag,
    initial: logging.vmodule,
    field: "logging.vmodule",
    help: "Log verbosity by file, pattern=N,...; text format only. Comes before the file's entries.",
  },
  "log-text-split-stream": {
    type: switchFlag,
    initial: logging.options.text.splitStream,
    field: "logging.options.text.splitStream",
    help: `${splitHelp}, in text format.`,
  },
  "log-text-info-buffer-size": {
    type: quantityFlag,
    initial: logging.options.text.infoBufferSize,
    field: "logging.options.text.infoBufferSize",
    help: bufferHelp,
  },
  "log-json-split-stream": {
    type: switchFlag,
    initial: logging.options.json.splitStream,
    field: "logging.options.json.splitStream",
    help: `${splitHelp}, in json format.`,
  },
  "log-json-info-buffer-size": {
    type: quantityFlag,
    initial: logging.options.json.infoBufferSize,
    field: "logging.options.json.infoBufferSize",
    help: bufferHelp,
  },
};

/** The section with every logging flag that was given laid over it; `vmodule` is joined, flag entries first. */
export function overlayLogging(
  section: LoggingSection,
  values: LoggingFlags,
  given: ReadonlySet<string>,
): LoggingSection {
  const pick = <K extends keyof LoggingFlags>(name: K, fromFile: LoggingFlags[K]): LoggingFlags[K] =>
    given.has(name) ? values[name] : fromFile;
  const { text, json } = section.options;
  return {
    format: pick("logging-format", section.format),
    flushFrequencyMs: pick("log-flush-frequency", section.flushFrequencyMs),
    verbosity: pick("v", section.verbosity),
    vmodule: [...pick("vmodule", []), ...section.vmodule],
    options: {
      text: {
        splitStream: pick("log-text-split-stream", text.splitStream),
        infoBufferSize: pick("log-text-info-buffer-size", text.infoBufferSize),
      },
      json: {
        splitStream: pick("log-json-split-stream", json.splitStream),
        infoBufferSize: pick("log-json-info-buffer-size", json.infoBufferSize),
      },
    },
  };
}
