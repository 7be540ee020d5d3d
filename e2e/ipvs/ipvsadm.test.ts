/**
 * `kube-sluice ipvsadm` beside Debian's ipvsadm, on the same kernel: the same text, byte for byte.
 *
 * Virtual servers are drawn at random from everything that the kernel takes; connections are real, to addresses of the
 * guest itself.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, expect } from "vitest";
import { ipvsadm } from "../../src/cli/ipvsadm.ts";
import { IpvsClient } from "../../src/ipvs/netlink/client.ts";
import type { RealServer } from "../../src/ipvs/netlink/real-server.ts";
import { anyAddress } from "../../src/ipvs/netlink/testing-arbitraries.ts";
import { schedulerNames, type VirtualServer } from "../../src/ipvs/netlink/virtual-server.ts";
import type { IpFamily } from "../../src/netlink/ip-address.ts";
import { openNetlink } from "../../src/netlink/socket.ts";
import { describeInGuest } from "./guest.ts";

const launcher = fileURLToPath(new URL("../../bin/kube-sluice", import.meta.url));

/** Every way to list a table, `-n` aside. */
const tableOptions: readonly (readonly string[])[] = [
  [],
  ["--stats"],
  ["--rate"],
  ["--thresholds"],
  ["--persistent-conn"],
  ["--tun-info"],
  ["--stats", "--exact"],
  ["--nosort"],
  ["--sort", "--stats", "--rate"],
];

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function real(...args: readonly string[]): Outcome {
  const { status, stdout, stderr } = spawnSync("ipvsadm", [...args], { encoding: "utf8" });
  return { status, stdout, stderr };
}

/** Ours, in this process: what there is of it besides is the subject of the one test that starts it. */
async function ours(...args: readonly string[]): Promise<Outcome> {
  let stdout = "";
  try {
    const status = await ipvsadm([...args], { print: (text) => (stdout += text) });
    return { status, stdout, stderr: "" };
  } catch (error) {
    if (!(error instanceof Error) || !("exitStatus" in error)) throw error;
    return { status: Number(error.exitStatus), stdout, stderr: error.message };
  }
}

/** Timers run, and another guest may hold this one up between the two: what is really different stays so. */
async function expectSame(...args: readonly string[]): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const theirs = real(...args);
    const { status, stdout } = await ours(...args);
    if (stdout === theirs.stdout || attempt === 20) {
      expect(stdout).toBe(theirs.stdout);
      expect(status).toBe(theirs.status);
      return stdout;
    }
  }
}

const anyFamily = fc.constantFrom<IpFamily>("IPv4", "IPv6");
const anyPort = fc.integer({ min: 1, max: 65_535 });
const anyWeight = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 65_535 }));

/** Addresses on both sides of where signed numbers break the order; none that the kernel refuses. */
function anyHost(family: IpFamily): fc.Arbitrary<string> {
  return family === "IPv6"
    ? anyAddress(family).map((text) => text.replace(/^[^:]*/, "2001"))
    : fc
        .tuple(fc.integer({ min: 1, max: 223 }), fc.nat(255), fc.nat(255), fc.integer({ min: 1, max: 254 }))
        .map((bytes) => bytes.join("."));
}

function anyKey(family: IpFamily): fc.Arbitrary<Record<string, unknown>> {
  const address = fc.record({
    protocol: fc.constantFrom("TCP", "UDP", "SCTP"),
    address: anyHost(family),
    port: anyPort,
  });
  const mark = fc.record({
    firewallMark: fc.integer({ min: 1, max: 0x7fff_ffff }),
    family: fc.constant(family),
  });
  return fc.oneof({ weight: 4, arbitrary: address }, { weight: 1, arbitrary: mark });
}

function anyServer(family: IpFamily): fc.Arbitrary<VirtualServer> {
  const netmask =
    family === "IPv4"
      ? fc.constantFrom("255.255.255.0", "255.255.0.0")
      : fc.integer({ min: 1, max: 127 }).map(String);
  const settings = fc.record(
    {
      scheduler: fc.constantFrom(...schedulerNames),
      schedulerFlags: fc.subarray(["flag-1", "flag-2", "flag-3"], { minLength: 1 }),
      persistence: fc.record(
        { timeoutSeconds: fc.integer({ min: 1, max: 100_000 }), netmask },
        { requiredKeys: ["timeoutSeconds"] },
      ),
      onePacket: fc.constant(true),
    },
    { requiredKeys: ["scheduler"] },
  );
  return fc
    .tuple(anyKey(family), settings)
    .map(([key, rest]) => Object.assign({}, key, rest) as unknown as VirtualServer);
}

