/**
 * What holds of connections through IPVS.
 *
 * @module
 */
import { expect, vi } from "vitest";
import type { IpvsClient } from "./client.ts";
import { build, type IpvsContractCase, web, webReals } from "./testing-contract-case.ts";
import type { VirtualServerKey } from "./virtual-server.ts";

const [first, second] = webReals;

const waiting = { timeout: 10_000, interval: 100 };

/**
 * Each at a port of its own: the kernel remembers a real server that was deleted while connections refer to it, and
 * when it is added again it has them again.
 */
export const balancing: readonly IpvsContractCase[] = [
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
      const server = { ...web, port: 81 };
      await build(client, [{ server, realServers: webReals }]);
      const before = [await kernel.connect(server), await kernel.connect(server)];
      expect(await loads(client, server)).toEqual([
        [1, 0],
        [1, 0],
      ]);
      client.editRealServer(server, { ...first, weight: 0 });
      const after = [await kernel.connect(server), await kernel.connect(server)];
      expect(await loads(client, server)).toEqual([
        [1, 0],
        [3, 0],
      ]);
      client.editRealServer(server, { ...second, weight: 0 });
      expect(await kernel.connect(server)).toBeUndefined();
      for (const connection of [...before, ...after]) await connection?.close();
      await vi.waitFor(async () => {
        expect(await loads(client, server)).toEqual([
          [0, 1],
          [0, 3],
        ]);
      }, waiting);
    },
  },

  {
    name: "persistence binds a client to one real server",
    run: async (client, kernel) => {
      const server = { ...web, port: 82, persistence: { timeoutSeconds: 60 } };
      await build(client, [{ server, realServers: webReals }]);
      const connections = [];
      for (let count = 0; count < 3; count++) connections.push(await kernel.connect(server));
      const reals = await client.listRealServers(server);
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

/** Active and inactive connections of the two real servers, the first one first. */
async function loads(client: IpvsClient, key: VirtualServerKey): Promise<readonly (readonly number[])[]> {
  const reals = await client.listRealServers(key, { statistics: false });
  return reals
    .toReversed()
    .map(({ activeConnections, inactiveConnections }) => [activeConnections, inactiveConnections]);
}
