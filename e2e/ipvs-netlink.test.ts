/**
 * `src/ipvs/netlink` against a kernel with IPVS, which hosts of tests rarely have: in User Mode Linux.
 *
 * This file is run twice. On the host it boots a guest and runs itself there; in the guest it does the work. Both sides
 * make a test of each case: the guest's is the case, the host's is that the guest's has passed.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createConnection, createServer, type Server } from "node:net";
import { release } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { formatTable } from "../src/ipvs/netlink/format.ts";
import { openIpvs } from "../src/ipvs/netlink/open.ts";
import { compareRealServers, compareVirtualServers } from "../src/ipvs/netlink/order.ts";
import { parseTable } from "../src/ipvs/netlink/parse.ts";
import {
  addRealServerRequest,
  addVirtualServerRequest,
  editRealServerRequest,
} from "../src/ipvs/netlink/requests.ts";
import type { ObservedTableEntry } from "../src/ipvs/netlink/table-entry.ts";
import { ipvsContract } from "../src/ipvs/netlink/testing-contract.ts";
import {
  build,
  type ClientConnection,
  type IpvsContractCase,
  type KernelUnderTest,
  keepContract,
  web,
  webReals,
} from "../src/ipvs/netlink/testing-contract-case.ts";
import { sampleTable } from "../src/ipvs/netlink/testing-samples.ts";
import { type AddressKey, schedulerNames } from "../src/ipvs/netlink/virtual-server.ts";
import { openServerTable } from "../src/ipvs/table-file.ts";
import { openNetlink } from "../src/netlink/socket.ts";
import { runCommand } from "./harness/command.ts";
import { describeOnKernel } from "./harness/requirements.ts";

const folder = fileURLToPath(new URL("../src/ipvs/netlink/", import.meta.url));

const uml = fileURLToPath(new URL("uml/run.sh", import.meta.url));

const noConnections = { activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 };

/** What `uml/init.sh` finds its job by. */
const inGuest = readFileSync("/proc/cmdline", "utf8").includes("umljob=");

/** Where the guest's helper finds modules; see `uml/init.sh`. */
const moduleList = `/run/modprobe/lib/modules/${release()}/modules.dep`;

const kernel: KernelUnderTest = {
  get absentSchedulers() {
    const modules = readFileSync(moduleList, "utf8");
    return schedulerNames.filter((name) => !modules.includes(`/ip_vs_${name}.ko`));
  },
  open: () => openNetlink("generic"),
  table: () => {
    using table = openServerTable();
    return [...table.pieces()].join("");
  },
  connect,
};

