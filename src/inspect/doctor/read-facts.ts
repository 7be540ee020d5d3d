/**
 * Looks at this host and gives all facts that do not need the cluster's objects. Changes nothing, and loads nothing: a
 * part of the kernel that does not run is not asked.
 *
 * @module
 */

import type { Variant } from "../../iptables/tools.ts";
import { openIpvs } from "../../ipvs/netlink/open.ts";
import { listSets } from "../../netlink/ipset-list.ts";
import { listNftTables } from "../../netlink/nft-tables.ts";
import { openNetlink } from "../../netlink/socket.ts";
import { type Clock, sleep } from "../../proxier/clock.ts";
import type { Facts, IpvsFacts, LinkFact, LockHolder } from "./facts.ts";
import { type HostFiles, isAbsent } from "./files.ts";
import { type Fact, known, unknown } from "./finding.ts";
import {
  readConntrackLosses,
  readKernelParts,
  readLock,
  readProxies,
  readRecent,
  readSysctls,
} from "./host-facts.ts";
import {
  hasPart,
  ipvsParts,
  type KernelPart,
  type KernelParts,
  mayRun,
  nftablesParts,
} from "./kernel-parts.ts";
import { readBridges, readLinks, readRoutes } from "./network-facts.ts";
import { readRules, variantOf } from "./rule-facts.ts";

/** Everything but what the configuration, the daemon and the objects tell. */
export type HostFacts = Omit<Facts, "wanted" | "daemon" | "objects" | "drift">;

/** What is looked at, and how. */
export interface HostOptions {
  readonly files: HostFiles;
  readonly release: string;
  readonly clock: Clock;
  readonly variant: Variant | "auto";
  /** The lock file of iptables. */
  readonly lockFile: string;
}

/** How often, and how far apart, a lock that is held is looked at: longer than any program should hold it. */
const lockLooks = 5;
const lockPauseMs = 200;

const never = new AbortController().signal;
const ipSet: KernelPart = { module: "ip_set", option: "CONFIG_IP_SET" };

/** Looks at the host. */
export async function readHost({
  files,
  release,
  clock,
  variant,
  lockFile,
}: HostOptions): Promise<HostFacts> {
  const parts = readKernelParts(files, release);
  const nfTables = nftablesParts.slice(0, 1);
  const nftTables = await readNftTables(parts, nfTables);
  const [rules, lock, links, sets] = await Promise.all([
    readRules(files, nftTables),
    watchLock(files, clock, lockFile),
    readNetwork(files),
    readSets(parts),
  ]);
  const nftWorks = nfTables.every((one) => hasPart(parts, one) !== false);
  return {
    kernelRelease: release,
    parts,
    sysctls: readSysctls(files),
    conntrackLosses: readConntrackLosses(files),
    rules,
    variant: variantOf(variant, rules, nftWorks),
    lock,
    links,
    bridges: readBridges(files),
    routes: readRoutes(files),
    recent: readRecent(files),
    ipvs: readIpvs(files, parts),
    sets,
    nftTables,
    proxies: readProxies(files),
  };
}

async function readNftTables(
  parts: KernelParts,
  nfTables: readonly KernelPart[],
): Promise<Fact<readonly string[]>> {
  if (!nfTables.every((one) => mayRun(parts, one))) {
    return known([]);
  }
  return await attempt(async () => {
    using connection = openNetlink("netfilter");
    return (await listNftTables(connection)).map(({ family, name }) => `${family} ${name}`);
  });
}

async function readNetwork(files: HostFiles): Promise<Fact<readonly LinkFact[]>> {
  return await attempt(async () => {
    using connection = openNetlink("route");
    return await readLinks(files, connection);
  });
}

async function readSets(parts: KernelParts): Promise<Fact<readonly string[]>> {
  if (!mayRun(parts, ipSet)) {
    return known([]);
  }
  return await attempt(async () => {
    using connection = openNetlink("netfilter");
    return (await listSets(connection, { entries: false })).map(({ name }) => name);
  });
}

/** Virtual servers stand in a file that everybody with the right may read; only the timeouts need a request. */
function readIpvs(files: HostFiles, parts: KernelParts): Fact<IpvsFacts | undefined> {
  const table = files.read("/proc/net/ip_vs");
  const [ipVs] = ipvsParts;
  if (!table.known) {
    const runs = ipVs !== undefined && parts.loaded.has(ipVs.module);
    return isAbsent(table) && !runs ? known(undefined) : table;
  }
  const servers = table.value.match(/^(TCP|UDP|SCTP|FWM)\b/gm)?.length ?? 0;
  try {
    using client = openIpvs();
    return known({ servers, tcpTimeout: client.getTimeouts().tcp });
  } catch {
    return known({ servers, tcpTimeout: undefined });
  }
}

/** Holders at every look. A program that works holds the lock for a moment, one that hangs keeps it. */
async function watchLock(files: HostFiles, clock: Clock, path: string): Promise<Fact<readonly LockHolder[]>> {
  let holders = readLock(files, path);
  for (let look = 1; look < lockLooks && holders.known && holders.value.length > 0; look++) {
    await sleep(clock, lockPauseMs, never);
    const before = holders.value;
    const now = readLock(files, path);
    holders = now.known ? known(now.value.filter(({ pid }) => before.some((one) => one.pid === pid))) : now;
  }
  return holders;
}

async function attempt<T>(work: () => Promise<T>): Promise<Fact<T>> {
  try {
    return known(await work());
  } catch (error) {
    return unknown(error instanceof Error ? error.message : String(error));
  }
}
