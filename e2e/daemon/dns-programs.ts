/**
 * Programs of the DNS tests: the server dnsmasq in a pod, and a client that asks without pause in another.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Pod } from "../harness/cluster.ts";
import { nodeProgram } from "../harness/remote-agent.ts";
import { type DnsReport, names } from "./dns-load.ts";

/** Texts that make an answer too long for any UDP packet. */
const padding: readonly string[] = Array.from({ length: 20 }, (_, index) => String(index).padEnd(200, "."));

const loadScript = fileURLToPath(new URL("dns-load.ts", import.meta.url));

/** Starts dnsmasq in a pod, by UDP and TCP, for what the options say and nothing else. It ends with the pod. */
export function startDnsmasq(pod: Pod, options: readonly string[]): ChildProcess {
  return pod.spawn(
    [
      "dnsmasq",
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      "--user=root",
      "--pid-file=",
      "--no-resolv",
      "--no-hosts",
      "--bind-interfaces",
      `--listen-address=${pod.ip}`,
      ...options,
    ],
    { stdio: "ignore" },
  );
}

/** dnsmasq in a pod, by UDP and TCP, for `example.test` and nothing else. */
export class DnsServer {
  readonly #child: ChildProcess;

  /** Starts one that answers with the name of its pod. */
  constructor(pod: Pod) {
    this.#child = startDnsmasq(pod, [
      "--local=/example.test/",
      `--txt-record=${names.UDP},${pod.name}`,
      `--txt-record=${names.TCP},${[pod.name, ...padding].join(",")}`,
    ]);
  }

  /** Ends it: as kubelet asks for it, or at once. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#child.once("exit", () => resolve()));
    this.#child.kill(signal);
    await ended;
  }
}

/** The client in its pod. It ends with the pod. */
export class DnsLoad {
  readonly #child: ChildProcess;
  readonly #reports: AsyncIterator<string>;

  /** Starts to ask a server. */
  constructor(pod: Pod, server: string) {
    this.#child = pod.spawn([nodeProgram, loadScript, server], { stdio: ["pipe", "pipe", "inherit"] });
    if (this.#child.stdout === null) {
      throw new Error("Cannot read the client's reports");
    }
    const lines: Interface = createInterface({ input: this.#child.stdout });
    this.#reports = lines[Symbol.asyncIterator]();
  }

  /** What came of its queries so far. */
  async report(): Promise<DnsReport> {
    this.#child.stdin?.write("\n");
    const { value, done } = await this.#reports.next();
    if (done === true) {
      throw new Error("Cannot read the client's report: it has ended");
    }
    return JSON.parse(value);
  }
}
