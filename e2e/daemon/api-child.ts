/**
 * The test API server as a process of the client outside the cluster, and the requests that controllers make there.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { FaultCommand } from "../apiserver/faults/control.ts";
import type { FaultRule } from "../apiserver/faults/fault-action.ts";
import type { Client, Cluster } from "../harness/cluster.ts";
import { nodeProgram } from "../harness/remote-agent.ts";
import { eventually } from "./eventually.ts";
import { type HttpAnswer, requestFrom } from "./http-request.ts";
import { type ApiObject, nodeObject } from "./objects.ts";

const script = fileURLToPath(new URL("../apiserver/main.ts", import.meta.url));
const compileCache = fileURLToPath(new URL("../../.cache/compile", import.meta.url));
const port = 6443;

/** Where the objects of a kind are. */
const collections: Readonly<Record<string, string>> = {
  Service: "/api/v1/namespaces/default/services",
  EndpointSlice: "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
  Node: "/api/v1/nodes",
};

/** A running API server. It ends with the client's namespace at the latest. */
export class ApiChild {
  /** What a daemon connects with. */
  readonly kubeconfig: string;
  readonly #client: Client;
  readonly #folder: string;
  #child: ChildProcess | undefined;

  private constructor(client: Client, folder: string) {
    this.#client = client;
    this.#folder = folder;
    this.kubeconfig = join(folder, "kubeconfig");
    writeFileSync(this.kubeconfig, kubeconfigFor(`http://${client.ip}:${port}`));
  }

  /** Starts one with the Nodes of a cluster and these objects. */
  static async start(cluster: Cluster, objects: readonly ApiObject[]): Promise<ApiChild> {
    const folder = mkdtempSync(join(cluster.node(0).directory, "api-"));
    const api = new ApiChild(cluster.client, folder);
    await api.restart([...cluster.nodes.map(nodeObject), ...objects]);
    return api;
  }

  /** Starts it anew with these objects and nothing else: it has forgotten all versions. */
  async restart(objects: readonly ApiObject[]): Promise<void> {
    await this.kill();
    const load = mkdtempSync(join(this.#folder, "load-"));
    writeFileSync(join(load, "all.json"), JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
    const options = ["--host", this.#client.ip, "--port", `${port}`, "--load", load];
    const child = this.#client.spawn([nodeProgram, script, ...options], {
      env: { NODE_COMPILE_CACHE: compileCache },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child = child;
    if (child.stdout !== null) {
      // Its first line says that it serves.
      for await (const _ of createInterface({ input: child.stdout })) {
        return;
      }
    }
    throw new Error("Cannot start the API server: it has ended");
  }

  /** Ends it, with all its connections. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
      child.kill("SIGKILL");
      await ended;
    }
  }

  /** Creates objects, or makes those that are there what is given. */
  async apply(...objects: readonly ApiObject[]): Promise<void> {
    for (const object of objects) {
      const { status, ...rest } = object;
      const path = pathOf(object);
      const patched = await this.#request("PATCH", path, rest, [200, 404]);
      if (patched.status === 404) {
        await this.#request("POST", path.slice(0, path.lastIndexOf("/")), rest, [201]);
      }
      if (status !== undefined) {
        await this.#request("PATCH", `${path}/status`, { status }, [200]);
      }
    }
  }

  /** Deletes an object. */
  async delete(object: ApiObject): Promise<void> {
    await this.#request("DELETE", pathOf(object), undefined, [200]);
  }

  /** Makes it misbehave. */
  async fault(fault: FaultRule | FaultCommand): Promise<void> {
    await this.#request("POST", "/__faults", fault, [200]);
  }

  /** From now on it behaves. */
  async heal(): Promise<void> {
    await this.#request("DELETE", "/__faults", undefined, [200]);
  }

  /** Waits until somebody watches all of these. */
  async watched(...resources: readonly string[]): Promise<void> {
    await eventually(`a watch of ${resources}`, async () => {
      const { body } = await this.#request("GET", "/__faults", undefined, [200]);
      const { streams } = JSON.parse(body) as { readonly streams: readonly string[] };
      return resources.every((resource) => streams.includes(resource));
    });
  }

  async #request(
    method: string,
    path: string,
    body: unknown,
    accepted: readonly number[],
  ): Promise<HttpAnswer> {
    const contentType = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    const content = body === undefined ? {} : { contentType, body: JSON.stringify(body) };
    const answer = await requestFrom(this.#client.namespace, {
      ip: this.#client.ip,
      port,
      path,
      method,
      ...content,
    });
    if (!accepted.includes(answer.status)) {
      throw new Error(`Cannot ${method} ${path}: ${answer.status} ${answer.body}`);
    }
    return answer;
  }
}

function pathOf({ kind, metadata }: ApiObject): string {
  const collection = collections[kind];
  if (collection === undefined) {
    throw new RangeError(`Cannot find the path of kind ${kind}`);
  }
  return `${collection}/${metadata.name}`;
}

function kubeconfigFor(server: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server } }],
    users: [{ name: "test", user: {} }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    "current-context": "test",
  });
}
