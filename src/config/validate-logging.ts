/**
 * Validation of section `logging`, with the rules and texts of Kubernetes' component-base.
 *
 * Pure.
 *
 * @module
 */
import { forbiddenValue, invalidDuration, invalidValue, requiredValue } from "./field-error.ts";
import type { ConfigFields, LoggingSection, VmoduleEntry } from "./proxy-config.ts";
import { isZeroQuantity } from "./scalar-codecs.ts";

/** Feature gate without which the options of the log streams must keep their defaults. */
const alphaOptionsGate = "LoggingAlphaOptions";

// klog keeps verbosities in a signed 32-bit integer.
const MAX_VERBOSITY = 2 ** 31 - 1;

/** The errors of the section at `path`. */
export function validateLogging(config: ConfigFields, path: string): readonly string[] {
  const { logging } = config;
  const errors: string[] = [];
  if (logging.format !== "text" && logging.format !== "json") {
    errors.push(invalidValue(`${path}.format`, logging.format, "Unsupported log format"));
  }
  if (logging.flushFrequencyMs <= 0) {
    const rule = "must be greater than 0";
    errors.push(invalidDuration(`${path}.flushFrequency`, logging.flushFrequencyMs, rule));
  }
  errors.push(...verbosityErrors(`${path}.verbosity`, logging.verbosity));
  if (logging.vmodule.length > 0 && logging.format !== "text") {
    errors.push(forbiddenValue(`${path}.vmodule`, "Only supported for text log format"));
  }
  for (const [index, entry] of logging.vmodule.entries()) {
    errors.push(...vmoduleErrors(`${path}.vmodule[${index}]`, entry));
  }
  if (config.featureGates.get(alphaOptionsGate) !== true) {
    errors.push(...alphaOptionErrors(`${path}.options`, logging.options));
  }
  return errors;
}

function verbosityErrors(path: string, verbosity: number): readonly string[] {
  return verbosity > MAX_VERBOSITY ? [invalidValue(path, verbosity, `Must be <= ${MAX_VERBOSITY}`)] : [];
}

function vmoduleErrors(path: string, entry: VmoduleEntry): readonly string[] {
  const errors: string[] = [];
  if (entry.filePattern === "") {
    errors.push(requiredValue(path, "File pattern must not be empty"));
  }
  if (/[=,]/.test(entry.filePattern)) {
    const rule = "File pattern must not contain equal sign or comma";
    errors.push(invalidValue(path, entry.filePattern, rule));
  }
  return [...errors, ...verbosityErrors(path, entry.verbosity)];
}

function alphaOptionErrors(path: string, options: LoggingSection["options"]): readonly string[] {
  const disabled = `Feature ${alphaOptionsGate} is disabled`;
  return (["text", "json"] as const).flatMap((format) => {
    const { splitStream, infoBufferSize } = options[format];
    return [
      ...(splitStream ? [forbiddenValue(`${path}.${format}.splitStream`, disabled)] : []),
      ...(isZeroQuantity(infoBufferSize)
        ? []
        : [forbiddenValue(`${path}.${format}.infoBufferSize`, disabled)]),
    ];
  });
}
