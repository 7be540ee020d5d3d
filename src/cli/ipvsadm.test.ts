/**
 * The command with tables of the test's own.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ConnectionRow, ServiceTable, VirtualServerRow } from "../inspect/service-table.ts";
import type { TableReader, TableRequest } from "../inspect/table-reader.ts";
import { ToolError } from "../iptables/tools.ts";
import { KernelError } from "../netlink/kernel-error.ts";
import { CommandError } from "./exit.ts";
import { ipvsadm } from "./ipvsadm.ts";

const web: VirtualServerRow = {
  family: "IPv4",
  protocol: "TCP",
  address: "10.96.0.10",
  port: 80,
  scheduler: "rr",
  realServers: [
    {
      address: "10.244.1.5",
      port: 8080,
      forwarding: "masquerade",
      weight: 1,
      activeConnections: 1,
      inactiveConnections: 0,
    },
  ],
};

const connection: ConnectionRow = {
  family: "IPv4",
  protocol: "TCP",
  expiresSeconds: 894,
  state: "ESTABLISHED",
  source: { address: "192.0.2.9", port: 4000 },
  virtual: { address: "10.96.0.10", port: 80 },
  destination: { address: "10.244.1.5", port: 8080 },
};

class FakeReader implements TableReader {
  readonly source: TableReader["source"];
  readonly requests: TableRequest[] = [];
  readonly #rows: readonly VirtualServerRow[];
  readonly #error: Error | undefined;

  constructor(source: TableReader["source"], rows: readonly VirtualServerRow[], error?: Error) {
    this.source = source;
    this.#rows = rows;
    this.#error = error;
  }

  table(request: TableRequest): Promise<ServiceTable> {
    this.requests.push(request);
    if (this.#error !== undefined) return Promise.reject(this.#error);
    const info = this.source === "ipvs" ? { info: { version: "1.2.1", connectionTableSize: 4096 } } : {};
    const { server } = request;
    const isAsked = (row: VirtualServerRow): boolean =>
      server === undefined || ("address" in server && "address" in row && server.address === row.address);
    return Promise.resolve({ source: this.source, ...info, virtualServers: this.#rows.filter(isAsked) });
  }

  connections(visit: (row: ConnectionRow, server: VirtualServerRow | undefined) => void): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    for (const row of this.#rows) visit(connection, row);
    return Promise.resolve();
  }

  timeouts(): { readonly tcp: number; readonly tcpFin: number; readonly udp: number } {
    return { tcp: 900, tcpFin: 120, udp: 300 };
  }

  daemons(): Promise<readonly []> {
    return Promise.resolve([]);
  }
}

interface Outcome {
  readonly stdout: string;
  readonly warnings: readonly string[];
}

async function run(line: string, ...readers: readonly TableReader[]): Promise<Outcome> {
  let stdout = "";
  const warnings: string[] = [];
  const status = await ipvsadm(line.split(" "), {
    print: (piece) => {
      stdout += new TextDecoder().decode(piece);
    },
    warn: (text) => warnings.push(text),
    open: () => Promise.resolve(readers),
  });
  expect(status).toBe(0);
  return { stdout, warnings };
}

const ipvsHead = "IP Virtual Server version 1.2.1 (size=4096)\n";
const iptablesHead = "Virtual servers of iptables-nft\n";

describe("which tables are shown", () => {
  test("those that hold something, one after the other", async () => {
    const ipvs = new FakeReader("ipvs", [web]);
    const rules = new FakeReader("iptables-nft", [{ ...web, scheduler: "random" }]);
    const both = (await run("-Ln", ipvs, rules)).stdout;
    expect(both.indexOf(ipvsHead)).toBe(0);
    expect(both.indexOf(iptablesHead)).toBeGreaterThan(0);
    expect((await run("-Ln", new FakeReader("ipvs", []), rules)).stdout.indexOf(iptablesHead)).toBe(0);
    expect((await run("-Ln", ipvs, new FakeReader("iptables-nft", []))).stdout).not.toContain(iptablesHead);
  });

  test("the first, where all are empty", async () => {
    const { stdout } = await run("-Ln", new FakeReader("ipvs", []), new FakeReader("iptables-nft", []));
    expect(stdout.split("\n")[0]).toBe(ipvsHead.trimEnd());
    expect(stdout).not.toContain(iptablesHead);
    const connections = await run("-Lnc", new FakeReader("ipvs", []), new FakeReader("iptables-nft", []));
    expect(connections.stdout).toMatch(/^IPVS connection entries\npro expire .*\n$/);
  });

  test("all but one that cannot be read, and then that is told, unless it is not there at all", async () => {
    const broken = new FakeReader("iptables-nft", [], new ToolError("Cannot read the IPv4 rules: no\nway"));
    const absent = new FakeReader("iptables-nft", [], new ToolError("spawn xtables-nft-multi ENOENT"));
    const ipvs = new FakeReader("ipvs", [web]);
    const { stdout, warnings } = await run("-Ln", ipvs, broken, absent);
    expect(stdout).toContain("10.96.0.10:80");
    expect(warnings).toEqual(["Cannot read the IPv4 rules: no way"]);
    await expect(run("-Ln", broken)).rejects.toThrow(
      new CommandError(1, "Cannot read the IPv4 rules: no way"),
    );
    await expect(run("-Lnc", absent)).rejects.toThrow(CommandError);
  });
});

describe("what is selected", () => {
  test("a service without the line of the version, or none of that key", async () => {
    const reader = new FakeReader("ipvs", [web]);
    const { stdout } = await run("-Ln -t 10.96.0.10:80", reader);
    expect(stdout.indexOf("Prot LocalAddress:Port Scheduler Flags\n")).toBe(0);
    await expect(run("-Ln -t 10.96.0.11:80", reader)).rejects.toThrow(new CommandError(1, "No such service"));
  });

  test("an address, in every kind of output", async () => {
    const other = { ...web, address: "10.96.0.11", realServers: [] };
    const reader = new FakeReader("ipvs", [web, other]);
    for (const output of ["text", "json", "yaml"]) {
      const { stdout } = await run(`-Ln --address 10.96.0.11 --output ${output}`, reader);
      expect(stdout).toContain("10.96.0.11");
      expect(stdout).not.toContain("10.96.0.10");
    }
  });

  test("connections of an address", async () => {
    const reader = new FakeReader("iptables-nft", [web]);
    expect((await run("-Lnc --address 192.0.2.9", reader)).stdout).toBe(
      "iptables-nft connection entries\npro expire state       source             virtual            destination\nTCP 14:54  ESTABLISHED 192.0.2.9:4000     10.96.0.10:80      10.244.1.5:8080\n",
    );
    expect((await run("-Lnc --address 192.0.2.8", reader)).stdout).not.toContain("ESTABLISHED");
  });
});

test("only what the format shows is asked for", async () => {
  const reader = new FakeReader("iptables-nft", [web]);
  for (const line of ["-Ln", "-Ln --stats", "-Ln --rate", "-Ln --persistent-conn --nosort"])
    await run(line, reader);
  const nothing = { totals: false, rates: false, clients: false, unsorted: false };
  expect(reader.requests).toEqual([
    nothing,
    { ...nothing, totals: true },
    { ...nothing, rates: true },
    { ...nothing, clients: true, unsorted: true },
  ]);
});

test("values by themselves are printed as text and as JSON", async () => {
  const reader = new FakeReader("ipvs", []);
  expect((await run("-Ln --timeout", reader)).stdout).toBe("Timeout (tcp tcpfin udp): 900 120 300\n");
  expect((await run("-Ln --timeout --output json", reader)).stdout).toBe(
    '{"timeouts":{"tcp":900,"tcpFin":120,"udp":300}}\n',
  );
  expect((await run("-Ln --daemon", reader)).stdout).toBe("");
  expect((await run("-Ln -c --output json", new FakeReader("ipvs", [web]))).stdout).toContain(
    '"state":"ESTABLISHED"',
  );
  expect((await run("-Sn", new FakeReader("ipvs", [web]))).stdout).toBe(
    "-A -t 10.96.0.10:80 -s rr\n-a -t 10.96.0.10:80 -r 10.244.1.5:8080 -m -w 1\n",
  );
});

test("names come from a folder of manifests", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "ipvsadm-names-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "ns", name: "web" },
    spec: { clusterIP: "10.96.0.10", ports: [{ name: "http", port: 80 }] },
  };
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { namespace: "ns", name: "web-1", labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080 }],
    endpoints: [{ addresses: ["10.244.1.5"], targetRef: { kind: "Pod", name: "web-abc" } }],
  };
  for (const object of [service, slice]) {
    writeFileSync(path.join(folder, `${object.kind}.json`), JSON.stringify(object));
  }
  const reader = new FakeReader("ipvs", [web]);
  const { stdout } = await run(`-Ln --names --manifests ${folder} --service ns/web`, reader);
  expect(stdout).toContain("TCP  10.96.0.10:80 rr  ns/web:http ClusterIP\n");
  expect(stdout).toContain("  ns/web-abc\n");
  expect((await run(`-Lnc --manifests ${folder} --namespace ns`, reader)).stdout).toContain("ESTABLISHED");
  expect((await run(`-Ln --manifests ${folder} --namespace other`, reader)).stdout).not.toContain(
    "10.96.0.10",
  );
  await expect(run("-Ln --names --manifests /no/such/folder", reader)).rejects.toMatchObject({
    exitStatus: 2,
  });
});

test("help and version are printed without looking at the kernel", async () => {
  expect((await run("--help")).stdout).toContain("kube-sluice ipvsadm");
  expect((await run("-v")).stdout).toMatch(/^kube-sluice \d/);
});

test("who may not is told so in ipvsadm's words, and what cannot be done in one line", async () => {
  const denied = new FakeReader("ipvs", [], new KernelError("denied", "list virtual servers"));
  await expect(run("-Ln", denied)).rejects.toThrow(
    new CommandError(2, "Can't initialize ipvs: Permission denied (you must be root)"),
  );
  const failing = new FakeReader("ipvs", [], new KernelError("busy", "list virtual servers"));
  await expect(run("-Ln", failing)).rejects.toMatchObject({ exitStatus: 1 });
  await expect(run("--bogus")).rejects.toThrow(
    new CommandError(2, "ipvsadm: unknown option --bogus; see kube-sluice ipvsadm --help"),
  );
});
