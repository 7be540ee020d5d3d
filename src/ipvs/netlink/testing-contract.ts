/**
 * What holds for the kernel's IPVS and for the fake one alike.
 *
 * Run twice: beside the code against the fake, and end to end against the kernel. A fake that drifts from the kernel
 * fails here, and so does a belief about the kernel that is wrong.
 *
 * @module
 */
import { expect, vi } from "vitest";
import type { NetlinkConnection } from "../../netlink/connection.ts";
import { isKernelError, type KernelErrorCode } from "../../netlink/kernel-error.ts";
import { IpvsClient } from "./client.ts";
import type { ObservedRealServer, RealServer } from "./real-server.ts";
import {
  addRealServerRequest,
  addVirtualServerRequest,
  deleteRealServerRequest,
  deleteVirtualServerRequest,
  editRealServerRequest,
  editVirtualServerRequest,
} from "./requests.ts";
import type { TableEntry } from "./table-entry.ts";
import { sampleTable } from "./testing-samples.ts";
import {
  type AddressKey,
  schedulerNames,
  type VirtualServer,
  type VirtualServerKey,
  virtualServerName,
} from "./virtual-server.ts";

/** A connection of a client through a virtual server. */
export interface ClientConnection {
  /** Ends it, and returns when the kernel has seen that. */
  close(): Promise<void>;
}

/** A kernel, with a network in which `webReals` listen at TCP. */
export interface KernelUnderTest {
  open(): NetlinkConnection;
  /** Connects to an address and port; undefined if the connection is refused. */
  connect(to: AddressKey): Promise<ClientConnection | undefined>;
}

/** One thing that holds. The table is empty before it, and is emptied after it. */
export interface IpvsContractCase {
  readonly name: string;
  readonly run: (client: IpvsClient, kernel: KernelUnderTest) => void | Promise<void>;
}

/** A virtual server that clients can reach. */
export const web: AddressKey & VirtualServer = {
  protocol: "TCP",
  address: "198.51.100.10",
  port: 80,
  scheduler: "lc",
};

/** Real servers that listen, for {@link web}. */
export const webReals: readonly [RealServer, RealServer] = [
  { address: "198.51.100.21", port: 8080, forwarding: "masquerade", weight: 1 },
  { address: "198.51.100.22", port: 8080, forwarding: "masquerade", weight: 1 },
];

const [first, second] = webReals;

/** Runs one case, on a connection of its own. */
export async function keepContract(kernel: KernelUnderTest, { run }: IpvsContractCase): Promise<void> {
  using client = new IpvsClient(kernel.open());
  try {
    await run(client, kernel);
  } finally {
    // Not by the same client: a case may have made it useless.
    using cleaner = new IpvsClient(kernel.open());
    cleaner.flush();
  }
}

