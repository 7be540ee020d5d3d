/**
 * The test's end of an agent: starts it in a namespace and calls its methods.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type {
  AgentMethods,
  AgentResponse,
  ConnectRequest,
  HoldRequest,
  ListenRequest,
  LoadReport,
  LoadRequest,
  Outcome,
  StreamReport,
} from "./agent-protocol.ts";
import type { Namespace } from "./namespace.ts";

const SCRIPT = fileURLToPath(new URL("agent.ts", import.meta.url));
/** Where Node keeps the stripped and compiled scripts: an agent then starts in a third of the time. */
const COMPILE_CACHE = fileURLToPath(new URL("../../.cache/compile", import.meta.url));
const PINNED_NODE = fileURLToPath(new URL("../../node_modules/.bin/node", import.meta.url));

/**
 * The Node that runs TypeScript: the one that package.json pins, and only without it the one that runs the tests,
 * which may be an older one of the machine's.
 */
export const nodeProgram: string = existsSync(PINNED_NODE) ? PINNED_NODE : process.execPath;

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A connection that an agent keeps open. */
export interface HeldStream {
  /** How the first exchange went. The other methods throw unless it was answered. */
  readonly outcome: Outcome;
  report(): Promise<StreamReport>;
  /** Ends the stream; its last report. */
  release(): Promise<StreamReport>;
}

/** A load that an agent makes. */
export interface RunningLoad {
  report(): Promise<LoadReport>;
  /** Ends the load; its last report. */
  stop(): Promise<LoadReport>;
}

/** An agent in a namespace. */
export class Agent {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  #ended: Error | undefined;
  #last = 0;

  /** Starts an agent that calls itself `name` in `namespace`. It ends with the namespace. */
  constructor(namespace: Namespace, name: string) {
    const child = namespace.spawn([nodeProgram, SCRIPT, name], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE },
    });
    this.#child = child;
    let complaint = "";
    child.stderr?.on("data", (data: Buffer) => {
      complaint += data.toString("utf8");
    });
    const end = (how: string): void => {
      this.#ended ??= new Error(
        `Cannot use agent ${name}: ${how}${complaint === "" ? "" : `\n${complaint}`}`,
      );
      for (const { reject } of this.#pending.values()) reject(this.#ended);
      this.#pending.clear();
    };
    child.once("error", (error) => end(error.message));
    child.once("close", (status, signal) => end(`it ended with ${signal ?? `status ${status}`}`));
    child.stdin?.on("error", () => undefined); // its end is reported by "close"
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on("line", (line) => this.#settle(JSON.parse(line)));
    }
  }

  /** Serves ports. They are open when the promise resolves. */
  listen(request: ListenRequest): Promise<void> {
    return this.#call("listen", request);
  }

  /** Stops serving ports, given as to `listen`, and breaks the connections made to them. */
  unlisten(request: ListenRequest): Promise<void> {
    return this.#call("unlisten", request);
  }

  /** Stops serving ports, given as to `listen`, once nobody has been connected for a moment. */
  retire(request: ListenRequest): Promise<void> {
    return this.#call("retire", request);
  }

  /** Makes one connection or UDP exchange. Failing to is an outcome, not an error. */
  connect(request: ConnectRequest): Promise<Outcome> {
    return this.#call("connect", request);
  }

  /** Opens a connection and keeps it open, with data flowing. */
  async hold(request: HoldRequest): Promise<HeldStream> {
    const { outcome, stream } = await this.#call("hold", request);
    const held = (): { stream: number } => {
      if (stream !== undefined) return { stream };
      throw new Error(`Cannot use stream to ${request.ip}:${request.port}: it is ${JSON.stringify(outcome)}`);
    };
    return {
      outcome,
      report: async () => this.#call("stream", held()),
      release: async () => this.#call("release", held()),
    };
  }

  /** Makes connections one after the other until stopped. */
  async startLoad(request: LoadRequest): Promise<RunningLoad> {
    const started = await this.#call("startLoad", request);
    return { report: () => this.#call("load", started), stop: () => this.#call("stopLoad", started) };
  }

  /** Ends the agent and all it has open, and waits for that. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = new Promise<void>((resolve) => this.#child.once("close", () => resolve()));
    this.#child.stdin?.end();
    await closed;
  }

  #call<Method extends keyof AgentMethods>(
    method: Method,
    params: Parameters<AgentMethods[Method]>[0],
  ): ReturnType<AgentMethods[Method]> {
    this.#last += 1;
    const id = this.#last;
    const result = new Promise<unknown>((resolve, reject) => {
      if (this.#ended !== undefined) reject(this.#ended);
      else this.#pending.set(id, { resolve, reject });
    });
    this.#child.stdin?.write(`${JSON.stringify({ id, method, params })}\n`);
    return result as ReturnType<AgentMethods[Method]>;
  }

  #settle({ id, result, error }: AgentResponse): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (error === undefined) pending?.resolve(result);
    else pending?.reject(new Error(error));
  }
}
