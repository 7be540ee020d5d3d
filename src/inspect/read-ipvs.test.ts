/**
 * The table of IPVS, from a kernel in memory.
 *
 * @module
 */
import { expect, test } from "vitest";
import { IpvsClient } from "../ipvs/netlink/client.ts";
import { FakeIpvs } from "../ipvs/netlink/testing.ts";
import { sampleTable } from "../ipvs/netlink/testing-samples.ts";
import { virtualServerName } from "../ipvs/netlink/virtual-server.ts";
import { fakeConnection } from "../netlink/testing.ts";
import { readIpvsServer, readIpvsTable } from "./read-ipvs.ts";

function openSample(): IpvsClient {
  const client = new IpvsClient(fakeConnection(new FakeIpvs().kernel));
  for (const { server, realServers } of sampleTable) {
    client.addVirtualServer(server);
    for (const real of realServers) client.addRealServer(server, real);
  }
  return client;
}

test("readIpvsTable() reads everything in ipvsadm's order", async () => {
  using client = openSample();
  const { source, info, virtualServers: rows } = await readIpvsTable(client);
  const virtualServers = [...rows];
  expect(source).toBe("ipvs");
  expect(info?.version).toBe("1.2.1");
  expect(virtualServers.map(virtualServerName)).toEqual(
    sampleTable.map(({ server }) => virtualServerName(server)),
  );
  expect(virtualServers).toMatchObject(
    sampleTable.map(({ server, realServers }) => ({ ...server, realServers })),
  );
  expect(virtualServers.some((row) => "totals" in row || "statistics" in row)).toBe(false);
});

test("readIpvsTable() has counters when they are asked for, and only the servers that are", async () => {
  using client = openSample();
  const [first] = sampleTable;
  if (first === undefined) throw new Error("the sample is empty");
  const name = virtualServerName(first.server);
  const only = (server: Parameters<typeof virtualServerName>[0]) => virtualServerName(server) === name;
  const virtualServers = [...(await readIpvsTable(client, { statistics: true, only })).virtualServers];
  expect(virtualServers).toHaveLength(1);
  expect(virtualServers[0]?.totals?.connections).toBe(0n);
  expect(virtualServers[0]?.realServers[0]?.rates?.incomingBytes).toBe(0n);
});

test("readIpvsServer() finds one, or none", async () => {
  using client = openSample();
  const last = sampleTable.at(-1);
  if (last === undefined) throw new Error("the sample is empty");
  const table = await readIpvsServer(client, last.server);
  expect(table?.virtualServers).toMatchObject([last.server]);
  expect(await readIpvsServer(client, { protocol: "TCP", address: "192.0.2.99", port: 9 })).toBeUndefined();
});