function anyReal(family: IpFamily): fc.Arbitrary<RealServer> {
  const tunnel = fc.oneof(
    fc.record({
      type: fc.constant("gue"),
      port: anyPort,
      checksum: fc.constantFrom("none", "full", "remote"),
    }),
    fc.record({ type: fc.constant("gre"), checksum: fc.constantFrom("none", "full") }),
  );
  const place = fc.record({ address: anyHost(family), port: anyPort, weight: anyWeight });
  const limits = fc.record(
    { upperThreshold: fc.integer({ min: 1, max: 5000 }), lowerThreshold: fc.constant(1) },
    { requiredKeys: [] },
  );
  const forwarding = fc.oneof(
    fc.constantFrom("masquerade", "direct", "tunnel", "local").map((word) => ({ forwarding: word })),
    tunnel.map((one) => ({ forwarding: "tunnel", tunnel: one })),
  );
  return fc
    .tuple(place, limits, forwarding)
    .map((parts) => Object.assign({}, ...parts) as RealServer)
    .map((server) =>
      server.upperThreshold === undefined && server.lowerThreshold !== undefined
        ? { ...server, upperThreshold: 10 }
        : server,
    );
}

const anyEntry = anyFamily.chain((family) =>
  fc.tuple(anyServer(family), fc.array(anyReal(family), { maxLength: 6 })),
);

/** Fills IPVS with what the kernel takes of a random table. @returns how many virtual servers that was */
function fill(client: IpvsClient, seed: number, size: number): number {
  client.flush();
  let taken = 0;
  for (const [server, realServers] of fc.sample(anyEntry, { seed, numRuns: size })) {
    try {
      client.addVirtualServer(server);
    } catch {
      // No such scheduler in this kernel, or one that does not go with the rest.
      continue;
    }
    taken += 1;
    for (const one of realServers) {
      try {
        client.addRealServer(server, one);
      } catch {
        // The same address twice.
      }
    }
  }
  return taken;
}

function open(): IpvsClient {
  return new IpvsClient(openNetlink("generic"));
}

/** Addresses of lo, and the servers on it. */
const vips = { IPv4: "198.51.100.10", IPv6: "2001:db8::10" } as const;
const reals = {
  IPv4: ["198.51.100.21", "198.51.100.22"],
  IPv6: ["2001:db8::21", "2001:db8::22"],
} as const;

async function listen(host: string): Promise<Server> {
  const server = createServer((socket) => socket.on("error", () => undefined).pipe(socket));
  server.listen({ host, port: 8080 });
  await once(server, "listening");
  return server;
}

async function connect(host: string): Promise<Socket> {
  const socket = createConnection({ host, port: 80 });
  await once(socket, "connect");
  socket.write("x".repeat(2000));
  await once(socket, "data");
  return socket;
}

async function sendUdp(host: string, times: number): Promise<void> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  for (let count = 0; count < times; count++) {
    await new Promise((resolve) => socket.send("x", 53, host, resolve));
  }
  socket.close();
}

/** The Services of the live tests: TCP with persistence, and UDP. */
function serve(client: IpvsClient): void {
  client.flush();
  for (const family of ["IPv4", "IPv6"] as const) {
    const netmask = family === "IPv4" ? "255.255.255.0" : "64";
    const address = vips[family];
    const tcp: VirtualServer = {
      protocol: "TCP",
      address,
      port: 80,
      scheduler: "rr",
      persistence: { timeoutSeconds: 600, netmask },
    };
    const udp: VirtualServer = { protocol: "UDP", address, port: 53, scheduler: "wlc" };
    for (const server of [tcp, udp]) {
      client.addVirtualServer(server);
      for (const real of reals[family]) {
        client.addRealServer(server, { address: real, port: 8080, forwarding: "masquerade", weight: 1 });
      }
    }
  }
}

let listeners: readonly Server[] = [];

