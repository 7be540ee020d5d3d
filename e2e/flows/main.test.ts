/**
 * @module
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type CommandResult, runCommand } from "../harness/command.ts";
import { nodeProgram } from "../harness/remote-agent.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { ScratchFolder } from "../harness/scratch.ts";
import { everyKind, everyKindRules } from "./hand-made.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

function main(...args: readonly string[]): Promise<CommandResult> {
  return runCommand([nodeProgram, MAIN, ...args], { anyStatus: true });
}

describeOnKernel("main.ts", { programs: ["iptables-nft"] }, () => {
  test("prints each failing flow, then the totals", async () => {
    using scratch = new ScratchFolder("test");
    const [file, rules] = [scratch.file("cases.json"), scratch.file("rules")];
    const right = { ...everyKind, name: "right", flows: everyKind.flows.slice(0, 2) };
    const wrong = {
      ...right,
      name: "wrong",
      flows: right.flows.map((flow) => ({ ...flow, expect: { endpoints: "DROP", masquerade: false } })),
    };
    writeFileSync(file, JSON.stringify({ format: "kube-proxy-flow-cases/v1", cases: [right, wrong] }));
    writeFileSync(rules, everyKindRules);
    const apply = `test $MODE = iptables && test -d $MANIFESTS && iptables-nft-restore --noflush < ${rules}`;

    expect(await main(file, "--apply", apply, "--only", "right")).toEqual({
      status: 0,
      stdout: "2/2 flows, 1/1 cases\n",
      stderr: "",
    });
    expect(await main(file, "--apply", apply)).toEqual({
      status: 1,
      stdout:
        "wrong: pod to cluster IP: want DROP, got 10.180.0.1:8080 | 10.180.0.2:8080\n" +
        "wrong: outside to cluster IP: want DROP, got 10.180.0.1:8080 masquerade | 10.180.0.2:8080 masquerade\n" +
        "2/4 flows, 1/2 cases\n",
      stderr: "",
    });
    const unable = await main(
      file,
      "--apply",
      "echo no such thing >&2; exit 3",
      "--only",
      "right",
      "--verbose",
    );
    expect(unable.stdout).toMatch(
      /^right: Cannot run .*exit status 3\nno such thing\n0\/1 flows, 0\/1 cases\n$/s,
    );
  });

  const misuses: readonly [readonly string[], string][] = [
    [[], "exactly one file"],
    [["cases.json"], "--apply"],
    [["cases.json", "--apply", "true", "--variant", "new"], "--variant"],
    [["cases.json", "--apply", "true", "--jobs", "none"], "--jobs"],
    [["cases.json", "--apply", "true", "--fast"], "--fast"],
  ];
  test.each(misuses)("names what is wrong with %j", async (args, name) => {
    const { status, stdout, stderr } = await main(...args);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr.split("\n")[0]).toContain(name);
  });
});
