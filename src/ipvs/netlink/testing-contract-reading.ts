/**
 * What holds of reading the table of IPVS.
 *
 * @module
 */
import { expect } from "vitest";
import type { TableEntry } from "./table-entry.ts";
import { build, type IpvsContractCase, unused, web, webReals } from "./testing-contract-case.ts";
import { sampleTable } from "./testing-samples.ts";
import { virtualServerName } from "./virtual-server.ts";

/** Samples of every kind are read back as they were meant. */
export const reading: readonly IpvsContractCase[] = [
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
    name: "the table as text has every kind of server, each with its real servers behind it",
    run: async (client, kernel) => {
      await build(client, sampleTable);
      const [title, ...entries] = kernel.table().split(/\n(?=[A-Z])/);
      expect([title, entries.map((one) => one.trimEnd()).sort()]).toEqual([
        "IP Virtual Server version 1.2.1 (size=4096)",
        sampleText.sort(),
      ]);
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

function nameOfEntry({ server }: TableEntry): string {
  return virtualServerName(server);
}

/** The kernel's text of {@link sampleTable}, entry by entry. */
const sampleText = [
  ["Prot LocalAddress:Port Scheduler Flags", "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn"],
  [
    "TCP  C0000201:0050 wlc  persistent 1080000 FFFFFFFF",
    "  -> C6336404:0050      Tunnel  3      0          0         ",
    "  -> C6336403:0050      Route   2147483647 0          0         ",
    "  -> C6336402:1F91      Masq    0      0          0         ",
    "  -> C6336401:1F90      Masq    1      0          0",
  ],
  [
    "TCP  C0000202:0000 sh  persistent 100 FFFFFF00",
    "  -> C6336405:0000      Tunnel  1      0          0         ",
    "  -> C6336404:0000      Tunnel  1      0          0         ",
    "  -> C6336403:0000      Tunnel  1      0          0         ",
    "  -> C6336402:0000      Tunnel  1      0          0         ",
    "  -> C6336401:0000      Tunnel  1      0          0",
  ],
  [
    "UDP  C0000201:13C4 rr ops  persistent 267840000 FFFFFFFF",
    "  -> C6336401:13C4      Masq    1      0          0",
  ],
  ["UDP  C0000203:0035 mh"],
  ["SCTP  C0000201:270F rr  ", "  -> C6336401:270F      Masq    1      0          0"],
  [
    "TCP  [2001:0db8:0000:0000:0000:0000:0000:0001]:01BB mh persistent 60000 40000000",
    "  -> [2001:0db8:0001:0000:0000:0000:0000:0002]:20FB      Masq    100    0          0         ",
    "  -> [2001:0db8:0001:0000:0000:0000:0000:0001]:20FB      Masq    1      0          0         ",
    "  -> C6336401:01BB      Tunnel  1      0          0",
  ],
  [
    "UDP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0035 rr ",
    "  -> [2001:0db8:0001:0000:0000:0000:0000:0001]:0035      Route   1      0          0",
  ],
  [
    "FWM  00000007 nq ",
    "  -> [2001:0db8:0001:0000:0000:0000:0000:0001]:0000      Tunnel  1      0          0",
  ],
  [
    "FWM  00000007 sed persistent 6000 FF00FF00",
    "  -> [2001:0db8:0001:0000:0000:0000:0000:0001]:0000      Tunnel  1      0          0         ",
    "  -> C6336401:0000      Route   1      0          0",
  ],
].map((lines) => lines.join("\n"));