const tests = {
  "random tables are listed and saved byte for byte": async () => {
    using client = open();
    for (const [seed, size] of [
      [20_261_126, 60],
      [7, 250],
    ] as const) {
      expect(fill(client, seed, size)).toBeGreaterThan(size / 3);
      for (const options of tableOptions) await expectSame("-L", "-n", ...options);
      await expectSame("-S", "-n");
    }
  },

  "one service is listed as ipvsadm lists it, and one that is absent is told of with its status":
    async () => {
      using client = open();
      serve(client);
      client.addVirtualServer({ firewallMark: 7, family: "IPv4", scheduler: "wlc" });
      client.addVirtualServer({ firewallMark: 9, family: "IPv6", scheduler: "rr" });
      for (const service of [
        ["-t", `${vips.IPv4}:80`],
        [`-u${vips.IPv4}:53`],
        [`--tcp-service=[${vips.IPv6}]:80`, "--stats"],
        ["-f", "7"],
        ["-f", "9", "-6", "--rate"],
      ]) {
        expect(await expectSame("-Ln", ...service)).not.toContain("IP Virtual Server");
      }
      for (const service of [
        ["-t", "192.0.2.99:80"],
        ["-f", "8"],
        ["--sctp-service", `${vips.IPv4}:80`],
      ]) {
        const theirs = real("-Ln", ...service);
        expect(await ours("-Ln", ...service)).toEqual({ ...theirs, stderr: "No such service" });
        expect(theirs.stderr).toContain("No such service");
      }
    },

  "live connections, their counters and rates are shown byte for byte": async () => {
    using client = open();
    serve(client);
    const open4 = await Promise.all([connect(vips.IPv4), connect(vips.IPv4), connect(vips.IPv6)]);
    const closed = await connect(vips.IPv4);
    closed.end();
    await once(closed, "close");
    await Promise.all([sendUdp(vips.IPv4, 20), sendUdp(vips.IPv6, 3)]);
    const list = await expectSame("-Lnc");
    expect(list).toMatch(/^TCP \d\d:\d\d {2}ESTABLISHED \[2001:db8::/m);
    expect(list).toMatch(/^UDP .* UDP /m);
    expect(list).toMatch(/198\.51\.100\.0:0 /);
    await expectSame("-L", "-n", "-c", "--persistent-conn");
    // The kernel brings what it tells of counters up to date every two seconds.
    const stats = (): Promise<string> => expectSame("-Ln", "--stats");
    await expect.poll(stats, { timeout: 30_000 }).toMatch(/^TCP {2}198\.51\.100\.10:80 +3 /m);
    await expectSame("-Ln", "--rate");
    await expectSame("-Ln", "--persistent-conn");
    expect(await expectSame("-Ln")).toMatch(/Masq {4}1 {6}2 {10}1 /);
    for (const socket of open4) socket.destroy();
  },

  "no table, timeouts and daemons": async () => {
    using client = open();
    client.flush();
    for (const options of [...tableOptions, ["-c"], ["--timeout"], ["--daemon"]])
      await expectSame("-Ln", ...options);
    client.setTimeouts({ tcp: 1000, tcpFin: 50, udp: 7 });
    await expectSame("-L", "--timeout");
    for (const role of ["master", "backup"] as const) {
      client.startDaemon({
        role,
        interface: "lo",
        syncId: 5,
        group: "224.0.0.81",
        port: 9999,
        timeToLive: 3,
      });
    }
    expect(await expectSame("-Ln", "--daemon")).toMatch(/^master .*\nbackup /);
    for (const role of ["master", "backup"] as const) client.stopDaemon(role);
  },

  "mistakes are told in ipvsadm's words": async () => {
    for (const args of [
      ["-Ln", "-c", "--timeout"],
      ["-Ln", "-t", "192.0.2.1:80", "-c"],
      ["-Ln", "-c", "--stats"],
      ["-Ln", "--daemon", "--persistent-conn"],
      ["-Ln", "-r", "192.0.2.1:80"],
      ["-Ln", "-n"],
      ["-L", "-S"],
      ["-Ln", "foo"],
    ]) {
      const theirs = real(...args);
      const { status, stderr, stdout } = await ours(...args);
      expect([stdout, status]).toEqual(["", theirs.status]);
      expect(theirs.stderr).toContain(stderr.replace(/^ipvsadm: /, ""));
    }
  },

  "the program itself, started as a user does, prints the same, and says in one line who may not": () => {
    using client = open();
    expect(fill(client, 3, 40)).toBeGreaterThan(10);
    const args = ["-Ln", "--thresholds"];
    const started = spawnSync(launcher, ["ipvsadm", ...args], { encoding: "utf8" });
    expect(started.stdout).toBe(real(...args).stdout);
    expect([started.status, started.stderr]).toEqual([0, ""]);
    const drop = ["--reuid=65534", "--clear-groups", "--inh-caps=-all", launcher, "ipvsadm", "-Ln"];
    const denied = spawnSync("setpriv", drop, { encoding: "utf8" });
    expect(denied.stderr).toBe("kube-sluice: Can't initialize ipvs: Permission denied (you must be root)\n");
    expect(denied.status).toBe(2);
    return Promise.resolve();
  },
};

describeInGuest({
  name: "ipvsadm",
  file: import.meta.url,
  seconds: 150,
  programs: ["ipvsadm"],
  tests,
  prepare: () => {
    beforeAll(async () => {
      const hosts = [...Object.values(vips), ...reals.IPv4, ...reals.IPv6];
      for (const address of hosts) {
        const bits = address.includes(":") ? 128 : 32;
        const more = bits === 128 ? ["nodad"] : [];
        spawnSync("ip", ["address", "add", `${address}/${bits}`, "dev", "lo", ...more]);
      }
      listeners = await Promise.all([...reals.IPv4, ...reals.IPv6].map(listen));
    });
    afterAll(() => {
      for (const listener of listeners) listener.close();
    });
  },
});
