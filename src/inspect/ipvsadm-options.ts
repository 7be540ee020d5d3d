/**
 * The options of ipvsadm(8) and of ours, and a command line taken apart into them.
 *
 * Pure. Spelled as popt reads them: short options in bundles, `-t VALUE` and `-tVALUE`, `--name VALUE` and `--name=VALUE`.
 * What goes with what is the subject of `ipvsadm-command.ts`.
 *
 * @module
 */

/** A command line of ipvsadm that cannot be used. The message is ipvsadm's own where it has one. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}

/** An option: its long name, its letter if it has one, and whether a value follows. */
interface OptionSpec {
  /** What it is called in messages, and what it is found by. */
  readonly name: string;
  readonly long?: readonly string[];
  readonly short?: string;
  readonly takesValue?: true;
}

/** What ipvsadm does besides listing. */
const otherCommands: readonly (readonly [short: string, ...long: string[]])[] = [
  ["A", "add-service"],
  ["E", "edit-service"],
  ["D", "delete-service"],
  ["C", "clear"],
  ["R", "restore"],
  ["a", "add-server"],
  ["e", "edit-server"],
  ["d", "delete-server"],
  ["Z", "zero"],
  ["", "set"],
  ["", "start-daemon"],
  ["", "stop-daemon"],
];

/** Options that only other commands have, by the names that ipvsadm's messages have for them. */
const foreignOptions: readonly OptionSpec[] = [
  { name: "scheduler", short: "s", takesValue: true },
  { name: "persistent", short: "p" },
  { name: "netmask", short: "M", takesValue: true },
  { name: "real-server", short: "r", takesValue: true },
  { name: "forwarding-method", long: ["masquerading", "ipip", "gatewaying"], short: "m" },
  { name: "forwarding-method", long: [], short: "i" },
  { name: "forwarding-method", long: [], short: "g" },
  { name: "weight", short: "w", takesValue: true },
  { name: "u-threshold", short: "x", takesValue: true },
  { name: "l-threshold", short: "y", takesValue: true },
  { name: "mcast-interface", takesValue: true },
  { name: "syncid", takesValue: true },
  { name: "ops", short: "o" },
  { name: "pe", takesValue: true },
  { name: "sched-flags", short: "b", takesValue: true },
  { name: "mcast-group", takesValue: true },
  { name: "mcast-port", takesValue: true },
  { name: "mcast-ttl", takesValue: true },
  { name: "sync-maxlen", takesValue: true },
  { name: "tun-type", takesValue: true },
  { name: "tun-port", takesValue: true },
  { name: "tun-nocsum" },
  { name: "tun-csum" },
  { name: "tun-remcsum" },
];

const listOptions: readonly OptionSpec[] = [
  { name: "list", short: "L" },
  { name: "list", long: [], short: "l" },
  { name: "save", short: "S" },
  { name: "help", short: "h" },
  { name: "version", short: "v" },
  { name: "numeric", short: "n" },
  { name: "connection", short: "c" },
  { name: "tcp-service", short: "t", takesValue: true },
  { name: "udp-service", short: "u", takesValue: true },
  { name: "sctp-service", takesValue: true },
  { name: "fwmark-service", short: "f", takesValue: true },
  { name: "ipv6", short: "6" },
  { name: "timeout" },
  { name: "daemon" },
  { name: "stats" },
  { name: "rate" },
  { name: "thresholds" },
  { name: "persistent-conn" },
  { name: "tun-info" },
  { name: "nosort" },
  { name: "sort" },
  { name: "exact" },
];

/** Ours. */
const ownOptions: readonly OptionSpec[] = [
  { name: "mode", takesValue: true },
  { name: "output", takesValue: true },
  { name: "names" },
  { name: "service", takesValue: true },
  { name: "namespace", takesValue: true },
  { name: "address", takesValue: true },
  { name: "manifests", takesValue: true },
  { name: "kubeconfig", takesValue: true },
];

/** Options that stand for a whole service. */
const serviceOptions: ReadonlySet<string> = new Set([
  "tcp-service",
  "udp-service",
  "sctp-service",
  "fwmark-service",
]);

const commandOptions: ReadonlySet<string> = new Set(["list", "save", "help", "version"]);

const foreign: ReadonlySet<string> = new Set(foreignOptions.map(({ name }) => name));

const all: readonly OptionSpec[] = [...listOptions, ...foreignOptions, ...ownOptions];

