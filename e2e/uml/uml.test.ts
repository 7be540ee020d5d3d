/**
 * run.sh boots a second kernel for each of these.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type CommandResult, runCommand } from "../harness/command.ts";
import { describeOnKernel } from "../harness/requirements.ts";

const RUN = fileURLToPath(new URL("run.sh", import.meta.url));

function run(...args: readonly string[]): Promise<CommandResult> {
  return runCommand([RUN, ...args], { anyStatus: true, timeoutSeconds: 60 });
}

describeOnKernel("run.sh", { programs: ["linux.uml", "busybox"] }, () => {
  test("runs a command that succeeds, and says nothing of its own", async () => {
    expect(await run("-t", "30", "true")).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  test("gives back a failing command's status and output, and its arguments untouched", async () => {
    const script = 'printf "%s\\n" "$@"; echo complaint >&2; exit 7';
    const args = ["two words", "it's", "$HOME", ""];
    expect(await run("-t", "30", "bash", "-c", script, "bash", ...args)).toEqual({
      status: 7,
      stdout: `${[...args, "complaint"].join("\n")}\n`,
      stderr: "",
    });
  });

  test("has the kernel that IPVS needs, with modules that load by themselves", async () => {
    const script = [
      "set -e",
      "uname -r",
      "ipvsadm -A -t 10.0.0.1:80 -s rr",
      "ipset create s hash:ip",
      "iptables-legacy -t nat -A POSTROUTING -m set --match-set s src -j MASQUERADE",
      "ip link add dummy9 type dummy",
      "ip tuntap add dev tun9 mode tun",
      "cat /proc/sys/net/bridge/bridge-nf-call-iptables",
    ].join("; ");
    const { status, stdout } = await run("-t", "30", "bash", "-c", script);
    expect(stdout).toMatch(/^6\.\d+\.\d+\n1\n$/);
    expect(status).toBe(0);
  });

  test("ends a command that is out of time with 124 and the guest kernel's log, and leaves nothing behind", async () => {
    const { status, stdout, stderr } = await run("-t", "4", "sh", "-c", "cat /proc/cmdline; sleep 1000");
    expect(status).toBe(124);
    expect(stderr).toMatch(/^run\.sh: no end after 4 s: sh -c cat \/proc\/cmdline; sleep 1000\n/);
    expect(stderr).toMatch(/^kernel: .*init\.sh as init process$/m);
    await expectNothingLeft(stdout);
  });

  test("leaves nothing behind when it is terminated", async () => {
    const child = spawn(RUN, ["sh", "-c", "cat /proc/cmdline; sleep 1000"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const ended = once(child, "exit");
    const [commandLine] = await once(createInterface({ input: child.stdout }), "line");
    expect(remainsOf(commandLine)).not.toEqual([]);
    child.kill("SIGTERM");
    expect(await ended).toEqual([143, null]);
    await expectNothingLeft(commandLine);
  });

  test("tells with 125 that the guest ended by itself", async () => {
    const { status, stderr } = await run("-t", "30", "busybox", "poweroff", "-f");
    expect(status).toBe(125);
    expect(stderr).toMatch(/^run\.sh: the guest ended without a status/);
    expect(stderr).toMatch(/^kernel: reboot: System halted$/m);
  });

  const misuses: readonly (readonly string[])[] = [
    [],
    ["-t", "soon", "true"],
    ["-m", "much", "true"],
    ["-x", "true"],
  ];
  test.each(misuses.map((args) => [args]))("refuses %j", async (args) => {
    const { status, stderr } = await run(...args);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^usage: run\.sh /m);
  });
});

/** The kernel may take a moment to end processes that were killed. */
async function expectNothingLeft(commandLine: string): Promise<void> {
  await expect.poll(() => remainsOf(commandLine), { timeout: 10_000 }).toEqual([]);
}

/** What there is of the guest with this kernel command line: its folder, its processes here. */
function remainsOf(commandLine: string): readonly string[] {
  const folder = /umljob=(\S+)/.exec(commandLine)?.[1];
  if (folder === undefined) throw new RangeError(`Cannot find the job's folder in "${commandLine}"`);
  const processes = readdirSync("/proc").filter(
    (pid) => /^\d+$/.test(pid) && argumentsOf(pid).includes(folder),
  );
  return [...processes, ...(existsSync(folder) ? [folder] : [])];
}

function argumentsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return ""; // it has just ended
  }
}
