/**
 * Facts from /proc and /sys: kernel, sysctls, connections, clients, processes, locks.
 *
 * Pure but for the files that it is given.
 *
 * @module
 */
import { gunzipSync } from "node:zlib";
import type { ConntrackLosses, LockHolder, RecentFacts } from "./facts.ts";
import { type HostFiles, isAbsent, readNumber } from "./files.ts";
import { type Fact, known, unknown } from "./finding.ts";
import { type KernelParts, modulesIn } from "./kernel-parts.ts";

/** Sysctls that findings ask for, below /proc/sys. */
const sysctlNames: readonly string[] = [
  "net/ipv4/ip_forward",
  "net/ipv6/conf/all/forwarding",
  "net/ipv4/conf/all/route_localnet",
  "net/ipv4/conf/all/arp_ignore",
  "net/ipv4/conf/all/arp_announce",
  "net/ipv4/tcp_keepalive_time",
  "net/netfilter/nf_conntrack_max",
  "net/netfilter/nf_conntrack_count",
  "net/netfilter/nf_conntrack_tcp_be_liberal",
  "net/bridge/bridge-nf-call-iptables",
  "net/bridge/bridge-nf-call-ip6tables",
  "net/ipv4/vs/conntrack",
  "net/ipv4/vs/conn_reuse_mode",
  "net/ipv4/vs/expire_nodest_conn",
  "net/ipv4/vs/expire_quiescent_template",
];

/** The number that the machine's own process namespace always has. */
const initialPidNamespace = "pid:[4026531836]";

/** Clients that a list remembers unless the module says otherwise. */
const defaultRecentLimit = 100;

/** All sysctls. */
export function readSysctls(files: HostFiles): ReadonlyMap<string, Fact<number>> {
  return new Map(sysctlNames.map((name) => [name, readNumber(files, `/proc/sys/${name}`)]));
}

/** What tells which parts the kernel has. */
export function readKernelParts(files: HostFiles, release: string): KernelParts {
  const folder = `/lib/modules/${release}`;
  const builtIn = files.read(`${folder}/modules.builtin`);
  const all = files.read(`${folder}/modules.dep`);
  const modules = files.read("/proc/modules");
  const sys = files.list("/sys/module");
  return {
    loaded: new Set([
      ...(modules.known ? modules.value.split("\n").map((line) => line.split(" ")[0] ?? "") : []),
      ...(sys.known ? sys.value : []),
    ]),
    config: readConfig(files, release),
    builtIn: builtIn.known ? new Set(modulesIn(builtIn.value)) : undefined,
    installed:
      all.known && builtIn.known
        ? new Set([...modulesIn(all.value), ...modulesIn(builtIn.value)])
        : undefined,
  };
}

function readConfig(files: HostFiles, release: string): string | undefined {
  const packed = files.readBytes("/proc/config.gz");
  if (packed.known) {
    return new TextDecoder().decode(gunzipSync(packed.value));
  }
  const plain = files.read(`/boot/config-${release}`);
  return plain.known ? plain.value : undefined;
}

/** Columns of /proc/net/stat/nf_conntrack are named in its first line, and a line follows for each CPU, in hexadecimal. */
export function readConntrackLosses(files: HostFiles): Fact<ConntrackLosses> {
  const text = files.read("/proc/net/stat/nf_conntrack");
  if (!text.known) {
    return text;
  }
  const [head = "", ...rows] = text.value.trim().split("\n");
  const names = head.trim().split(/\s+/);
  const sum = (name: string): number => {
    const column = names.indexOf(name);
    return rows.reduce(
      (total, row) => total + (Number.parseInt(row.trim().split(/\s+/)[column] ?? "", 16) || 0),
      0,
    );
  };
  return known({ dropped: sum("drop"), evicted: sum("early_drop") });
}

/** The lists of endpoints. Without the module there are none. */
export function readRecent(files: HostFiles): Fact<RecentFacts> {
  const limit = readNumber(files, "/sys/module/xt_recent/parameters/ip_list_tot");
  const names = files.list("/proc/net/xt_recent");
  if (!names.known && !isAbsent(names)) {
    return names;
  }
  const lists = (names.known ? names.value : []).filter((name) => name.startsWith("KUBE-SEP-"));
  const counted: { name: string; clients: number }[] = [];
  for (const name of lists) {
    const text = files.read(`/proc/net/xt_recent/${name}`);
    if (text.known) {
      counted.push({ name, clients: text.value.match(/^src=/gm)?.length ?? 0 });
    } else if (!isAbsent(text)) {
      return text;
    }
  }
  return known({ limit: limit.known && limit.value > 0 ? limit.value : defaultRecentLimit, lists: counted });
}

/** Why processes of the host cannot be seen; undefined when they can. */
function blindness(files: HostFiles): string | undefined {
  const namespace = files.link("/proc/self/ns/pid");
  if (!namespace.known) {
    return namespace.reason;
  }
  return namespace.value === initialPidNamespace
    ? undefined
    : "the processes of the host cannot be seen from this container (hostPID)";
}

/** Service proxies that run in this network namespace. */
export function readProxies(files: HostFiles): Fact<readonly string[]> {
  const blind = blindness(files);
  const entries = files.list("/proc");
  if (blind !== undefined || !entries.known) {
    return unknown(blind ?? (entries.known ? "" : entries.reason));
  }
  const own = files.link("/proc/self/ns/net");
  const proxies = entries.value
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      const theirs = files.link(`/proc/${pid}/ns/net`);
      return own.known && theirs.known && theirs.value === own.value;
    })
    .flatMap((pid) => proxyName(files, pid));
  return known(proxies);
}

function proxyName(files: HostFiles, pid: string): readonly string[] {
  const command = files.read(`/proc/${pid}/cmdline`);
  const words = command.known ? command.value.split("\0") : [];
  const [program = ""] = words;
  const name = program.slice(program.lastIndexOf("/") + 1);
  return name === "kube-proxy" || name === "kube-router" ? [name] : [];
}

/** Whoever holds the lock of iptables now, or has it open for waiting: only holders count. */
export function readLock(files: HostFiles, path: string): Fact<readonly LockHolder[]> {
  const file = files.identity(path);
  if (!file.known) {
    return isAbsent(file) ? known([]) : file;
  }
  const blind = blindness(files);
  if (blind !== undefined) {
    return unknown(blind);
  }
  const locks = files.read("/proc/locks");
  if (!locks.known) {
    return locks;
  }
  const { device, inode } = file.value;
  const holders = [...locks.value.matchAll(/^\d+: (?:FLOCK|POSIX|OFDLCK) +\S+ +\S+ +(-?\d+) +(\S+) /gm)]
    .filter(([, , place]) => place === `${device}:${inode}`)
    .map(([, pid = ""]) => ({ pid: Number(pid), name: nameOf(files, pid) }));
  return known(holders);
}

function nameOf(files: HostFiles, pid: string): string {
  const name = files.read(`/proc/${pid}/comm`);
  return name.known ? name.value.trim() : "";
}