const byLong: ReadonlyMap<string, OptionSpec> = new Map(
  all.flatMap((spec) => (spec.long ?? [spec.name]).map((long) => [long, spec] as const)),
);

const byShort: ReadonlyMap<string, OptionSpec> = new Map(
  all.flatMap((spec) => (spec.short === undefined ? [] : [[spec.short, spec] as const])),
);

const otherByShort: ReadonlyMap<string, string> = new Map(
  otherCommands.flatMap(([short, long]) => (short === "" ? [] : [[short, long ?? ""] as const])),
);

const otherByLong: ReadonlySet<string> = new Set(otherCommands.flatMap(([, ...long]) => long));

/** A command line, option by option. */
export interface GivenOptions {
  /** `list`, `save`, `help` or `version`; `list` when there is none. */
  readonly command: string;
  /** Options by their names with their values, `""` for one without. */
  readonly values: ReadonlyMap<string, string>;
}

/**
 * Takes a command line apart.
 *
 * @throws UsageError
 */
export function readIpvsadmOptions(args: readonly string[]): GivenOptions {
  const reader = new OptionReader();
  for (let index = 0; index < args.length; index++) {
    const word = args[index] ?? "";
    const next = args[index + 1];
    if (word.startsWith("--") && word.length > 2) index += reader.long(word.slice(2), next);
    else if (word.startsWith("-") && word.length > 1) index += reader.bundle(word.slice(1), next);
    else throw new UsageError(`unexpected argument ${word}`);
  }
  return reader.finish();
}

class OptionReader {
  readonly #values = new Map<string, string>();
  #command: string | undefined;
  #illegal: string | undefined;

  /** @returns how many more words were taken */
  long(text: string, next: string | undefined): number {
    const equals = text.indexOf("=");
    const name = equals < 0 ? text : text.slice(0, equals);
    const attached = equals < 0 ? undefined : text.slice(equals + 1);
    if (otherByLong.has(name)) throw editing(name);
    const spec = byLong.get(name);
    if (spec === undefined) throw unknown(`--${name}`);
    return this.#take(spec, `--${name}`, attached, next);
  }

  bundle(letters: string, next: string | undefined): number {
    for (let at = 0; at < letters.length; at++) {
      const letter = letters[at] ?? "";
      const other = otherByShort.get(letter);
      if (other !== undefined) throw editing(other);
      const spec = byShort.get(letter);
      if (spec === undefined) throw unknown(`-${letter}`);
      if (spec.takesValue === true) {
        const rest = letters.slice(at + 1).replace(/^=/, "");
        return this.#take(spec, `-${letter}`, rest === "" ? undefined : rest, next);
      }
      this.#take(spec, `-${letter}`, undefined, undefined);
    }
    return 0;
  }

  finish(): GivenOptions {
    if (this.#illegal !== undefined) {
      throw new UsageError(`Illegal '${this.#illegal}' option with the '${this.#command ?? "list"}' command`);
    }
    return { command: this.#command ?? "list", values: this.#values };
  }

  #take(spec: OptionSpec, word: string, attached: string | undefined, next: string | undefined): number {
    if (spec.takesValue !== true && attached !== undefined) {
      throw new UsageError(`option ${word} takes no value`);
    }
    const value = spec.takesValue === true ? (attached ?? next) : "";
    if (value === undefined) throw new UsageError(`option ${word} needs a value`);
    if (commandOptions.has(spec.name)) this.#setCommand(spec.name, word);
    else this.#setOption(spec.name, value);
    return spec.takesValue === true && attached === undefined ? 1 : 0;
  }

  #setCommand(name: string, word: string): void {
    if (this.#command !== undefined) throw new UsageError(`invalid option \`${word}'`);
    this.#command = name;
  }

  #setOption(name: string, value: string): void {
    if (foreign.has(name)) this.#illegal ??= name;
    const isService = serviceOptions.has(name);
    const known = [...this.#values.keys()].some(
      (one) => one === name || (isService && serviceOptions.has(one)),
    );
    if (known) {
      throw new UsageError(`multiple '${isService ? "service-address" : name}' options specified`);
    }
    this.#values.set(name, value);
  }
}

function editing(command: string): UsageError {
  return new UsageError(`this command only looks: for --${command} use ipvsadm itself`);
}

function unknown(word: string): UsageError {
  return new UsageError(`unknown option ${word}; see kube-sluice ipvsadm --help`);
}
