/**
 * The plugin of kubectl, with a kubectl of the test's own that knows three nodes.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const plugin = path.join(path.dirname(import.meta.dirname), "bin/kubectl-sluice");

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "kubectl-plugin-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A kubectl that lists a pod for each node and prints what the node's file holds; a node without a file fails. */
function fakeKubectl(outputs: Readonly<Record<string, string | undefined>>): void {
  const nodes = Object.keys(outputs);
  for (const [node, text] of Object.entries(outputs)) {
    if (text !== undefined) writeFileSync(path.join(folder, `pod-${node}`), text);
  }
  const script = `#!/bin/sh
echo "$*" >>"${folder}/calls"
for word; do
  case $word in
    get) printf '%s' '${nodes.map((node) => `${node} pod-${node}\n`).join("")}'; exit ;;
    exec) found=1 ;;
    pod-*) [ "\${found-}" = 1 ] && { cat "${folder}/$word" 2>/dev/null && exit; echo "kube-sluice: broken" >&2; echo "command terminated with exit code 1" >&2; exit 1; } ;;
  esac
done
`;
  writeFileSync(path.join(folder, "kubectl"), script);
  chmodSync(path.join(folder, "kubectl"), 0o755);
}

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: readonly string[]): Outcome {
  const env = { ...process.env, PATH: `${folder}:${process.env["PATH"] ?? ""}` };
  const { status, stdout, stderr } = spawnSync(plugin, args, { encoding: "utf8", env });
  return { status, stdout, stderr };
}

const head = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
`;

const web = `TCP  10.96.0.10:80 rr
  -> 10.244.1.5:8080              Masq    1      7          0         
  -> 10.244.2.5:8080              Masq    1      0          3         
`;

describe("kubectl sluice ipvsadm", () => {
  test("prints each node under its name, and nothing is marked where only numbers of connections differ", () => {
    fakeKubectl({ b: head + web.replace("7 ", "9 "), a: head + web });
    const { status, stdout, stderr } = run("ipvsadm", "-Ln");
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout.match(/^== \S+ ==$/gm)).toEqual(["== a ==", "== b =="]);
    expect(stdout).toContain(`== a ==\n${(head + web).replaceAll(/^(?=.)/gm, "  ")}`);
    expect(stdout).toContain("== 2 nodes, no differences ==");
    const calls = readFileSync(path.join(folder, "calls"), "utf8");
    expect(calls).toContain("--namespace=kube-system get pods --selector=k8s-app=kube-proxy");
    expect(calls).toContain(
      "--namespace=kube-system exec pod-a --container=kube-proxy -- kube-sluice ipvsadm -Ln",
    );
  });

  test("marks a virtual server, a real server and a weight that are not the same everywhere", () => {
    const lacking = web.replace(/.*10\.244\.2\.5.*\n/, "");
    const weighted = web.replace(
      "10.244.1.5:8080              Masq    1",
      "10.244.1.5:8080              Masq    0",
    );
    const more = "UDP  10.96.0.10:53 sh (sh-port)\n";
    fakeKubectl({ a: head + web, b: head + lacking, c: head + weighted + more });
    const marked = run("ipvsadm", "-Ln")
      .stdout.split("\n")
      .filter((line) => line.startsWith("!"));
    expect(marked.map((line) => line.trimEnd().replaceAll(/\s+/g, " "))).toEqual([
      "! -> 10.244.1.5:8080 Masq 1 7 0",
      "! -> 10.244.2.5:8080 Masq 1 0 3",
      "! -> 10.244.1.5:8080 Masq 1 7 0",
      "! -> 10.244.1.5:8080 Masq 0 7 0",
      "! -> 10.244.2.5:8080 Masq 1 0 3",
      "! UDP 10.96.0.10:53 sh (sh-port)",
    ]);
  });

  test("compares counters and connections by whose they are, or not at all", () => {
    const stats = (count: number): string =>
      `Prot LocalAddress:Port               Conns   InPkts\n  -> RemoteAddress:Port\nTCP  10.96.0.10:80   ${count} 1\nFWM  9 IPv6   ${count} 1\n  -> 10.244.1.5:8080   ${count} 1\n`;
    fakeKubectl({ a: stats(5), b: stats(6) });
    expect(run("ipvsadm", "-Ln", "--stats").stdout).toContain("no differences");
    const connections = (port: number): string =>
      `IPVS connection entries\npro expire state       source             virtual            destination\nTCP 14:54  ESTABLISHED 10.1.0.2:${port}     10.96.0.10:80      10.244.1.6:8080\n`;
    fakeKubectl({ a: connections(1), b: connections(2) });
    expect(run("ipvsadm", "-Lnc").stdout).toContain("no differences");
    fakeKubectl({ a: "-A -t 10.96.0.10:80 -s rr\n", b: "-A -t 10.96.0.10:80 -s lc\n" });
    expect(run("ipvsadm", "-Sn").stdout).toContain("2 lines are not on all of them");
  });

  test("tells of a node that fails, prints the others, and ends with status 1", () => {
    fakeKubectl({ a: head + web, b: undefined });
    const { status, stdout, stderr } = run("ipvsadm", "-Ln");
    expect(stderr).toBe("kubectl-sluice: b: kube-sluice: broken\n");
    expect(stdout).toContain("== a ==");
    expect(stdout).not.toContain("== b ==");
    expect(status).toBe(1);
  });

  test("asks where it is told to ask", () => {
    fakeKubectl({ a: head, b: head });
    const options = [
      "--context=prod",
      "--kubeconfig",
      "/k c",
      "-n",
      "net",
      "-l",
      "app=sluice",
      "-c",
      "proxy",
      "--node",
      "b",
    ];
    const { status, stdout } = run(...options, "ipvsadm", "-Ln");
    expect(status).toBe(0);
    expect(stdout.match(/^== .*/gm)).toEqual(["== b =="]);
    expect(readFileSync(path.join(folder, "calls"), "utf8")).toContain(
      "--context=prod --kubeconfig=/k c --namespace=net exec pod-b --container=proxy -- kube-sluice ipvsadm -Ln",
    );
  });

  test.each<[string[], number, string]>([
    [[], 2, "usage: kubectl sluice"],
    [["--bogus", "ipvsadm"], 2, "unknown option --bogus"],
    [["-n"], 2, "option -n needs a value"],
    [["--node", "z", "ipvsadm"], 1, "no running pod"],
  ])("%j is refused in few words", (args, wanted, text) => {
    fakeKubectl({ a: head });
    const { status, stderr } = run(...args);
    expect(stderr).toContain(text);
    expect(status).toBe(wanted);
  });
});
