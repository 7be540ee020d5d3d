/**
 * Network namespaces: the machines of the tests.
 *
 * Invariants
 * - The machine's own namespace is only passed through: nothing here adds a device, address, rule or sysctl to it.
 * - A namespace lives as long as its object or its process, whichever ends first; what a killed process leaves is
 *   removed by the next one that makes a namespace.
 * - With a namespace end all processes in it, also those that its commands started and forgot.
 *
 * @module
 */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type CommandOptions, type CommandResult, runCommand } from "./command.ts";
import { enterNetworkNamespace } from "./libc.ts";
import { cleanUpAtExit, isLeftover, uniqueName } from "./owner.ts";

const DIRECTORY = "/run/netns";

/** One network namespace, known to `ip netns` by `name`. Made by `createNamespaces`. */
export class Namespace implements AsyncDisposable {
  readonly name: string;
  /** What a CNI plugin gets as CNI_NETNS. */
  readonly path: string;
  readonly #forget: () => void;

  /** Takes over a namespace that exists; `createNamespaces` makes one. */
  constructor(name: string) {
    this.name = name;
    this.path = join(DIRECTORY, name);
    this.#forget = cleanUpAtExit(() => removeNow([name]));
  }

  /** Runs `argv` in the namespace to its end. See `runCommand`. */
  exec(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return runCommand(this.#inside(argv), options);
  }

  /** Starts `argv` in the namespace. It is killed with the namespace. */
  spawn(argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const [program = "", ...args] = this.#inside(argv);
    return spawn(program, args, options);
  }

  /**
   * Runs lines for `ip -batch` ("addr add 10.0.0.1/24 dev eth0"), all in one process; the first bad line ends it.
   * Mostly a line's addresses tell the family; `family` tells it for lines (of `ip rule`) where they cannot.
   */
  async ip(lines: readonly string[], family?: 4 | 6): Promise<void> {
    if (lines.length === 0) return;
    const options = family === undefined ? [] : [`-${family}`];
    await runCommand(["ip", ...options, "-n", this.name, "-batch", "-"], { input: `${lines.join("\n")}\n` });
  }

  /**
   * Calls `work` with this thread in the namespace. Sockets opened and /proc/thread-self/net read by it are the
   * namespace's. `work` must be synchronous: what it would do later would happen elsewhere.
   */
  enter<T>(work: () => T): T {
    const origin = openSync("/proc/thread-self/ns/net", "r");
    try {
      const target = openSync(this.path, "r");
      try {
        enterNetworkNamespace(target);
      } finally {
        closeSync(target);
      }
      let result: T;
      try {
        result = work();
      } finally {
        enterNetworkNamespace(origin);
      }
      if (result instanceof Promise) {
        throw new TypeError(
          "Cannot work in a network namespace: the work must be synchronous, it gave a Promise",
        );
      }
      return result;
    } finally {
      closeSync(origin);
    }
  }

  /** Writes sysctls by their names below /proc/sys, with slashes: `{"net/ipv4/ip_forward": 1}`. */
  setSysctls(values: Readonly<Record<string, string | number>>): void {
    this.enter(() => {
      for (const [name, value] of Object.entries(values)) writeFileSync(`/proc/sys/${name}`, `${value}\n`);
    });
  }

  /** The value of one sysctl, without its newline. */
  sysctl(name: string): string {
    return this.enter(() => readFileSync(`/proc/sys/${name}`, "utf8")).trim();
  }

  /** Ends its processes and removes it. Removing it twice is no error. */
  async remove(): Promise<void> {
    await removeNamespaces([this]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }

  /** For `removeNamespaces`: no cleanup at exit any more. */
  forget(): void {
    this.#forget();
  }

  #inside(argv: readonly string[]): string[] {
    // `ip netns exec`, not a bare setns: it also gives the program a /sys that shows this namespace's devices.
    return ["ip", "netns", "exec", this.name, ...argv];
  }
}

let swept = false;

/**
 * Makes one namespace for each label, with `lo` down. A label is the readable end of the name. The first call of a
 * process removes what killed processes have left.
 */
export async function createNamespaces<const Labels extends readonly string[]>(
  labels: Labels,
): Promise<{ readonly [Index in keyof Labels]: Namespace }> {
  if (!swept) {
    swept = true;
    sweep();
  }
  const namespaces = labels.map((label) => new Namespace(uniqueName(label)));
  try {
    await runCommand(["ip", "-batch", "-"], {
      input: namespaces.map(({ name }) => `netns add ${name}\n`).join(""),
    });
  } catch (error) {
    await removeNamespaces(namespaces);
    throw error;
  }
  return namespaces as unknown as { readonly [Index in keyof Labels]: Namespace };
}

/** Makes one namespace. See `createNamespaces`. */
export async function createNamespace(label: string): Promise<Namespace> {
  const [namespace] = await createNamespaces([label]);
  return namespace;
}

/** Ends the processes of all `namespaces` and removes them. Those that are gone already are no error. */
export async function removeNamespaces(namespaces: readonly Namespace[]): Promise<void> {
  const names = namespaces.map(({ name }) => name).filter(exists);
  // They are gone before their files are: a process on its way out may still write to a scratch folder.
  const deadline = performance.now() + 5000;
  while (killProcesses(names) > 0 && performance.now() < deadline) await wait(1);
  if (names.length > 0) {
    await runCommand(["ip", "-batch", "-"], { input: names.map((name) => `netns del ${name}\n`).join("") });
  }
  for (const namespace of namespaces) namespace.forget();
}

/** Removes the namespaces and scratch folders of processes that have ended. Gives back what it removed. */
export function sweep(): readonly string[] {
  const namespaces = listDirectory(DIRECTORY).filter(isLeftover);
  removeNow(namespaces);
  const folders = listDirectory(tmpdir()).filter(isLeftover);
  for (const folder of folders) rmSync(join(tmpdir(), folder), { recursive: true, force: true });
  return [...namespaces, ...folders];
}

/** The synchronous removal, for the end of the process. */
function removeNow(names: readonly string[]): void {
  const existing = names.filter(exists);
  if (existing.length === 0) return;
  killProcesses(existing);
  // Two test runs may sweep at the same time, so one may find a namespace gone: `-force` goes on with the next.
  const input = existing.map((name) => `netns del ${name}\n`).join("");
  spawnSync("ip", ["-force", "-batch", "-"], { input, stdio: ["pipe", "ignore", "ignore"] });
}

function exists(name: string): boolean {
  return statSync(join(DIRECTORY, name), { throwIfNoEntry: false }) !== undefined;
}

function listDirectory(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Which namespace a file of /run/netns or /proc/PID/ns stands for. */
function identity(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined; // the process has just ended
  }
}

/** Kills what runs in the namespaces; the number of processes that were there. */
function killProcesses(names: readonly string[]): number {
  const doomed = new Set(names.map((name) => identity(join(DIRECTORY, name))));
  doomed.delete(undefined);
  // Never the namespace that this process itself is in, whatever a name came to stand for.
  doomed.delete(identity("/proc/self/ns/net"));
  if (doomed.size === 0) return 0;
  let found = 0;
  for (const entry of listDirectory("/proc")) {
    if (!/^\d+$/.test(entry) || !doomed.has(identity(`/proc/${entry}/ns/net`))) continue;
    found += 1;
    try {
      process.kill(Number(entry), "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
  return found;
}
