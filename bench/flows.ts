/**
 * A full table of connection tracking: how long one pass takes that looks for stale UDP flows, and what memory it needs.
 *
 * The table's size belongs to the whole machine, so this runs on a kernel of its own:
 *
 * ```
 * e2e/uml/run.sh -m 3G node_modules/.bin/node bench/flows.ts 1000000
 * ```
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { closeSync, readFileSync, writeFileSync } from "node:fs";
import { AF_INET, openSocket, SOCK_DGRAM, sendDatagram, socketAddress } from "../e2e/harness/libc.ts";
import { StaleFlows } from "../src/conntrack/stale-flows.ts";
import { dumpFlows } from "../src/netlink/conntrack.ts";
import { openNetlink } from "../src/netlink/socket.ts";
import { PlannedCluster, port, service, slice } from "../src/proxier/testing.ts";
import { printFigure } from "./figure.ts";
import { parseMemoryMB } from "./process-usage.ts";

const netfilter = "/proc/sys/net/netfilter";

/** Datagrams between two pauses, in which their answers are dropped. */
const burst = 500;

if (!readFileSync("/proc/cmdline", "utf8").includes("umljob=")) {
  throw new Error("Cannot measure here: this sets the size of the machine's table; run it by e2e/uml/run.sh");
}
const wanted = Number.parseInt(process.argv[2] ?? "1000000", 10);
// Nothing is tracked before a rule asks for it.
execFileSync("iptables-legacy", "-A OUTPUT -m conntrack --ctstate NEW -j ACCEPT".split(" "));
writeFileSync(`${netfilter}/nf_conntrack_max`, String(wanted * 2));
writeFileSync("/sys/module/nf_conntrack/parameters/hashsize", String(wanted / 4));
writeFileSync(`${netfilter}/nf_conntrack_udp_timeout`, "3600");
await fill(wanted);
const change = staleChange();
const idle = memory("VmRSS");
let seen = 0;
let stale = 0;
const startedAt = performance.now();
{
  using connection = openNetlink("netfilter");
  await dumpFlows(connection, {
    family: "IPv4",
    protocol: 17,
    onFlow: (flow) => {
      seen += 1;
      stale += change.isStale(flow) ? 1 : 0;
    },
  });
}
const value = performance.now() - startedAt;
const detail = { flows: seen, staleFlows: stale, idleMB: idle, peakMB: memory("VmHWM") };
printFigure({ figure: "stale-flows-pass", value, unit: "ms", detail });

/** One flow for each address of 127.0.0.0/8: all of them are local. */
async function fill(flows: number): Promise<void> {
  const socket = openSocket(AF_INET, SOCK_DGRAM);
  const address = socketAddress("127.0.0.1", 53);
  const nothing = Buffer.alloc(1);
  for (let index = 0; index < flows; index++) {
    address.writeUInt32BE(0x7f_00_00_02 + index, 4);
    // The refusal of an earlier datagram is told with a later one, which is then not sent.
    while (sendDatagram(socket, nothing, address) !== 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (index % burst === 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  closeSync(socket);
}

/**
 * All of 1,000 UDP Services on port 53 lose their endpoint. Every flow of the table has their port, and 1,000 an address of
 * theirs: all are looked up, those are compared, and none is stale, because it never went to that endpoint.
 */
function staleChange(): StaleFlows {
  const cluster = new PlannedCluster();
  const ports = [port({ port: 53, protocol: "UDP" })];
  const dns = (name: string, clusterIP: string) =>
    service({ name, clusterIP, clusterIPs: [clusterIP], ports });
  const names = Array.from({ length: 1_000 }, (_, index) => `dns-${index}`);
  for (const [index, name] of names.entries()) {
    cluster.put(dns(name, `127.0.${index >> 8}.${index & 255}`), endpoint(name, ["10.244.1.1"]));
  }
  cluster.planner.take();
  for (const name of names) {
    cluster.put(endpoint(name, []));
  }
  const taken = cluster.planner.take();
  return new StaleFlows("IPv4", () => []).add(cluster.planner.plan, taken);
}

function endpoint(name: string, addresses: readonly string[]): ReturnType<typeof slice> {
  const ports = [{ name: "", port: 53, protocol: "UDP" as const }];
  return slice(addresses, { name: `${name}-1`, serviceName: name, ports });
}

function memory(field: "VmRSS" | "VmHWM"): number {
  return parseMemoryMB(readFileSync("/proc/self/status", "utf8"), field);
}
