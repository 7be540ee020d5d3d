/**
 * The command line as its users and other tools meet it: what is printed where, and with which exit status. Nothing here
 * needs root or touches the machine.
 *
 * @module
 */
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { kubeSluice, unread } from "./command.ts";

const manifests = fileURLToPath(new URL("manifests", import.meta.url));
const common = ["--manifests", manifests, "--hostname-override", "node1"];

let scratch: string;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "kube-sluice-cli-"));
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function config(text: string): string {
  const file = join(scratch, "config.yaml");
  writeFileSync(file, `apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n${text}`);
  return file;
}

describe("kube-sluice refuses in one line, with status 2, touching nothing", () => {
  test.each<[string, string[], string]>([
    ["an unknown command", ["start"], "unknown command 'start'"],
    ["an unknown flag", ["run", "--bogus"], "unknown flag: --bogus"],
    ["an unknown flag without a command", ["--bogus"], "unknown flag: --bogus"],
    ["a bad value", ["run", "--iptables-masquerade-bit=x"], "iptables-masquerade-bit"],
    ["a file that is not there", ["run", "--config", "/no/such/file"], '"/no/such/file"'],
    ["a mode without a backend", ["run", "--proxy-mode=nftables"], "Mode.ProxyMode"],
    ["a folder that is not there", ["render", "--manifests", "/no/such/folder"], "/no/such/folder"],
    ["render without manifests", ["render"], "render needs --manifests DIR"],
    [
      "ipvsadm with names from a folder that is not there",
      ["ipvsadm", "-Ln", "--names", "--manifests", "/no/such/folder"],
      "Cannot read names: Cannot read the manifests in",
    ],
    [
      "doctor with a folder that is not there",
      ["doctor", "--manifests", "/no/such/folder"],
      "/no/such/folder",
    ],
    ["explain without a connection", ["explain", ...common], "explain needs --from IP and --to"],
    ["explain with an unknown option", ["explain", ...common, "--form=x"], "unknown flag: --form"],
    [
      "explain without a port",
      ["explain", ...common, "--from=10.244.1.2", "--to=10.96.0.10"],
      "is not of the form IP:PORT",
    ],
    [
      "explain of two families",
      ["explain", ...common, "--from=10.244.1.2", "--to=[fd00::1]:80"],
      "both must be of one family",
    ],
    [
      "explain in another form",
      ["explain", ...common, "--from=10.244.1.2", "--to=10.96.0.10:80", "--output=xml"],
      "--output must be one of text, json, yaml",
    ],
    [
      "explain with a folder that is not there",
      ["explain", "--manifests=/no/such/folder", "--from=10.244.1.2", "--to=10.96.0.10:80"],
      "/no/such/folder",
    ],
    ["an unknown option of ipvsadm", ["ipvsadm", "--bogus"], "ipvsadm: unknown option --bogus"],
    ["an editing command of ipvsadm", ["ipvsadm", "-A", "-t", "192.0.2.1:80"], "this command only looks"],
    ["a mode that ipvsadm does not know", ["ipvsadm", "--mode", "x"], "--mode must be one of"],
    ["demo with another variant", ["demo", "--variant", "ebtables"], "--variant must be nft or legacy"],
    [
      "demo with another network",
      ["demo", "--network", "token-ring"],
      "--network must be one of bridge, host-gw",
    ],
  ])("%s", (_, args, text) => {
    const { status, stdout, stderr } = kubeSluice(...args);
    expect(stderr).toContain(text);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stdout).toBe("");
    expect(status).toBe(2);
  });

  test("a field of the wrong type, by its path", () => {
    const { status, stderr } = kubeSluice("run", "--config", config("iptables: {masqueradeBit: [14]}"));
    expect(stderr).toContain("iptables.masqueradeBit");
    expect(status).toBe(2);
  });
});

