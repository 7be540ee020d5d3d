/**
 * Programs of the DNS tests: the server NSD in a pod, and a client that asks without pause in another.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Pod } from "../harness/cluster.ts";
import { nodeProgram } from "../harness/remote-agent.ts";
import type { DnsReport } from "./dns-load.ts";

const loadScript = fileURLToPath(new URL("dns-load.ts", import.meta.url));

/** NSD, authoritative for `example.test`, in a pod. */
export class DnsServer {
  readonly #child: ChildProcess;

  /** Starts one that answers with the name of its pod. */
  constructor(pod: Pod) {
    const folder = join(pod.node.directory, `nsd-${pod.name}`);
    mkdirSync(folder);
    writeFileSync(join(folder, "zone"), zone(pod.name));
    writeFileSync(join(folder, "nsd.conf"), configuration(folder, pod.ip));
    this.#child = pod.spawn(["nsd", "-d", "-c", join(folder, "nsd.conf")], { stdio: "ignore" });
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

function configuration(folder: string, ip: string): string {
  return `
server:
  ip-address: ${ip}
  username: ""
  zonesdir: "${folder}"
  pidfile: ""
  database: ""
  zonelistfile: "${folder}/zone.list"
  xfrdfile: "${folder}/xfrd.state"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: example.test
  zonefile: zone
`;
}

/** The long answer has too many strings for any UDP packet. */
function zone(name: string): string {
  const strings = Array.from({ length: 20 }, (_, index) => `"${String(index).padEnd(200, ".")}"`);
  return `
$ORIGIN example.test.
@    3600 IN SOA ns hostmaster 1 3600 600 86400 3600
@    3600 IN NS  ns
ns   3600 IN A   192.0.2.1
who  0    IN TXT "${name}"
long 0    IN TXT "${name}" ${strings.join(" ")}
`;
}
