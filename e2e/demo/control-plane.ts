/**
 * The demo's control plane: the fixture API server on the client's host, and kubectl to talk to it.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Cluster } from "../harness/cluster.ts";
import { nodeProgram } from "../harness/remote-agent.ts";
import { ScratchFolder } from "../harness/scratch.ts";
import type { KubeObject } from "./objects.ts";

const serverScript = fileURLToPath(new URL("../apiserver/main.ts", import.meta.url));

/** An API server that the nodes of a cluster can reach. */
export class ControlPlane {
  readonly url: string;
  readonly #cluster: Cluster;
  readonly #server: ChildProcess;
  readonly #scratch: ScratchFolder;

  private constructor(cluster: Cluster, server: ChildProcess, url: string, scratch: ScratchFolder) {
    this.#cluster = cluster;
    this.#server = server;
    this.url = url;
    this.#scratch = scratch;
  }

  /** Starts it. It ends with the cluster. */
  static async start(cluster: Cluster): Promise<ControlPlane> {
    const { client } = cluster;
    const server = client.spawn([nodeProgram, serverScript, "--host", client.ip, "--port", "6443"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const url = await firstLine(server);
    return new ControlPlane(cluster, server, url, new ScratchFolder("control-plane"));
  }

  /** A kubeconfig file for the proxies. */
  kubeconfig(): string {
    const cluster = { server: this.url, "insecure-skip-tls-verify": true };
    const config = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "demo",
      clusters: [{ name: "demo", cluster }],
      users: [{ name: "demo", user: {} }],
      contexts: [{ name: "demo", context: { cluster: "demo", user: "demo" } }],
    };
    return this.#write("kubeconfig", JSON.stringify(config));
  }

  /** Runs kubectl against the server. @returns its output */
  async kubectl(...args: readonly string[]): Promise<string> {
    const base = ["kubectl", "--server", this.url, "--cache-dir", this.#scratch.file("cache")];
    return (await this.#cluster.client.exec([...base, ...args])).stdout;
  }

  /** Applies objects. */
  async apply(...objects: readonly KubeObject[]): Promise<void> {
    const documents = objects.map((object) => JSON.stringify(object)).join("\n");
    await this.kubectl("apply", "--server-side", "-f", this.#write("objects.json", documents));
  }

  #write(name: string, content: string): string {
    const file = this.#scratch.file(name);
    writeFileSync(file, content);
    return file;
  }

  /** Ends the server and removes its files. */
  stop(): void {
    this.#server.kill("SIGTERM");
    this.#scratch.remove();
  }
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once("exit", (status) => reject(new Error(`The API server ended with ${status}`)));
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).once("line", resolve);
    }
  });
}
