/**
 * Logging: one line a message on standard error, as text in klog's format or as JSON, on pino.
 *
 * Messages are constant texts, what varies is in fields: `log.info("Sync complete", { services: 12 })`. The wording of
 * lines that people search for is kube-proxy's.
 *
 * Lines are written in the background (background-writer.ts) and never hold up the data path.
 *
 * Format and verbosity can change while the process runs.
 *
 * @module
 */
import { type Logger as PinoLogger, pino } from "pino";
import { BackgroundWriter, type LogSink } from "./background-writer.ts";
import { type Clock, systemClock } from "./clock.ts";
import { formatTextLine, type LogEntry } from "./log-line.ts";
import { type LogVerbosity, maxVerbosity, verbosityOf } from "./log-verbosity.ts";

/** Verbosity of a line: shown from `-v` of this number on. */
export type Verbosity = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;

/** Values of fields. An error becomes its message and those of its causes. */
export type LogValue = string | number | boolean | readonly string[] | Error | undefined;

/** Named values of a line; the names that every line has are taken. */
export type LogFields = Readonly<Record<string, LogValue>> & {
  readonly [taken in "level" | "ts" | "v" | "caller" | "msg"]?: never;
};

/** Where components log. */
export interface Logger {
  /** Something that should have worked did not. Always shown. */
  error(message: string, fields?: LogFields): void;
  /** Something is odd, but work goes on as it should. Always shown. */
  warning(message: string, fields?: LogFields): void;
  /** Shown at this verbosity and above; 0 is always shown. */
  info(message: string, fields?: LogFields, verbosity?: Verbosity): void;
  /** Whether lines of this verbosity are shown: for fields that cost something to make. */
  isVerbose(verbosity: Verbosity): boolean;
}

/** `text` is klog's, `json` one object a line. */
export type LogFormat = "text" | "json";

/** Settings of the logging of a process. */
export interface LoggingOptions {
  readonly format: LogFormat;
  readonly verbosity: LogVerbosity;
  /** Standard error unless given. */
  readonly sink?: LogSink;
  readonly clock?: Pick<Clock, "wallMs">;
  /** The process that the lines name. */
  readonly pid?: number;
}

type InfoLevel = `v${Verbosity}`;

/** File descriptor. */
const standardError = 2;

/** pino's number of its own `info`: verbosity 0 is as high, each further step one lower. */
const infoNumber = 30;

const customLevels = Object.fromEntries(
  Array.from({ length: maxVerbosity + 1 }, (_, verbosity) => [`v${verbosity}`, infoNumber - verbosity]),
) as Record<InfoLevel, number>;

/** The logging of a process. */
export class Logging {
  readonly #root: PinoLogger<InfoLevel>;
  readonly #sink: LogSink;
  readonly #components = new Map<string, PinoLogger<InfoLevel>>();
  readonly #pid: number;
  #format: LogFormat;
  #verbosity: LogVerbosity;

  constructor(options: LoggingOptions) {
    const clock = options.clock ?? systemClock;
    this.#format = options.format;
    this.#verbosity = options.verbosity;
    this.#pid = options.pid ?? process.pid;
    this.#sink = options.sink ?? new BackgroundWriter(standardError);
    this.#root = pino<InfoLevel>(
      {
        base: null,
        customLevels,
        level: `v${maxVerbosity}`,
        timestamp: () => `,"ts":${clock.wallMs()}`,
        formatters: { level: levelFields },
      },
      { write: (line) => this.#write(line) },
    );
  }

  /** The logger of a component. */
  component(name: string): Logger {
    const child = this.#childOf(name);
    const log = (level: InfoLevel | "error" | "warn", message: string, fields: LogFields = {}): void => {
      if (child.isLevelEnabled(level)) {
        child[level](plainFields(fields), message);
      }
    };
    return {
      error: (message, fields) => log("error", message, fields),
      warning: (message, fields) => log("warn", message, fields),
      info: (message, fields, verbosity = 0) => log(`v${verbosity}`, message, fields),
      isVerbose: (verbosity) => child.isLevelEnabled(`v${verbosity}`),
    };
  }

  /** From now on this much is logged, also by loggers that were handed out before. */
  setVerbosity(verbosity: LogVerbosity): void {
    this.#verbosity = verbosity;
    for (const [name, child] of this.#components) {
      child.level = `v${verbosityOf(name, verbosity)}`;
    }
  }

  /** From now on lines have this format. */
  setFormat(format: LogFormat): void {
    this.#format = format;
  }

  /** What is logged now. */
  get verbosity(): LogVerbosity {
    return this.#verbosity;
  }

  /** Lines that nobody will ever read. */
  get lostLines(): number {
    return this.#sink.lostLines;
  }

  /** Resolves when everything is written or lost. Give up waiting when nobody reads. */
  flush(): Promise<void> {
    return this.#sink.flush();
  }

  #childOf(name: string): PinoLogger<InfoLevel> {
    const known = this.#components.get(name);
    if (known !== undefined) {
      return known;
    }
    const child = this.#root.child(
      { caller: `${name}:0` },
      { level: `v${verbosityOf(name, this.#verbosity)}` },
    );
    this.#components.set(name, child);
    return child;
  }

  #write(json: string): void {
    this.#sink.write(
      this.#format === "json" ? json : formatTextLine(JSON.parse(json) as LogEntry, this.#pid),
    );
  }
}

/** What was thrown, as the field of a log line: an Error keeps its stack. */
export function errorField(error: unknown): Error | string {
  return error instanceof Error ? error : String(error);
}

/** An error as one text: its message, then those of its causes that say something new. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  const cause = error.cause === undefined ? "" : errorText(error.cause);
  return cause === "" || error.message.includes(cause) ? error.message : `${error.message}: ${cause}`;
}

/** As klog's JSON has it, with the severity in front: errors and warnings have no `v`. */
function levelFields(label: string): object {
  if (label.startsWith("v")) {
    return { level: "info", v: Number(label.slice(1)) };
  }
  return { level: label === "warn" ? "warning" : label };
}

function plainFields(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? errorText(value) : value]),
  );
}
