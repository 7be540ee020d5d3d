/**
 * Kernel settings that the program needs, written once at start. Those of the network namespace that it runs in.
 *
 * A value is written only when the present one differs.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { conntrackMax } from "../config/conntrack-max.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { type HostSwitches, setSysctls } from "../ipvs/host-switches.ts";
import { errorText, type Logger } from "../operations/logger.ts";
import { countCpus } from "./cpu-list.ts";

const netfilter = "/proc/sys/net/netfilter";
const onlineCpus = "/sys/devices/system/cpu/online";
const hashSize = "/sys/module/nf_conntrack/parameters/hashsize";

/** Buckets of the table are raised to a quarter of its entries, the kernel's own ratio for large tables. */
const entriesPerBucket = 4;

/** Sets sizes and timeouts of connection tracking, as configured, and tells of what was set and what could not be. */
export function setConntrackSysctls({ conntrack }: ProxyConfig, log: Logger): void {
  const set = (path: string, wanted: number): void => {
    const before = readNumber(path);
    if (before === wanted) {
      return;
    }
    try {
      writeFileSync(path, String(wanted));
      log.info("Set a kernel parameter", { path, before, after: wanted }, 1);
    } catch (error) {
      log.warning("Cannot set a kernel parameter", { path, wanted, reason: errorText(error) });
    }
  };
  const seconds = (name: string, ms: number): void => {
    if (ms > 0) {
      set(`${netfilter}/${name}`, Math.floor(ms / 1000));
    }
  };
  const max = conntrackMax(conntrack, cpuCount());
  if (max !== undefined) {
    log.info("Setting nf_conntrack_max", { nfConntrackMax: max });
    set(`${netfilter}/nf_conntrack_max`, max);
    if ((readNumber(hashSize) ?? Number.POSITIVE_INFINITY) < max / entriesPerBucket) {
      set(hashSize, Math.floor(max / entriesPerBucket));
    }
  }
  seconds("nf_conntrack_tcp_timeout_established", conntrack.tcpEstablishedTimeoutMs);
  seconds("nf_conntrack_tcp_timeout_close_wait", conntrack.tcpCloseWaitTimeoutMs);
  seconds("nf_conntrack_udp_timeout", conntrack.udpTimeoutMs);
  seconds("nf_conntrack_udp_timeout_stream", conntrack.udpStreamTimeoutMs);
  if (conntrack.tcpBeLiberal) {
    set(`${netfilter}/nf_conntrack_tcp_be_liberal`, 1);
  }
}

/** Lets packets from 127.0.0.1 leave the host, for NodePorts on localhost. The rules keep everybody else out. */
export function setRouteLocalnet(): HostSwitches {
  return setSysctls([{ name: "net/ipv4/conf/all/route_localnet", value: 1 }]);
}

/** Whether conntrack takes out-of-window packets for valid. An unreadable setting counts as no. */
export function isConntrackLiberal(): boolean {
  return (readNumber(`${netfilter}/nf_conntrack_tcp_be_liberal`) ?? 0) !== 0;
}

/** Whether the kernel has IPv6, and it is not switched off. */
export function hasIPv6(): boolean {
  return (
    readText("/proc/net/if_inet6") !== undefined &&
    readNumber("/proc/sys/net/ipv6/conf/all/disable_ipv6") !== 1
  );
}

/** CPUs of the machine. The table is the node's: that this process may use only some of them is no reason to make it smaller. */
function cpuCount(): number {
  return countCpus(readText(onlineCpus) ?? "") ?? cpus().length;
}

function readNumber(path: string): number | undefined {
  const value = Number.parseInt(readText(path) ?? "", 10);
  return Number.isNaN(value) ? undefined : value;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
