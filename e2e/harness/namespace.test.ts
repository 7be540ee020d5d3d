/**
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { createNamespace, createNamespaces, sweep } from "./namespace.ts";
import { isOwn } from "./owner.ts";
import { nodeProgram } from "./remote-agent.ts";
import { describeOnKernel } from "./requirements.ts";

/** The namespace that this thread is in. */
function here(): string {
  return readlinkSync("/proc/thread-self/ns/net");
}

describeOnKernel("Namespace", {}, () => {
  test("exec() and ip() work in the namespace", async () => {
    await using namespace = await createNamespace("test");
    await namespace.ip([
      "link add v0 type veth peer name v1",
      "addr add 10.9.9.9/24 dev v0",
      "addr add fd09::9/64 dev v1",
    ]);
    const { stdout } = await namespace.exec(["ip", "-br", "link"]);
    expect(stdout.match(/^\w+/gm)?.sort()).toEqual(["lo", "v0", "v1"]);
    const devices = await namespace.exec(["ls", "/sys/class/net"]);
    expect(devices.stdout.split("\n")).toContain("v0");
  });

  test("ip() throws what ip says of the first bad line", async () => {
    await using namespace = await createNamespace("test");
    await expect(namespace.ip(["link set lo up", "link set nothing up"])).rejects.toThrow(/"nothing"/);
  });

  test("ip() takes lines whose family nothing else tells", async () => {
    await using namespace = await createNamespace("test");
    await namespace.ip(["rule add pref 7 iif lo lookup 100"], 6);
    const rules = async (family: string): Promise<string> =>
      (await namespace.exec(["ip", family, "rule"])).stdout;
    expect(await rules("-6")).toMatch(/^7:/m);
    expect(await rules("-4")).not.toMatch(/^7:/m);
  });

  test("enter() works in the namespace and comes back, also from an error", async () => {
    await using namespace = await createNamespace("test");
    const outside = here();
    const inside = namespace.enter(here);
    expect(inside).not.toBe(outside);
    expect(here()).toBe(outside);
    const fail = (): never => {
      throw new Error(here());
    };
    expect(() => namespace.enter(fail)).toThrow(inside);
    expect(here()).toBe(outside);
    expect(() => namespace.enter(async () => undefined)).toThrow(TypeError);
    expect(here()).toBe(outside);
  });

  test("setSysctls() changes the namespace only", async () => {
    await using namespaces = await pair();
    const [one, other] = namespaces.both;
    const before = other.sysctl("net/ipv4/ip_forward");
    one.setSysctls({ "net/ipv4/ip_forward": before === "0" ? 1 : 0 });
    expect(one.sysctl("net/ipv4/ip_forward")).not.toBe(before);
    expect(other.sysctl("net/ipv4/ip_forward")).toBe(before);
  });

  test("remove() ends all processes in it, also orphans, and may be called again", async () => {
    const namespace = await createNamespace("test");
    const child = namespace.spawn(["sh", "-c", "sleep 1000 >&- & echo $!; exec sleep 1000"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [line] = await once(createInterface({ input: child.stdout ?? process.stdin }), "line");
    const ended = once(child, "exit");
    await namespace.remove();
    expect((await ended)[1]).toBe("SIGKILL");
    // A zombie that nobody has waited for is in no namespace any more.
    expect(existsSync(`/proc/${line}/ns/net`)).toBe(false);
    expect(existsSync(namespace.path)).toBe(false);
    await namespace.remove();
  });
});

async function pair(): Promise<{ readonly both: Awaited<ReturnType<typeof createPair>> } & AsyncDisposable> {
  const both = await createPair();
  return {
    both,
    async [Symbol.asyncDispose]() {
      await Promise.all(both.map((namespace) => namespace.remove()));
    },
  };
}

function createPair() {
  return createNamespaces(["one", "other"]);
}

/** A process that makes a namespace and a scratch folder, prints both paths and then does `ending`. */
function owner(ending: string): ReturnType<typeof spawn> {
  const modules = ["namespace.ts", "scratch.ts"].map((name) => new URL(name, import.meta.url).href);
  const script = `
    const [{ createNamespace }, { ScratchFolder }] = await Promise.all(${JSON.stringify(modules)}.map((url) => import(url)));
    const namespace = await createNamespace("orphan");
    namespace.spawn(["sleep", "1000"], { stdio: "ignore" });
    console.log(namespace.path + " " + new ScratchFolder("orphan").path);
    setInterval(() => undefined, 1000);
    ${ending}`;
  return spawn(nodeProgram, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "ignore"] });
}

/** Starts an owner, waits until it has made its things, and gives their paths. */
async function start(ending: string): Promise<{ child: ReturnType<typeof spawn>; paths: readonly string[] }> {
  const child = owner(ending);
  const [line] = await once(createInterface({ input: child.stdout ?? process.stdin }), "line");
  return { child, paths: String(line).split(" ") };
}

describeOnKernel("what a process has made", {}, () => {
  const endings: readonly [string, string, NodeJS.Signals | undefined][] = [
    ["returns", "process.exit(3);", undefined],
    ["fails", 'throw new Error("deliberate");', undefined],
    ["is interrupted", "", "SIGINT"],
    ["is terminated", "", "SIGTERM"],
  ];
  test.each(endings)("is gone when the process %s", async (_, ending, signal) => {
    const { child, paths } = await start(ending);
    const ended = once(child, "exit");
    if (signal !== undefined) child.kill(signal);
    expect((await ended)[1] ?? undefined).toBe(signal);
    expect(paths.filter((path) => existsSync(path))).toEqual([]);
  });

  test("is removed by sweep() when the process was killed, and not before", async () => {
    const { child, paths } = await start("");
    sweep();
    expect(paths.filter((path) => existsSync(path))).toEqual(paths);
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    sweep();
    expect(paths.filter((path) => existsSync(path))).toEqual([]);
  });

  test("is not left behind by these tests", () => {
    const own = readdirSync("/run/netns").filter(isOwn);
    expect(own).toEqual([]);
  });
});