describe("kube-sluice render", () => {
  test("prints the restore text of the manifests, the same every time", async () => {
    const { status, stdout, stderr } = kubeSluice("render", ...common, "--cluster-cidr=10.244.0.0/16");
    expect(stderr).toBe("");
    expect(status).toBe(0);
    await expect(stdout).toMatchFileSnapshot("golden/web.iptables");
    expect(kubeSluice("render", ...common, "--cluster-cidr=10.244.0.0/16").stdout).toBe(stdout);
  });

  test("prints what ipvs mode would make of them", async () => {
    const args = ["render", ...common, "--cluster-cidr=10.244.0.0/16", "--proxy-mode=ipvs"];
    const { status, stdout, stderr } = kubeSluice(...args);
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toContain("-A -t 10.96.0.10:80 -s rr");
    await expect(stdout).toMatchFileSnapshot("golden/web.ipvs");
  });

  test("prints both families as JSON", () => {
    const { stdout } = kubeSluice("render", ...common, "--output=json");
    const { mode, restore } = JSON.parse(stdout) as { mode: string; restore: Record<string, string> };
    expect(mode).toBe("iptables");
    expect(restore["IPv4"]).toContain("10.244.2.2:8080");
    expect(restore["IPv6"]).toContain("*nat");
  });

  test("follows the configuration file", () => {
    const file = config("iptables: {masqueradeBit: 7, masqueradeAll: true, localhostNodePorts: false}");
    const { stdout } = kubeSluice("render", ...common, "--config", file);
    expect(stdout).toContain("--set-xmark 0x80/0x80");
    expect(stdout).toContain('! -d 127.0.0.0/8 -m comment --comment "kubernetes service nodeports;');
  });

  test("lays endpoints out as kube-proxy does when asked", () => {
    const { stdout } = kubeSluice(
      "render",
      ...common,
      "--config",
      config("sluice: {iptables: {layout: endpoint-chains}}"),
    );
    expect(stdout).toMatch(/-j KUBE-SEP-[A-Z2-7]{16}/);
    expect(stdout).not.toContain("-m bpf");
  });

  test("names what is wrong with an object and renders the rest", () => {
    const folder = mkdtempSync(join(scratch, "manifests-"));
    writeFileSync(join(folder, "a.yaml"), readFileSync(join(manifests, "web.yaml")));
    writeFileSync(join(folder, "b.yaml"), "kind: [");
    const { status, stdout, stderr } = kubeSluice(
      "render",
      "--manifests",
      folder,
      "--hostname-override=node1",
    );
    expect(status).toBe(0);
    expect(stderr).toContain("b.yaml");
    expect(stdout).toContain("default/web:http cluster IP");
  });
});

describe("kube-sluice doctor", () => {
  test("prints all findings as JSON and as YAML", () => {
    const { status, stdout } = kubeSluice("doctor", ...common, "--output=json");
    const { node, findings } = JSON.parse(stdout) as { node: string; findings: { level: string }[] };
    expect(node).toBe("node1");
    expect(findings.length).toBeGreaterThan(20);
    expect(status).toBe(findings.some(({ level }) => level === "error") ? 1 : 0);
    expect(kubeSluice("doctor", ...common, "--output=yaml").stdout).toMatch(/^node: node1\n/);
  });

  test("prints a screen of plain lines where there is no terminal", () => {
    const { stdout } = kubeSluice("doctor", ...common);
    expect(stdout).toMatch(/^node1: iptables mode/);
    expect(stdout).not.toContain("\u001b");
  });
});

