/**
 * Text of tables beside text of ipvsadm. More of it is compared in `e2e/ipvs/ipvsadm.test.ts`, on the kernel.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseTable } from "../ipvs/netlink/parse.ts";
import { familyOfVirtualServer } from "../ipvs/netlink/virtual-server.ts";
import { parseIpvsConnection } from "./ipvs-connections.ts";
import {
  connectionLine,
  connectionsHead,
  daemonLine,
  type ListFormat,
  listEntry,
  listHead,
  saveEntry,
  timeoutsLine,
} from "./ipvsadm-format.ts";
import type { RealServerRow, ServiceTable, VirtualServerRow } from "./service-table.ts";

function golden(name: string): string {
  return readFileSync(new URL(`golden/${name}`, import.meta.url), "utf8");
}

const info = { version: "1.2.1", connectionTableSize: 4096 };
const idle = { activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 };

const server: RealServerRow = {
  address: "10.244.1.6",
  port: 8080,
  forwarding: "masquerade",
  weight: 2,
  upperThreshold: 1000,
  lowerThreshold: 500,
  activeConnections: 5,
  inactiveConnections: 1,
  persistentConnections: 1,
  totals: {
    connections: 5n,
    incomingPackets: 77n,
    outgoingPackets: 65n,
    incomingBytes: 1_504_044n,
    outgoingBytes: 3535n,
  },
  rates: {
    connections: 0n,
    incomingPackets: 5n,
    outgoingPackets: 5n,
    incomingBytes: 105_753n,
    outgoingBytes: 249n,
  },
};

const virtual: VirtualServerRow = {
  family: "IPv4",
  protocol: "TCP",
  address: "10.96.0.10",
  port: 80,
  scheduler: "rr",
  persistence: { timeoutSeconds: 10_800 },
  ...(server.totals === undefined ? {} : { totals: server.totals }),
  ...(server.rates === undefined ? {} : { rates: server.rates }),
  realServers: [server],
};

function list(rows: readonly VirtualServerRow[], format: ListFormat, exact = false): string {
  const table: ServiceTable = { source: "ipvs", info, virtualServers: rows };
  return listHead(table, { format }) + rows.map((row) => listEntry(row, { format, exact })).join("");
}

test("a table that ipvsadm saved is listed and saved as ipvsadm did", () => {
  const saved = golden("kube-proxy-ipvs.save");
  const rows = parseTable(saved).map(
    ({ server: key, realServers }): VirtualServerRow => ({
      ...key,
      family: familyOfVirtualServer(key),
      realServers: realServers.map((one) => ({ ...one, ...idle })),
    }),
  );
  expect(list(rows, "default")).toBe(golden("kube-proxy-ipvs.list"));
  expect(rows.map(saveEntry).join("")).toBe(saved);
});

test.each<[ListFormat, string, string]>([
  [
    "stats",
    "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n  -> RemoteAddress:Port",
    "TCP  10.96.0.10:80                       5       77       65  1504044     3535\n  -> 10.244.1.6:8080                     5       77       65  1504044     3535",
  ],
  [
    "rate",
    "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS\n  -> RemoteAddress:Port",
    "TCP  10.96.0.10:80                       0        5        5   105753      249\n  -> 10.244.1.6:8080                     0        5        5   105753      249",
  ],
  [
    "thresholds",
    "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn \n  -> RemoteAddress:Port",
    "TCP  10.96.0.10:80 rr persistent 10800\n  -> 10.244.1.6:8080              1000       500        5          1         ",
  ],
  [
    "persistent-conn",
    "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn \n  -> RemoteAddress:Port",
    "TCP  10.96.0.10:80 rr persistent 10800\n  -> 10.244.1.6:8080              2         1           5          1         ",
  ],
  [
    "tun-info",
    "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn",
    "TCP  10.96.0.10:80 rr persistent 10800\n  -> 10.244.1.6:8080              Masq    n/a           2      5          1         ",
  ],
])("format %s is as ipvsadm printed it", (format, head, entry) => {
  const first = "IP Virtual Server version 1.2.1 (size=4096)";
  expect(list([virtual], format)).toBe(`${first}\n${head}\n${entry}\n`);
});

test.each<[bigint, string, string]>([
  [99_999_999n, " 99999999", " 99999999"],
  [100_000_000n, "  100000K", " 100000000"],
  [1_999_999_999n, "    1999M", " 1999999999"],
  [123_456_789_012n, "     123G", " 123456789012"],
  [123_456_789_012_345n, "     123T", " 123456789012345"],
])("%d is shortened unless it is wanted exactly", (count, short, full) => {
  const row: VirtualServerRow = { ...virtual, totals: { connections: count }, realServers: [] };
  const start = "TCP  10.96.0.10:80".padEnd(33);
  const unknown = "        -".repeat(4);
  expect(listEntry(row, { format: "stats" })).toBe(`${start}${short}${unknown}\n`);
  expect(listEntry(row, { format: "stats", exact: true })).toBe(`${start}${full}${unknown}\n`);
});

test("what is not known is a dash, and what is refused says so", () => {
  const { activeConnections: _, inactiveConnections: __, ...unknown } = server;
  expect(listEntry({ ...virtual, realServers: [unknown] }, { format: "default" })).toContain(
    "Masq    2      -          -         \n",
  );
  const { persistence: ___, ...refused } = { ...virtual, refusal: "drop" as const, realServers: [] };
  expect(listEntry(refused, { format: "default" })).toBe("TCP  10.96.0.10:80 rr (drop)\n");
});

test("names stand behind the lines", () => {
  const named: VirtualServerRow = {
    ...virtual,
    service: { namespace: "ns", name: "web", port: "http" },
    kind: "ClusterIP",
    realServers: [{ ...server, pod: "ns/web-1" }],
  };
  expect(listEntry(named, { format: "default", names: true })).toBe(
    "TCP  10.96.0.10:80 rr persistent 10800  ns/web:http ClusterIP\n  -> 10.244.1.6:8080              Masq    2      5          1          ns/web-1\n",
  );
});

/** Lines of /proc/net/ip_vs_conn with what ipvsadm makes of them. */
test.each<[string, string]>([
  [
    "TCP 0A010002 8A04 0A60000A 0050 0AF40106 1F90 ESTABLISHED     894",
    "TCP 14:54  ESTABLISHED 10.1.0.2:35332     10.96.0.10:80      10.244.1.6:8080",
  ],
  [
    "TCP 0A010002 0000 0A60000A 0050 0AF40106 1F90 ASSURED       10799",
    "TCP 179:59 ASSURED     10.1.0.2:0         10.96.0.10:80      10.244.1.6:8080",
  ],
  [
    "TCP fd01:0000:0000:0000:0000:0000:0000:0002 988E fd00:0010:0096:0000:0000:0000:0000:000a 0050 fd00:0244:0000:0000:0000:0000:0000:0005 1F90 ESTABLISHED     894",
    "TCP 14:54  ESTABLISHED [fd01::2]:39054    [fd00:10:96::a]:80 [fd00:244::5]:8080",
  ],
])("a connection of the kernel's list is printed as ipvsadm did", (line, printed) => {
  const row = parseIpvsConnection(line);
  expect(row === undefined ? "" : connectionLine(row, false)).toBe(`${printed}\n`);
});

