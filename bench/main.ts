/**
 * The benchmarks: builds the program, measures it in network namespaces of its own, prints one JSON line a figure and
 * judges nothing. `--help` lists the options, docs/benchmarks.md says what the figures mean.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { runCommand } from "../e2e/harness/command.ts";
import type { Variant } from "../e2e/harness/iptables-variant.ts";
import { createNamespaces, type Namespace, removeNamespaces } from "../e2e/harness/namespace.ts";
import { ScratchFolder } from "../e2e/harness/scratch.ts";
import { type Figure, formatFigure, growthOf, printFigure } from "./figure.ts";
import { connectRoads, fewServices, measureFirstPacket } from "./first-packet.ts";
import type { NodeTask } from "./node-context.ts";
import { type BenchMode, type BenchOptions, readOptions, type Topic, usage } from "./options.ts";

/** Longest time that one process of measurements may take. */
const timeoutMs = 400_000;

/** Longest time of ipvs mode, and for each Service that is loaded cold: a guest has one CPU and slow system calls. */
const ipvsSeconds = 600;
const ipvsSecondsPerLoadedService = 0.06;

const uml = fileURLToPath(new URL("../e2e/uml/run.sh", import.meta.url));

/** Topics that ipvs mode has. */
const ipvsTopics: readonly Topic[] = ["cold", "change", "memory", "restart", "audit"];

/** Topics that are measured on a node, in the order of the figures. */
const nodeTopics: readonly Topic[] = ["cold", "change", "memory", "restart"];

class Bench {
  readonly figures: Figure[] = [];
  readonly #options: BenchOptions;
  readonly #folder: string;

  constructor(options: BenchOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
  }

  async run(): Promise<void> {
    const { modes, topics, services, endpoints } = this.#options;
    this.#printLoad();
    if (topics.has("planning")) {
      for (const mode of modes) {
        const planning = [process.execPath, script("planning.ts"), mode, services.join(","), `${endpoints}`];
        await this.#collect(planning, undefined);
      }
    }
    if (modes.includes("iptables")) {
      await this.#measureIptables();
    }
    if (modes.includes("ipvs")) {
      await this.#measureIpvs();
    }
    for (const figure of growthOf(this.figures)) {
      printFigure(figure);
    }
    this.#printLoad();
  }

  async #measureIptables(): Promise<void> {
    const { topics, services, variants } = this.#options;
    if (nodeTopics.some((topic) => topics.has(topic)) || topics.has("first-packet")) {
      for (const variant of variants) {
        for (const count of services) {
          await this.#measureNode(variant, count);
        }
      }
    }
  }

  /** In User Mode Linux, because few kernels of hosts have IPVS where this may use it. */
  async #measureIpvs(): Promise<void> {
    const { services, repeat } = this.#options;
    const topics = ipvsTopics.filter((topic) => this.#options.topics.has(topic));
    if (topics.length === 0) {
      return;
    }
    const tasks = services.map((count) => this.#taskOf("ipvs", "legacy", count, topics));
    const loads = services.reduce((sum, count) => sum + count, 0) * (topics.includes("cold") ? repeat : 0);
    const seconds = Math.ceil(ipvsSeconds + loads * ipvsSecondsPerLoadedService);
    const guest = [uml, "-t", String(seconds), "-m", "3G"];
    const bench = [process.execPath, script("ipvs-bench.ts"), JSON.stringify(tasks)];
    await this.#collect([...guest, ...bench], undefined, (seconds + 20) * 1_000);
  }

  async #measureNode(variant: Variant, services: number): Promise<void> {
    const { topics, endpoints } = this.#options;
    const labels = ["node", "few", "client", "client-few", "server"] as const;
    const namespaces = await createNamespaces(labels);
    const [node, fewNode, client, fewClient, server] = namespaces;
    try {
      const many = { node, client };
      const few = { node: fewNode, client: fewClient };
      await connectRoads([few, many], server);
      await this.#onNode(
        node,
        variant,
        services,
        nodeTopics.filter((topic) => topics.has(topic)),
      );
      if (topics.has("first-packet")) {
        await this.#onNode(fewNode, variant, fewServices, []);
        const subject = { variant, services, endpoints };
        for (const figure of await measureFirstPacket(few, many, server, subject)) {
          this.#print(figure);
        }
      }
    } finally {
      await removeNamespaces(namespaces);
    }
  }

  async #onNode(
    node: Namespace,
    variant: Variant,
    services: number,
    topics: readonly Topic[],
  ): Promise<void> {
    const task = this.#taskOf("iptables", variant, services, topics);
    await this.#collect([process.execPath, script("node-bench.ts"), JSON.stringify(task)], node);
  }

  #taskOf(mode: BenchMode, variant: Variant, services: number, topics: readonly Topic[]): NodeTask {
    const { endpoints, repeat, changes, manyChanges } = this.#options;
    const folder = this.#folder;
    return { mode, variant, services, topics, endpoints, repeat, changes, manyChanges, folder };
  }

  /** Runs a command to its end and prints its figures as they come. */
  async #collect(
    argv: readonly string[],
    namespace: Namespace | undefined,
    timeout = timeoutMs,
  ): Promise<void> {
    // The lock of legacy iptables is a file, which namespaces share: the machine's own is left alone.
    const env = { ...process.env, XTABLES_LOCKFILE: `${this.#folder}/xtables.lock` };
    const stdio: ["ignore", "pipe", "inherit"] = ["ignore", "pipe", "inherit"];
    const [program = "", ...args] = argv;
    const child =
      namespace === undefined
        ? spawn(program, args, { stdio, env, timeout, killSignal: "SIGKILL" })
        : namespace.spawn(argv, { stdio, env, timeout, killSignal: "SIGKILL" });
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on("line", (line) => this.#take(line));
    }
    const status = await new Promise<number | string>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => resolve(code ?? signal ?? 0));
    });
    if (status !== 0) {
      throw new Error(`Cannot measure: ${argv.join(" ")} ended with ${status}`);
    }
  }

  /** A guest has one stream for everything: what is no figure is a complaint. */
  #take(line: string): void {
    if (line.startsWith("{")) {
      this.#print(JSON.parse(line));
    } else {
      process.stderr.write(`${line}\n`);
    }
  }

  #print(figure: Figure): void {
    this.figures.push(figure);
    process.stdout.write(`${formatFigure(figure)}\n`);
  }

  /** What else the machine does, at the beginning and at the end. */
  #printLoad(): void {
    const [one = ""] = readFileSync("/proc/loadavg", "utf8").split(" ");
    printFigure({ figure: "load-average", value: Number(one), unit: "processes" });
  }
}

function script(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

async function main(): Promise<number> {
  let options: BenchOptions | undefined;
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    return 2;
  }
  if (options === undefined) {
    process.stdout.write(usage);
    return 0;
  }
  if (process.getuid?.() !== 0) {
    process.stderr.write("Cannot measure: only root can make network namespaces and rules\n");
    return 1;
  }
  await runCommand([process.execPath, script("../scripts/build.ts")], { timeoutSeconds: 120 });
  using folder = new ScratchFolder("bench");
  await new Bench(options, folder.path).run();
  return 0;
}

process.exitCode = await main();
