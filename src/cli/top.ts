/**
 * `top`: Services by what they are doing now, on a live page in a terminal, as plain text elsewhere.
 *
 * @module
 */
import { hostname } from "node:os";
import { parseArgs } from "node:util";
import { UsageError } from "../inspect/ipvsadm-options.ts";
import { keysOf } from "../inspect/top/keys.ts";
import { leastSize, type PageHead, page, roomFor, type Size, tooSmall } from "../inspect/top/page.ts";
import { type NodeLoad, RateMeter } from "../inspect/top/rate-meter.ts";
import { enterScreen, leaveScreen, repaint } from "../inspect/top/screen.ts";
import { rateJson, rateText } from "../inspect/top/text.ts";
import { firstView, fitted, listed, press, type View } from "../inspect/top/view.ts";
import { CommandError } from "./exit.ts";
import { type LiveTable, openLiveTable } from "./live-table.ts";

/** What is asked for. */
interface TopOptions {
  readonly mode: "auto" | "ipvs" | "iptables";
  readonly intervalSeconds: number;
  /** How many times numbers are printed when there is no terminal. */
  readonly count: number;
  readonly output: "text" | "json";
  readonly filter: string;
  readonly sort: View["sort"];
  readonly manifests: string | undefined;
  readonly kubeconfig: string | undefined;
}

/** Text of `top --help`. */
export const topHelp = `usage: kube-sluice top [options]        needs root

Services by new connections, active connections and traffic. On a terminal a page that goes on by itself; its last line
says which keys it knows. Elsewhere plain text.

  --interval SECONDS   between two looks (2)
  --count N            without a terminal: how many times to print (1)
  --sort KEY           new, active, bytes, skew or name (new)
  --filter TEXT        only Services whose name or address contains the text
  --mode MODE          which table: ipvs, iptables, or what is there (auto)
  --output FORMAT      without a terminal: text or json (text)
  --manifests DIR, --kubeconfig FILE   where names come from that the kernel does not know
`;

/** Runs a command line without the words `kube-sluice top`. @returns the exit status */
export async function top(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options === undefined) {
    process.stdout.write(topHelp);
    return 0;
  }
  const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  if (isTerminal && isTooSmall(sizeOf())) {
    throw new CommandError(2, tooSmall(sizeOf()));
  }
  const live = await openLiveTable(options);
  return await (isTerminal && options.output === "text"
    ? new Viewer(options, live).run()
    : print(options, live));
}

const sorts: readonly View["sort"][] = ["new", "active", "bytes", "skew", "name"];

function readOptions(args: readonly string[]): TopOptions | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        help: { type: "boolean", short: "h", default: false },
        interval: { type: "string", default: "2" },
        count: { type: "string", default: "1" },
        sort: { type: "string", default: "new" },
        filter: { type: "string", default: "" },
        mode: { type: "string", default: "auto" },
        output: { type: "string", default: "text" },
        manifests: { type: "string" },
        kubeconfig: { type: "string" },
      },
    });
    return values.help
      ? undefined
      : {
          mode: oneOf("mode", values.mode, ["auto", "ipvs", "iptables"]),
          intervalSeconds: numberOf("interval", values.interval, 0.1, 3_600),
          count: numberOf("count", values.count, 1, 1_000_000),
          output: oneOf("output", values.output, ["text", "json"]),
          filter: values.filter,
          sort: oneOf("sort", values.sort, sorts),
          manifests: values.manifests,
          kubeconfig: values.kubeconfig,
        };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new CommandError(2, `top: ${message.replaceAll(/\s*\n\s*/g, " ")}`, { cause: error });
  }
}

function oneOf<T extends string>(name: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === text);
  if (found === undefined) {
    throw new UsageError(`--${name} is ${JSON.stringify(text)}, must be one of ${allowed.join(", ")}`);
  }
  return found;
}

function numberOf(name: string, text: string, least: number, most: number): number {
  const value = /^\d{1,7}(?:\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) {
    throw new UsageError(`--${name} is ${JSON.stringify(text)}, must be a number from ${least} to ${most}`);
  }
  return value;
}