test("titles and other lines are no connections", () => {
  const title = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData";
  for (const line of [title, "", "TCP", "TCP x y z", "TCP 0A010002 8A04 0A60000A 0050 zz 1F90 NONE 1"]) {
    expect(parseIpvsConnection(line)).toBeUndefined();
  }
});

test("the persistence engine is shown where there is one and it is asked for", () => {
  const line = "UDP 0A010002 0000 0A60000A 13C4 0AF40106 13C4 UDP 300 sip call-7";
  const row = parseIpvsConnection(line);
  if (row === undefined) throw new Error("not read");
  expect(connectionLine(row, true)).toBe(
    "UDP 05:00  UDP         10.1.0.2:0         10.96.0.10:5060    10.244.1.6:5060  sip                call-7\n",
  );
  expect(connectionLine(row, false)).not.toContain("sip");
  expect(connectionsHead({ source: "ipvs" }, false)).toBe(
    "IPVS connection entries\npro expire state       source             virtual            destination\n",
  );
  expect(connectionsHead({ source: "ipvs" }, true)).toBe(
    "IPVS connection entries\npro expire state       source             virtual            destination        pe name          pe_data\n",
  );
});

test("timeouts and daemons are printed as by ipvsadm", () => {
  expect(timeoutsLine({ tcp: 900, tcpFin: 120, udp: 300 })).toBe("Timeout (tcp tcpfin udp): 900 120 300\n");
  expect(
    daemonLine({
      role: "backup",
      interface: "eth0",
      syncId: 0,
      maximumLength: 1024,
      group: "ff02::5",
      port: 9999,
      timeToLive: 3,
    }),
  ).toBe("backup sync daemon (mcast=eth0, syncid=0, maxlen=1024, group=ff02::5, port=9999, ttl=3)\n");
});

test("a scheduler flag without a name is an empty list", () => {
  const { persistence: _, ...plain } = virtual;
  const row: VirtualServerRow = { ...plain, scheduler: "sh", schedulerFlags: ["flag-3"], realServers: [] };
  expect(listEntry(row, { format: "default" })).toBe("TCP  10.96.0.10:80 sh ()\n");
  expect(saveEntry(row)).toBe("-A -t 10.96.0.10:80 -s sh -b \n");
});