const reading: readonly IpvsContractCase[] = [
  {
    name: "getInfo() tells the version that every kernel has",
    run: (client) => {
      expect(client.getInfo()).toEqual({ version: "1.2.1", connectionTableSize: 4096 });
    },
  },

  {
    name: "an empty table is empty",
    run: async (client) => {
      expect(await client.listVirtualServers()).toEqual([]);
      expect(await client.listAll()).toEqual([]);
      expect(await client.listRealServers(web)).toEqual([]);
      expect(client.findVirtualServer(web)).toBeUndefined();
    },
  },

  ...sampleTable.map(
    ({ server, realServers }): IpvsContractCase => ({
      name: `what is added is read back: ${virtualServerName(server)} ${server.scheduler}`,
      run: async (client) => {
        client.addVirtualServer(server);
        for (const one of realServers) client.addRealServer(server, one);
        expect(client.findVirtualServer(server, { statistics: false })).toEqual(server);
        expect(await client.listVirtualServers({ statistics: false })).toEqual([server]);
        const newestFirst = realServers.map(unused).toReversed();
        expect(await client.listRealServers(server, { statistics: false })).toEqual(newestFirst);
        expect(await client.listAll({ statistics: false })).toEqual([{ server, realServers: newestFirst }]);
      },
    }),
  ),

  {
    name: "listAll() lists hundreds of virtual servers, each with its own real servers",
    run: async (client) => {
      const table = Array.from({ length: 300 }, (_, index): TableEntry => {
        const [high, low] = [index >> 8, index & 255];
        return {
          server: { protocol: "UDP", address: `10.96.${high}.${low}`, port: 53, scheduler: "rr" },
          realServers: Array.from({ length: index % 4 }, (_, place) => ({
            address: `10.244.${place}.${low}`,
            port: 5300 + high,
            forwarding: "masquerade",
            weight: index,
          })),
        };
      });
      await build(client, table);
      const listed = await client.listAll({ statistics: false });
      expect(Map.groupBy(listed, nameOfEntry).size).toBe(300);
      for (const { server, realServers } of table) {
        const [entry] = listed.filter((one) => nameOfEntry(one) === virtualServerName(server));
        expect(entry).toEqual({ server, realServers: realServers.map(unused).toReversed() });
      }
    },
  },

  {
    name: "servers start with counters of 0, and statistics are left out when they are not wanted",
    run: async (client) => {
      await build(client, [{ server: web, realServers: webReals }]);
      const zeros = {
        connections: 0n,
        incomingPackets: 0n,
        outgoingPackets: 0n,
        incomingBytes: 0n,
        outgoingBytes: 0n,
      };
      const statistics = { totals: zeros, rates: zeros };
      expect(client.findVirtualServer(web)).toEqual({ ...web, statistics });
      expect(await client.listRealServers(web)).toEqual(
        webReals.map((one) => ({ ...unused(one), statistics })).toReversed(),
      );
    },
  },
];