describe("kube-sluice explain", () => {
  const shop = fileURLToPath(new URL("shop", import.meta.url));
  const explain = (...args: readonly string[]) =>
    kubeSluice(
      "explain",
      ...["--manifests", shop, "--hostname-override", "node1", "--cluster-cidr=10.244.0.0/16"],
      ...args,
    );

  test.each([
    ["a pod to a ClusterIP", ["--from=10.244.1.2", "--to=10.96.0.10:80"], "golden/explain.pod"],
    [
      "somebody outside to a node port in ipvs mode",
      ["--from", "198.51.100.7", "--to", "172.31.0.11:30080/tcp", "--proxy-mode=ipvs"],
      "golden/explain.outside",
    ],
    [
      "a pod to a ClusterIP in ipvs mode, by weight",
      ["--from=10.244.1.9", "--to=10.96.0.10:80", "--proxy-mode=ipvs"],
      "golden/explain.weights",
    ],
    [
      "a sender that is not admitted",
      ["--from=192.0.2.7", "--to=203.0.113.10:80"],
      "golden/explain.not-admitted",
    ],
    [
      "a port that is no Service's",
      ["--from=10.244.1.2", "--to=10.96.0.10:81", "--proxy-mode=ipvs"],
      "golden/explain.other-port",
    ],
  ])("says what happens to packets of %s", async (_, args, file) => {
    const { status, stdout, stderr } = explain(...args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    await expect(stdout).toMatchFileSnapshot(file);
  });

  test("says who takes packets to a node port of localhost that the program serves itself", async () => {
    const file = config("sluice: { nodePorts: { localhostForwarder: true } }");
    const ask = (to: string) =>
      kubeSluice(
        ...["explain", "--config", file, "--manifests", shop, "--hostname-override", "node1"],
        ...["--from=127.0.0.1", "--to", to],
      );
    const { status, stdout, stderr } = ask("127.0.0.1:30080");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    await expect(stdout).toMatchFileSnapshot("golden/explain.localhost");
    // It listens at one address of the network.
    expect(ask("127.0.0.2:30080").stdout).toContain("Frontend: none.");
  });

  test("says the same as JSON and as YAML", () => {
    const asked = ["--from=10.244.1.2", "--to=10.96.0.10:80"];
    const json: unknown = JSON.parse(explain(...asked, "--output=json").stdout);
    expect(json).toMatchObject({
      connection: { sender: "pod" },
      mode: "iptables",
      readFrom: "objects",
      verdict: "forward",
      service: { port: "shop/cart:http", frontend: { kind: "ClusterIP" } },
    });
    expect(parse(explain(...asked, "-o", "yaml").stdout)).toEqual(json);
  });
});

describe("kube-sluice", () => {
  test("prints its version and its help", () => {
    expect(kubeSluice("version").stdout).toMatch(/^kube-sluice \d+\.\d+\.\d+\n$/);
    expect(kubeSluice("--version").stdout).toBe(kubeSluice("version").stdout);
    const { status, stdout } = kubeSluice("--help");
    expect(status).toBe(0);
    expect(stdout).toContain("--hostname-override");
    expect(stdout).toContain("kube-sluice render --manifests DIR");
  });

  test("writes the configuration that is in force", () => {
    const file = join(scratch, "written.yaml");
    expect(kubeSluice("--write-config-to", file, "--cluster-cidr=10.0.0.0/8").status).toBe(0);
    expect(readFileSync(file, "utf8")).toContain("clusterCIDR: 10.0.0.0/8");
  });

  test("lists its flags from verbosity 1 on", () => {
    const flags = ["--write-config-to", join(scratch, "written.yaml"), "--cluster-cidr=10.0.0.0/8"];
    const { stderr } = kubeSluice(...flags, "-v=1", "--feature-gates=KubeProxyIPVS=true");
    expect(stderr).toContain(String.raw`"FLAG: --cluster-cidr=\"10.0.0.0/8\""`);
    expect(stderr).toContain('"Feature gates have no effect in this program" gates=["KubeProxyIPVS"]');
    expect(kubeSluice(...flags).stderr).toBe("");
  });

  test("ends though nobody reads what it logs", async () => {
    // More than what lies between two processes can hold.
    const flags = ["master", "kubeconfig", "boot-id-file", "machine-id-file", "pod-bridge-interface"];
    const long = flags.map((flag) => `--${flag}=${"x".repeat(100_000)}`);
    const child = unread("run", "-v=1", ...long, "--write-config-to", join(scratch, "written.yaml"));
    const [status] = (await once(child, "exit")) as [number | null];
    expect(status).toBe(0);
  });
});