/** What only the kernel can show. */
const kernelCases: readonly IpvsContractCase[] = [
  {
    name: "ipvsadm shows every kind of server as it was meant",
    run: async (client) => {
      await build(client, sampleTable);
      expect(run("ipvsadm", "-Sn")).toBe(formatTable(sampleTable));
    },
  },

  {
    name: "ipvsadm shows every scheduler, and servers in the order that is ours, too",
    run: async (client, { absentSchedulers }) => {
      const schedulers = schedulerNames.filter((name) => !absentSchedulers.includes(name));
      const table = schedulers.map((scheduler, index) => ({
        server: { ...web, address: `${(index * 53) % 128}.0.0.${index + 1}`, scheduler },
        realServers: [3, 200, 9, 210].map((byte) => ({ ...webReals[0], address: `${byte}.0.0.1` })),
      }));
      await build(client, table);
      const listed = inOrder(await client.listAll());
      expect(listed.map(({ server }) => server.scheduler).toSorted()).toEqual(schedulers.toSorted());
      expect(run("ipvsadm", "-Sn")).toBe(formatTable(listed));
    },
  },

  {
    name: "a table that ipvsadm has restored is read as it was meant",
    run: async (client) => {
      const text = formatTable(sampleTable, { thresholds: true });
      execFileSync("ipvsadm", ["-R"], { input: text });
      expect(inOrder(await client.listAll({ statistics: false }))).toEqual(
        sampleTable.map(({ server, realServers }) => ({
          server,
          realServers: realServers.map((one) => ({ ...one, ...noConnections })),
        })),
      );
      expect(parseTable(run("ipvsadm", "-Sn"))).toEqual(parseTable(formatTable(sampleTable)));
    },
  },

  {
    name: "forwarding methods that ipvsadm cannot ask for are read back",
    run: async (client) => {
      client.addVirtualServer(web);
      const methods = ["local", "bypass"] as const;
      for (const [index, forwarding] of methods.entries()) {
        client.addRealServer(web, { address: `198.51.100.${index + 1}`, port: 80, forwarding, weight: 1 });
      }
      const reals = await client.listRealServers(web);
      expect(reals.map(({ forwarding }) => forwarding)).toEqual(["bypass", "local"]);
      expect(run("ipvsadm", "-Ln")).toMatch(/198\.51\.100\.1:80 +Local /);
    },
  },

  {
    name: "a connection survives the edit of its virtual server and of its real server",
    run: async (client) => {
      await build(client, [{ server: web, realServers: [webReals[0]] }]);
      const socket = createConnection({ host: web.address, port: web.port });
      const echoed = async (text: string): Promise<string> => {
        socket.write(text);
        return await new Promise((resolve, reject) => {
          socket.once("error", reject);
          socket.once("data", (data) => resolve(data.toString()));
        });
      };
      expect(await echoed("before")).toBe("before");
      client.editRealServer(web, { ...webReals[0], weight: 0 });
      client.editVirtualServer({ ...web, scheduler: "rr", persistence: { timeoutSeconds: 60 } });
      expect(await echoed("after")).toBe("after");
      socket.destroy();
    },
  },

  {
    name: "listAll() of 1,000 virtual servers of 10 real servers does not hold up the event loop",
    run: async (client) => {
      const { family } = client;
      const requests = function* () {
        for (let index = 0; index < 1000; index++) {
          const server = { ...web, address: `10.96.${index >> 8}.${index & 255}` };
          yield addVirtualServerRequest(family, server);
          for (let place = 0; place < 10; place++) {
            yield addRealServerRequest(family, server, { ...webReals[0], address: `10.244.${place}.1` });
          }
        }
      };
      await client.transactEach(requests(), ({ error }) => expect(error).toBeUndefined());
      let turns = 0;
      let reading = true;
      const countTurns = (): void => {
        turns++;
        if (reading) setImmediate(countTurns);
      };
      setImmediate(countTurns);
      const listed = await client.listAll();
      reading = false;
      expect(listed.map(({ realServers }) => realServers.length)).toEqual(new Array(1000).fill(10));
      expect(turns).toBeGreaterThan(10);
    },
  },

  {
    name: "4,000 failures in one go are all told",
    run: (client) => {
      const request = editRealServerRequest(client.family, web, webReals[0]);
      const outcomes = client.transact(new Array(4000).fill(request));
      expect(outcomes.filter(({ error }) => error?.code === "not-found")).toHaveLength(4000);
    },
  },

  {
    name: "the program of README.md prints what it says there",
    run: () => {
      const printed = run(process.execPath, join(folder, "example.ts"));
      expect(readFileSync(join(folder, "README.md"), "utf8")).toContain(`\`\`\`\n${printed}\`\`\`\n`);
    },
  },

  {
    name: "without CAP_NET_ADMIN reading is denied",
    run: () => {
      const script = `
        const { openIpvs } = await import(${JSON.stringify(join(folder, "open.ts"))});
        using ipvs = openIpvs();
        await ipvs.listVirtualServers().catch((error) => process.stdout.write(error.message));`;
      const drop = ["--reuid=65534", "--clear-groups", "--inh-caps=-all"];
      expect(run("setpriv", ...drop, process.execPath, "--input-type=module", "-e", script)).toBe(
        "Cannot list virtual servers: EPERM",
      );
    },
  },

  {
    name: "a client notices that the kernel's module was unloaded, and a new one loads it again",
    run: async (client) => {
      const modules = readFileSync("/proc/modules", "utf8").matchAll(/^ip_vs_\S+/gm);
      for (const [name] of modules) run("busybox", "rmmod", name);
      run("busybox", "rmmod", "ip_vs");
      expect(existsSync("/proc/net/ip_vs")).toBe(false);
      await expect(client.listVirtualServers()).rejects.toMatchObject({ code: "unsupported" });
      using anew = openIpvs();
      expect(await anew.listVirtualServers()).toEqual([]);
      expect(anew.family.id).not.toBe(client.family.id);
    },
  },
];