const changing: readonly IpvsContractCase[] = [
  ...schedulerNames.map(
    (scheduler): IpvsContractCase => ({
      name: `scheduler ${scheduler} is there, for a new server and for an old one`,
      run: (client) => {
        client.addVirtualServer({ ...web, scheduler });
        client.addVirtualServer({ ...web, port: 81 });
        client.editVirtualServer({ ...web, port: 81, scheduler });
        expect(client.findVirtualServer(web)?.scheduler).toBe(scheduler);
        expect(client.findVirtualServer({ ...web, port: 81 })?.scheduler).toBe(scheduler);
      },
    }),
  ),

  {
    name: "a scheduler or persistence engine that the kernel lacks is unsupported, and nothing changes",
    run: (client) => {
      expect(failure(() => client.addVirtualServer({ ...web, scheduler: "absent" }))).toEqual([
        "unsupported",
        "Cannot add virtual server TCP 198.51.100.10:80 with scheduler absent: ENOENT",
      ]);
      expect(client.findVirtualServer(web)).toBeUndefined();
      client.addVirtualServer(web);
      expect(failure(() => client.editVirtualServer({ ...web, scheduler: "absent" }))).toEqual([
        "unsupported",
        "Cannot edit virtual server TCP 198.51.100.10:80 with scheduler absent: ENOENT",
      ]);
      const persistence = { timeoutSeconds: 60, engine: "absent" };
      expect(failure(() => client.editVirtualServer({ ...web, persistence }))).toEqual([
        "unsupported",
        "Cannot edit virtual server TCP 198.51.100.10:80 with scheduler lc and persistence engine absent: ENOENT",
      ]);
      expect(client.findVirtualServer(web, { statistics: false })).toEqual(web);
    },
  },

  {
    name: "a virtual server is edited in place: every setting, and back, with its real servers",
    run: async (client) => {
      client.addVirtualServer(web);
      client.addRealServer(web, first);
      const edited: VirtualServer = {
        ...web,
        scheduler: "mh",
        schedulerFlags: ["flag-1", "flag-2"],
        persistence: { timeoutSeconds: 10_800, netmask: "255.255.255.0", engine: "sip" },
        onePacket: true,
      };
      client.editVirtualServer(edited);
      expect(client.findVirtualServer(web, { statistics: false })).toEqual(edited);
      client.editVirtualServer(web);
      expect(client.findVirtualServer(web, { statistics: false })).toEqual(web);
      expect(await client.listRealServers(web, { statistics: false })).toEqual([unused(first)]);
    },
  },

  {
    name: "a real server is edited in place: every setting, and back",
    run: async (client) => {
      client.addVirtualServer(web);
      client.addRealServer(web, first);
      const edited: RealServer = {
        ...first,
        forwarding: "tunnel",
        weight: 0,
        upperThreshold: 100,
        lowerThreshold: 50,
        tunnel: { type: "gue", port: 6080, checksum: "remote" },
      };
      for (const server of [edited, first]) {
        client.editRealServer(web, server);
        expect(await client.listRealServers(web, { statistics: false })).toEqual([unused(server)]);
      }
    },
  },

  {
    name: "what is there is not added again, and what is not there is neither edited nor deleted",
    run: async (client) => {
      const { family } = client;
      const absent = { ...web, port: 81 };
      const codes = client
        .transact([
          addVirtualServerRequest(family, web),
          addVirtualServerRequest(family, { ...web, scheduler: "rr" }),
          addRealServerRequest(family, web, first),
          addRealServerRequest(family, web, { ...first, weight: 2 }),
          editVirtualServerRequest(family, absent),
          deleteVirtualServerRequest(family, absent),
          addRealServerRequest(family, absent, first),
          editRealServerRequest(family, absent, first),
          deleteRealServerRequest(family, absent, first),
          editRealServerRequest(family, web, second),
          deleteRealServerRequest(family, web, second),
        ])
        .map(({ error }) => error?.code ?? "done");
      const gone: readonly string[] = new Array(7).fill("not-found");
      expect(codes).toEqual(["done", "exists", "done", "exists", ...gone]);
      expect(failure(() => client.zero(absent))[0]).toBe("not-found");
      const listed = await client.listAll({ statistics: false });
      expect(listed).toEqual([{ server: web, realServers: [unused(first)] }]);
    },
  },

  {
    name: "tolerant requests succeed where it is already so, and only there",
    run: (client) => {
      const { family } = client;
      const tolerant = { tolerant: true };
      const absent = { ...web, port: 81 };
      const codes = client
        .transact([
          addVirtualServerRequest(family, web, tolerant),
          addVirtualServerRequest(family, web, tolerant),
          addRealServerRequest(family, web, first, tolerant),
          addRealServerRequest(family, web, first, tolerant),
          addRealServerRequest(family, absent, first, tolerant),
          deleteRealServerRequest(family, web, second, tolerant),
          deleteRealServerRequest(family, absent, first, tolerant),
          deleteVirtualServerRequest(family, absent, tolerant),
          addVirtualServerRequest(family, { ...absent, scheduler: "absent" }, tolerant),
        ])
        .map(({ error }) => error?.code ?? "done");
      expect(codes).toEqual([
        ...["done", "done", "done", "done", "not-found"],
        ...["done", "done", "done", "unsupported"],
      ]);
    },
  },

  {
    name: "deleting a virtual server deletes its real servers",
    run: async (client) => {
      await build(client, [{ server: web, realServers: webReals }]);
      client.deleteRealServer(web, second);
      expect(await client.listRealServers(web, { statistics: false })).toEqual([unused(first)]);
      client.deleteVirtualServer(web);
      client.addVirtualServer(web);
      expect(await client.listRealServers(web)).toEqual([]);
    },
  },

  {
    name: "real servers that cannot be are rejected",
    run: async (client) => {
      const ipv6: VirtualServerKey = { firewallMark: 6, family: "IPv6" };
      client.addVirtualServer(web);
      client.addVirtualServer({ ...ipv6, scheduler: "rr" });
      const impossible: readonly (readonly [VirtualServerKey, Partial<RealServer>])[] = [
        [web, { address: "224.0.0.1" }],
        [web, { address: "0.0.0.0" }],
        [web, { address: "2001:db8::1" }],
        [web, { upperThreshold: 1, lowerThreshold: 2 }],
        [web, { lowerThreshold: 1 }],
        [ipv6, { address: "ff02::1" }],
        [ipv6, { address: "::" }],
        [ipv6, { address: "192.0.2.1" }],
      ];
      const codes = impossible.map(
        ([key, change]) => failure(() => client.addRealServer(key, { ...first, ...change }))[0],
      );
      expect(codes).toEqual(impossible.map(() => "rejected"));
      expect(await client.listRealServers(web)).toEqual([]);
      expect(await client.listRealServers(ipv6)).toEqual([]);
    },
  },

  {
    name: "transactEach() builds a table of thousands, and names the one request that failed",
    run: async (client) => {
      const { family } = client;
      const requests = function* () {
        yield addVirtualServerRequest(family, web);
        for (let index = 0; index < 2000; index++) {
          const address = `10.244.${index >> 8}.${index & 255}`;
          yield addRealServerRequest(family, web, {
            ...first,
            address: index === 1500 ? "224.0.0.1" : address,
          });
        }
      };
      const failures: (readonly [number, string | undefined])[] = [];
      await client.transactEach(requests(), ({ error }, index) => {
        if (error !== undefined) failures.push([index, error.message]);
      });
      expect(failures).toEqual([
        [1501, "Cannot add real server 224.0.0.1:8080 of virtual server TCP 198.51.100.10:80: EINVAL"],
      ]);
      expect(await client.listRealServers(web, { statistics: false })).toHaveLength(1999);
    },
  },

  {
    name: "timeouts are set one by one or together, and those of 0 stay",
    run: (client) => {
      const before = client.getTimeouts();
      client.setTimeouts({ tcp: 901 });
      expect(client.getTimeouts()).toEqual({ ...before, tcp: 901 });
      client.setTimeouts({ tcp: 0, tcpFin: 121, udp: 301 });
      expect(client.getTimeouts()).toEqual({ tcp: 901, tcpFin: 121, udp: 301 });
      expect(failure(() => client.setTimeouts({ udp: 4_294_967_295 }))[0]).toBe("rejected");
      client.setTimeouts(before);
      expect(client.getTimeouts()).toEqual(before);
    },
  },

  {
    name: "sync daemons are started once, listed and stopped",
    run: async (client) => {
      client.startDaemon({ role: "backup", interface: "lo", syncId: 7, port: 9999, timeToLive: 3 });
      client.startDaemon({ role: "master", interface: "lo", syncId: 255, group: "224.0.0.99" });
      const again = { role: "master", interface: "lo", syncId: 1 } as const;
      expect(failure(() => client.startDaemon(again))[0]).toBe("exists");
      client.startDaemon(again, { tolerant: true });
      expect(failure(() => client.startDaemon({ ...again, interface: "absent0" }))[0]).toBe("not-found");
      const common = { interface: "lo", maximumLength: expect.any(Number) };
      expect(await client.listDaemons()).toEqual(
        expect.arrayContaining([
          { ...common, role: "master", syncId: 255, group: "224.0.0.99", port: 8848, timeToLive: 1 },
          { ...common, role: "backup", syncId: 7, group: "224.0.0.81", port: 9999, timeToLive: 3 },
        ]),
      );
      client.stopDaemon("master");
      client.stopDaemon("backup");
      expect(await client.listDaemons()).toEqual([]);
      expect(failure(() => client.stopDaemon("backup"))[0]).toBe("not-found");
      client.stopDaemon("backup", { tolerant: true });
    },
  },

  {
    name: "flush() empties the table",
    run: async (client) => {
      await build(client, sampleTable);
      client.flush();
      expect(await client.listAll()).toEqual([]);
    },
  },
];