async function print(options: TopOptions, live: LiveTable): Promise<number> {
  const { intervalSeconds, count, output } = options;
  const meter = new RateMeter();
  meter.add(await look(live));
  for (let printed = 0; printed < count; printed++) {
    await new Promise((resolve) => setTimeout(resolve, intervalSeconds * 1000));
    const load = meter.add(await look(live));
    const services = listed(load, { ...firstView, ...options });
    process.stdout.write(output === "json" ? rateJson(load, services) : rateText(services));
  }
  return 0;
}

async function look(live: LiveTable): Promise<Parameters<RateMeter["add"]>[0]> {
  const table = await live.read();
  return { table, atMs: performance.now() };
}

function sizeOf(): Size {
  const { columns = 80, rows = 24 } = process.stdout;
  return { columns, rows };
}

function isTooSmall({ columns, rows }: Size): boolean {
  return columns < leastSize.columns || rows < leastSize.rows;
}

/** The page in a terminal. */
class Viewer {
  readonly #options: TopOptions;
  readonly #live: LiveTable;
  readonly #meter = new RateMeter();
  readonly #ended = Promise.withResolvers<number>();
  #view: View;
  #load: NodeLoad | undefined;
  #source = "";
  #time = "";
  #shown: readonly string[] | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** The terminal is the shell's again: a look that is under way shows nothing. */
  #isOver = false;

  constructor(options: TopOptions, live: LiveTable) {
    this.#options = options;
    this.#live = live;
    this.#view = { ...firstView, sort: options.sort, filter: options.filter };
  }

  async run(): Promise<number> {
    const { stdin, stdout } = process;
    const end = (): void => this.#ended.resolve(0);
    stdout.write(`${enterScreen}\x1b[1;1HReading the kernel's tables\n`);
    stdin
      .setRawMode(true)
      .setEncoding("utf8")
      .on("data", (text: string) => this.#keys(text));
    stdout.on("resize", () => this.#resized());
    for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) {
      process.once(signal, end);
    }
    this.#again();
    try {
      return await this.#ended.promise;
    } finally {
      this.#isOver = true;
      clearTimeout(this.#timer);
      stdin.setRawMode(false).pause();
      stdout.write(leaveScreen);
    }
  }

  #again(): void {
    const startedAt = performance.now();
    look(this.#live).then(
      (sample) => {
        if (this.#isOver) {
          return;
        }
        const load = this.#meter.add(sample);
        if (!this.#view.isFrozen || this.#load === undefined) {
          this.#load = load;
          this.#source = sample.table.source;
          this.#time = new Date().toTimeString().slice(0, 8);
        }
        this.#paint();
        const rest = this.#options.intervalSeconds * 1000 - (performance.now() - startedAt);
        this.#timer = setTimeout(() => this.#again(), Math.max(100, rest));
      },
      (error: unknown) => this.#ended.reject(error),
    );
  }

  #keys(text: string): void {
    for (const key of keysOf(text)) {
      const services = this.#load === undefined ? [] : listed(this.#load, this.#view);
      const step = press(this.#view, key, services, roomFor(sizeOf()));
      if (step === "quit") {
        this.#ended.resolve(0);
        return;
      }
      this.#view = step.view;
    }
    this.#paint();
  }

  #resized(): void {
    this.#shown = undefined;
    this.#paint();
  }

  #paint(): void {
    if (this.#load === undefined) {
      return;
    }
    const size = sizeOf();
    const services = listed(this.#load, this.#view);
    this.#view = fitted(this.#view, services.length, roomFor(size));
    const head: PageHead = {
      host: hostname(),
      source: this.#source,
      time: this.#time,
      intervalSeconds: this.#options.intervalSeconds,
    };
    const next = page(head, this.#load, services, this.#view, size);
    process.stdout.write(repaint(this.#shown, next));
    this.#shown = next;
  }
}
