/**
 * A machine in a test network: a namespace with a name of its own and an agent when one is asked for.
 *
 * @module
 */
import type { ChildProcess, SpawnOptions } from "node:child_process";
import type { CommandOptions, CommandResult } from "./command.ts";
import type { Namespace } from "./namespace.ts";
import { Agent } from "./remote-agent.ts";

/** A node, a pod or a client. */
export class Host {
  /** What it is called in the test; its agent introduces itself so. */
  readonly name: string;
  readonly namespace: Namespace;
  /** What its commands find in their environment, in addition to this process's. */
  readonly env: Readonly<Record<string, string>>;
  #agent: Agent | undefined;

  constructor(name: string, namespace: Namespace, env: Readonly<Record<string, string>> = {}) {
    this.name = name;
    this.namespace = namespace;
    this.env = env;
  }

  /** Its one agent, started when first asked for. */
  get agent(): Agent {
    this.#agent ??= new Agent(this.namespace, this.name);
    return this.#agent;
  }

  /** Runs `argv` on it to its end. See `runCommand`. */
  exec(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.namespace.exec(argv, { ...options, env: { ...this.env, ...options.env } });
  }

  /** Starts `argv` on it. It is killed with the host. `options.env` is added to its environment. */
  spawn(argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return this.namespace.spawn(argv, { ...options, env: { ...process.env, ...this.env, ...options.env } });
  }
}