const balancing: readonly IpvsContractCase[] = [
  {
    name: "connections are counted where they go, and counters are zeroed",
    run: async (client, kernel) => {
      await build(client, [{ server: web, realServers: webReals }]);
      for (let count = 0; count < 4; count++) await (await kernel.connect(web))?.close();
      const counted = (statistics: { totals: { connections: bigint } } | undefined): bigint | undefined =>
        statistics?.totals.connections;
      // The kernel adds up its counters every two seconds.
      await vi.waitFor(() => expect(counted(client.findVirtualServer(web)?.statistics)).toBe(4n), waiting);
      const { totals } = client.findVirtualServer(web)?.statistics ?? expect.unreachable();
      expect(totals.incomingPackets).toBeGreaterThanOrEqual(8n);
      expect(totals.outgoingPackets).toBeGreaterThanOrEqual(8n);
      expect(totals.incomingBytes).toBeGreaterThan(totals.incomingPackets * 20n);
      const reals = await client.listRealServers(web);
      expect(reals.map(({ statistics }) => counted(statistics))).toEqual([2n, 2n]);
      expect(reals.map(({ inactiveConnections }) => inactiveConnections)).toEqual([2, 2]);

      client.zero(web);
      expect(counted(client.findVirtualServer(web)?.statistics)).toBe(0n);
      const zeroed = await client.listRealServers(web);
      expect(zeroed.map(({ statistics }) => counted(statistics))).toEqual([0n, 0n]);
      expect(zeroed.map(({ inactiveConnections }) => inactiveConnections)).toEqual([2, 2]);
      client.zero();
    },
  },

  {
    name: "a real server of weight 0 keeps its connections and gets no new ones",
    run: async (client, kernel) => {
      await build(client, [{ server: web, realServers: webReals }]);
      const before = [await kernel.connect(web), await kernel.connect(web)];
      expect(await loads(client, web)).toEqual([
        [1, 0],
        [1, 0],
      ]);
      client.editRealServer(web, { ...first, weight: 0 });
      const after = [await kernel.connect(web), await kernel.connect(web)];
      expect(await loads(client, web)).toEqual([
        [1, 0],
        [3, 0],
      ]);
      client.editRealServer(web, { ...second, weight: 0 });
      expect(await kernel.connect(web)).toBeUndefined();
      for (const connection of [...before, ...after]) await connection?.close();
      await vi.waitFor(async () => {
        expect(await loads(client, web)).toEqual([
          [0, 1],
          [0, 3],
        ]);
      }, waiting);
    },
  },

  {
    name: "persistence binds a client to one real server",
    run: async (client, kernel) => {
      const server = { ...web, persistence: { timeoutSeconds: 60 } };
      await build(client, [{ server, realServers: webReals }]);
      const connections = [];
      for (let count = 0; count < 3; count++) connections.push(await kernel.connect(web));
      const reals = await client.listRealServers(web);
      expect(reals.map(({ activeConnections }) => activeConnections).toSorted()).toEqual([0, 3]);
      expect(reals.map(({ persistentConnections }) => persistentConnections).toSorted()).toEqual([0, 1]);
      for (const connection of connections) await connection?.close();
    },
  },

  {
    name: "a virtual server without real servers refuses connections",
    run: async (client, kernel) => {
      client.addVirtualServer(web);
      expect(await kernel.connect(web)).toBeUndefined();
    },
  },
];

