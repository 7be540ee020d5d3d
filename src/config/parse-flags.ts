/**
 * Reads a command line by a table of flags, in the syntax that Go programs of the Kubernetes family share.
 *
 * `--name=value` and `--name value`; a switch takes its value only after `=`; `-v4`, `-v=4` and `-v 4`; underscores in
 * names equal hyphens; a later occurrence replaces an earlier one, except that lists append; `--` ends the flags.
 *
 * Pure. Error texts are those of Go's pflag library, which operators know.
 *
 * @module
 */
import { ConfigError } from "./config-error.ts";
import type { ConfigWarning } from "./config-warning.ts";
import type { FlagSpec, FlagTable } from "./flag-spec.ts";
import { nearestName } from "./nearest-name.ts";
import { quoteText } from "./quote-text.ts";

/** A command line that was read. */
export interface ParsedFlags<V> {
  /** The value of every flag of the table: the one given, else the default. */
  readonly values: V;
  /** Names of the flags that were given, in the order of their first occurrence. */
  readonly given: ReadonlySet<string>;
  /** Arguments that are no flags. */
  readonly positional: readonly string[];
  readonly warnings: readonly ConfigWarning[];
}

/**
 * Reads the arguments.
 *
 * @param retired names that older versions had; they are unknown, and the error says why
 * @throws {ConfigError} that names the flag: unknown, without its value, or with a bad one.
 */
export function parseFlags<V extends object>(
  table: FlagTable<V>,
  argv: readonly string[],
  retired: readonly string[] = [],
): ParsedFlags<V> {
  return new FlagReader(table, argv, retired).read();
}

class FlagReader<V extends object> {
  readonly #specs: ReadonlyMap<string, FlagSpec<unknown>>;
  readonly #retired: readonly string[];
  readonly #values: Map<string, unknown>;
  readonly #given = new Set<string>();
  readonly #positional: string[] = [];
  readonly #warnings: ConfigWarning[] = [];
  readonly #arguments: Iterator<string>;

  constructor(table: FlagTable<V>, argv: readonly string[], retired: readonly string[]) {
    this.#arguments = argv.values();
    this.#specs = new Map(Object.entries<FlagSpec<unknown>>(table));
    this.#retired = retired;
    this.#values = new Map([...this.#specs].map(([name, spec]) => [name, spec.initial]));
  }

  read(): ParsedFlags<V> {
    let flagsEnded = false;
    for (let argument = this.#next(); argument !== undefined; argument = this.#next()) {
      if (flagsEnded) {
        this.#positional.push(argument);
      } else if (argument === "--") {
        flagsEnded = true;
      } else if (argument.startsWith("--")) {
        this.#readLong(argument);
      } else if (argument.length > 1 && argument.startsWith("-")) {
        this.#readShort(argument);
      } else {
        this.#positional.push(argument);
      }
    }
    return {
      // Every name of the table has its default or a value of its own type.
      values: Object.fromEntries(this.#values) as V,
      given: this.#given,
      positional: this.#positional,
      warnings: this.#warnings,
    };
  }

  #next(): string | undefined {
    const next = this.#arguments.next();
    return next.done === true ? undefined : next.value;
  }

  #readLong(argument: string): void {
    const equals = argument.indexOf("=");
    const written = equals < 0 ? argument.slice(2) : argument.slice(2, equals);
    if (written === "" || written.startsWith("-")) {
      throw new ConfigError(`bad flag syntax: ${quoteText(argument)}`);
    }
    const name = written.replaceAll("_", "-");
    const spec = this.#specs.get(name);
    if (spec === undefined) {
      throw new ConfigError(`unknown flag: --${printable(written)}${this.#hint(name)}`);
    }
    const text = equals < 0 ? (spec.type.bareText ?? this.#next()) : argument.slice(equals + 1);
    if (text === undefined) {
      throw new ConfigError(`flag needs an argument: --${name}`);
    }
    this.#set(name, spec, text);
  }

  /** `-v4`, `-v=4`, `-v 4`; switches may be followed by further letters. */
  #readShort(argument: string): void {
    let letters = argument.slice(1);
    while (letters !== "") {
      const letter = letters.charAt(0);
      const found = [...this.#specs].find(([, spec]) => spec.shorthand === letter);
      if (found === undefined) {
        const where = `${quoteLetter(letter)} in ${printable(argument)}`;
        throw new ConfigError(`unknown shorthand flag: ${where}`);
      }
      const [name, spec] = found;
      letters = letters.slice(1);
      let text: string | undefined;
      if (letters.startsWith("=")) {
        text = letters.slice(1);
        letters = "";
      } else if (spec.type.bareText !== undefined) {
        text = spec.type.bareText;
      } else {
        text = letters === "" ? this.#next() : letters;
        letters = "";
      }
      if (text === undefined) {
        throw new ConfigError(`flag needs an argument: ${quoteLetter(letter)} in ${argument}`);
      }
      this.#set(name, spec, text);
    }
  }

  #set(name: string, spec: FlagSpec<unknown>, text: string): void {
    try {
      this.#values.set(name, spec.type.parse(text, this.#values.get(name)));
    } catch (cause) {
      if (!(cause instanceof SyntaxError)) {
        throw cause;
      }
      const flag = spec.shorthand === undefined ? `--${name}` : `-${spec.shorthand}, --${name}`;
      throw new ConfigError(`invalid argument ${quoteText(text)} for "${flag}" flag: ${cause.message}`, {
        cause,
      });
    }
    this.#given.add(name);
    this.#warnAbout(name, spec, text);
  }

  #warnAbout(name: string, spec: FlagSpec<unknown>, text: string): void {
    if (spec.replacement !== undefined) {
      const message = `Flag --${name} has been deprecated, use --${spec.replacement} instead`;
      this.#warnings.push({ kind: "deprecated-flag", message });
    }
    if (spec.emptyIsIgnored === true && text === "") {
      const message = `--${name}="" has no effect: an empty address does not disable the server`;
      this.#warnings.push({ kind: "ignored-flag", message });
    }
  }

  #hint(name: string): string {
    if (this.#retired.includes(name)) {
      return " (kube-proxy no longer has this flag)";
    }
    const nearest = nearestName(name, [...this.#specs.keys()]);
    return nearest === undefined ? "" : ` (did you mean --${nearest}?)`;
  }
}

/** Text of an argument without quotes around it, as pflag shows it, but on one line whatever it holds. */
function printable(text: string): string {
  return quoteText(text).replace(/^"(.*)"/s, "$1");
}

function quoteLetter(letter: string): string {
  return `'${printable(letter)}'`;
}