const cases: readonly IpvsContractCase[] = [...ipvsContract, ...kernelCases];

const loadsModule = "openIpvs() loads the kernel's module";

if (inGuest) {
  let listeners: readonly Server[] = [];

  beforeAll(async () => {
    for (const { address } of [web, ...webReals]) run("ip", "address", "add", `${address}/32`, "dev", "lo");
    listeners = await Promise.all(webReals.map(({ address, port }) => listen(address, port)));
  });

  afterAll(() => {
    for (const listener of listeners) listener.close();
  });

  test(loadsModule, () => {
    expect(existsSync("/proc/net/ip_vs")).toBe(false);
    openIpvs()[Symbol.dispose]();
    expect(existsSync("/proc/net/ip_vs")).toBe(true);
  });

  // Not `test.each`, which shortens names.
  for (const one of cases) test(one.name, () => keepContract(kernel, one));
} else {
  describeOnKernel("IPVS in User Mode Linux", { programs: ["linux.uml", "busybox", "ipvsadm"] }, () => {
    let results: ReadonlyMap<string, string>;

    beforeAll(async () => {
      results = await runInGuest();
    });

    for (const name of [loadsModule, ...cases.map((one) => one.name)]) {
      test(name, () => expect(results.get(name)).toBe("passed"));
    }
  });
}

/** What became of each test in the guest: "passed", or why not. */
async function runInGuest(): Promise<ReadonlyMap<string, string>> {
  // Below /tmp, which the guest shares.
  const scratch = mkdtempSync("/tmp/ipvs-netlink-");
  try {
    const report = join(scratch, "report.json");
    const vitest = fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url));
    const runner = [process.execPath, vitest, "run", "--project", "uml", "--pool=threads"];
    const reporting = ["--reporter=json", `--outputFile=${report}`];
    const { stdout, stderr } = await runCommand(
      [uml, "-t", "90", ...runner, ...reporting, fileURLToPath(import.meta.url)],
      { anyStatus: true, timeoutSeconds: 100 },
    );
    if (!existsSync(report)) throw new Error(`Cannot run the tests in the guest: ${stdout}${stderr}`);
    const { testResults }: Report = JSON.parse(readFileSync(report, "utf8"));
    return new Map(
      testResults.flatMap(({ assertionResults }) =>
        assertionResults.map(({ title, status, failureMessages }) => [
          title,
          [status, ...failureMessages].join("\n"),
        ]),
      ),
    );
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** The part of vitest's JSON report that is read. */
interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly title: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** A server that sends back what it gets. */
async function listen(host: string, port: number): Promise<Server> {
  const server = createServer((socket) => socket.on("error", () => undefined).pipe(socket));
  server.listen({ host, port });
  await once(server, "listening");
  return server;
}

async function connect({ address, port }: AddressKey): Promise<ClientConnection | undefined> {
  const socket = createConnection({ host: address, port });
  try {
    await once(socket, "connect");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ECONNREFUSED") return undefined;
    throw error;
  }
  socket.resume();
  return {
    close: async () => {
      socket.end();
      await once(socket, "close");
    },
  };
}

/** In ipvsadm's order, which the samples are in. */
function inOrder(table: readonly ObservedTableEntry[]): readonly ObservedTableEntry[] {
  return table
    .map(({ server, realServers }) => ({ server, realServers: realServers.toSorted(compareRealServers) }))
    .toSorted((one, other) => compareVirtualServers(one.server, other.server));
}

/** What a program prints. */
function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: "utf8" });
}