/** All that holds. */
export const ipvsContract: readonly IpvsContractCase[] = [...reading, ...changing, ...balancing];

const waiting = { timeout: 10_000, interval: 100 };

/** Builds a table in one go. */
export async function build(client: IpvsClient, table: readonly TableEntry[]): Promise<void> {
  const requests = table.flatMap(({ server, realServers }) => [
    addVirtualServerRequest(client.family, server),
    ...realServers.map((one) => addRealServerRequest(client.family, server, one)),
  ]);
  await client.transactEach(requests, ({ error }) => {
    if (error !== undefined) throw error;
  });
}

/** A real server as it is reported when nobody has used it. */
function unused(server: RealServer): ObservedRealServer {
  return { ...server, activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 };
}

function nameOfEntry({ server }: TableEntry): string {
  return virtualServerName(server);
}

/** Active and inactive connections of the two real servers, the first one first. */
async function loads(client: IpvsClient, key: VirtualServerKey): Promise<readonly (readonly number[])[]> {
  const reals = await client.listRealServers(key, { statistics: false });
  return reals
    .toReversed()
    .map(({ activeConnections, inactiveConnections }) => [activeConnections, inactiveConnections]);
}

/** Code and message of the kernel's refusal. */
function failure(change: () => void): readonly [KernelErrorCode | undefined, string?] {
  try {
    change();
    return [undefined];
  } catch (error) {
    if (!isKernelError(error)) throw error;
    return [error.code, error.message];
  }
}
