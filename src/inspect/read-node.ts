/**
 * Reads what this node's kernel holds that decides about a connection. Writes nothing, and loads no module of the kernel.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { parseSave, type Ruleset } from "../iptables/builder/mod.ts";
import { dumpTables, ToolError, type Variant } from "../iptables/tools.ts";
import type { IpvsClient } from "../ipvs/netlink/client.ts";
import { openIpvs } from "../ipvs/netlink/open.ts";
import type { ObservedTableEntry } from "../ipvs/netlink/table-entry.ts";
import { deviceName } from "../ipvs/read-kernel.ts";
import { listAddresses } from "../netlink/address.ts";
import type { NetlinkConnection } from "../netlink/connection.ts";
import { listSets, type ObservedSet } from "../netlink/ipset-list.ts";
import { isKernelError } from "../netlink/kernel-error.ts";
import { listLinks } from "../netlink/link.ts";
import { findOutputInterface } from "../netlink/route.ts";
import { openNetlink } from "../netlink/socket.ts";
import { type Address, type Family, parseAddress } from "../proxier/address.ts";
import { isAffinitySet, type NodeMemory, type NodeState, tracedSet } from "./node-state.ts";
import { parseTemplates } from "./persistence-templates.ts";
import { parseRecentList, tickClock } from "./recent-list.ts";

/** The ways to a kernel. */
export interface NodeDoors {
  /** All tables of a family, as iptables-save prints them. Rejects when the variant is not there. */
  readonly saveRules: (variant: Variant, family: Family) => Promise<readonly string[]>;
  readonly openNetlink: (protocol: "route" | "netfilter") => NetlinkConnection;
  /** Undefined where IPVS is not loaded. */
  readonly openIpvs: () => IpvsClient | undefined;
  /** A file of /proc; `""` where there is none. */
  readonly readText: (path: string) => string;
}

/** Those to the kernel of the network namespace that this process runs in. */
export const hostDoors: NodeDoors = {
  saveRules: async (variant, family) => {
    const pieces: string[] = [];
    await dumpTables(variant, family, (text) => pieces.push(text));
    return pieces;
  },
  openNetlink,
  // Asking for IPVS loads its module: the file is there when somebody has done so.
  openIpvs: () => (existsSync("/proc/net/ip_vs") ? openIpvs() : undefined),
  readText,
};

/** What was read. */
export interface ReadNode {
  readonly state: NodeState;
  /** On all interfaces but kube-ipvs0. */
  readonly ownAddresses: readonly Address[];
  /** The interface by which packets of an address come in, if routes tell. */
  readonly interfaceTo: (address: Address) => string | undefined;
  /** What is odd about it, in sentences. */
  readonly notes: readonly string[];
}

/**
 * Reads one family.
 *
 * @throws ToolError when no variant of iptables can be read, and KernelError
 */
export async function readNode(
  family: Family,
  variant: Variant | "auto",
  doors: NodeDoors = hostDoors,
): Promise<ReadNode> {
  const { ruleset, notes } = await readRules(family, variant, doors);
  using route = doors.openNetlink("route");
  const links = new Map((await listLinks(route)).map(({ index, name }) => [index, name]));
  const addresses = await listAddresses(route, { family });
  const sets = await readSets(family, doors);
  const state: NodeState = {
    family,
    ruleset,
    sets: new Map(sets.filter(({ name }) => !isAffinitySet(name)).map((set) => [set.name, tracedSet(set)])),
    servers: await readServers(doors),
    localAddresses: new Set(addresses.map(({ address }) => address)),
    memory: readMemory(sets, doors),
  };
  const own = addresses.filter(({ interfaceIndex }) => links.get(interfaceIndex) !== deviceName);
  return {
    state,
    ownAddresses: own.flatMap(({ address }) => parseAddress(address) ?? []),
    interfaceTo: (address) => interfaceTo(links, address, doors),
    notes,
  };
}

/** Rules of the variant that leads packets to a proxy's chains; nothing is tried, so nothing is made. */
async function readRules(
  family: Family,
  wanted: Variant | "auto",
  doors: NodeDoors,
): Promise<{ readonly ruleset: Ruleset; readonly notes: readonly string[] }> {
  const variants = wanted === "auto" ? (["nft", "legacy"] as const) : [wanted];
  const read: { readonly variant: Variant; readonly ruleset: Ruleset }[] = [];
  let failure: unknown;
  for (const variant of variants) {
    try {
      read.push({ variant, ruleset: await dump(variant, family, doors) });
    } catch (error) {
      failure ??= error;
    }
  }
  const [first] = read;
  if (first === undefined) {
    throw failure instanceof Error ? failure : new ToolError(`Cannot read the ${family} rules`);
  }
  const serving = read.filter(({ ruleset }) => hasServices(ruleset));
  const chosen = serving[0] ?? first;
  const notes =
    serving.length > 1
      ? [
          `Both variants of iptables hold a proxy's rules, which packets meet one after the other: this is ${chosen.variant}.`,
        ]
      : [];
  return { ruleset: chosen.ruleset, notes };
}

async function dump(variant: Variant, family: Family, { saveRules }: NodeDoors): Promise<Ruleset> {
  const pieces = await saveRules(variant, family);
  try {
    return parseSave(pieces, family);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ToolError(`Cannot read the ${family} rules: ${reason}`, { cause: error });
  }
}

function hasServices({ tables }: Ruleset): boolean {
  const nat = tables.find(({ name }) => name === "nat");
  return nat?.chains.some(({ name, rules }) => name === "KUBE-SERVICES" && rules.length > 0) ?? false;
}

/** A kernel that does not know sets has none: it takes the request for nonsense. */
async function readSets(family: Family, doors: NodeDoors): Promise<readonly ObservedSet[]> {
  try {
    using connection = doors.openNetlink("netfilter");
    const sets = await listSets(connection, { entries: true });
    return sets.filter((set) => set.family === undefined || set.family === family);
  } catch (error) {
    if (isKernelError(error, "unsupported") || isKernelError(error, "rejected")) {
      return [];
    }
    throw error;
  }
}

async function readServers(doors: NodeDoors): Promise<readonly ObservedTableEntry[]> {
  using client = doors.openIpvs();
  const entries: ObservedTableEntry[] = [];
  for (const server of (await client?.listVirtualServers()) ?? []) {
    entries.push({ server, realServers: (await client?.listRealServers(server)) ?? [] });
  }
  return entries;
}

function readMemory(sets: readonly ObservedSet[], doors: NodeDoors): NodeMemory {
  const clock = tickClock(doors.readText("/proc/timer_list"));
  return {
    recent: {
      get: (list) => {
        const text = doors.readText(`/proc/net/xt_recent/${list}`);
        return text === "" ? undefined : parseRecentList(text, clock);
      },
    },
    sets: new Map(sets.filter(({ name }) => isAffinitySet(name)).map((set) => [set.name, clientsOf(set)])),
    templates: parseTemplates(doors.readText("/proc/net/ip_vs_conn")),
  };
}

function clientsOf({ entries = [] }: ObservedSet): ReadonlyMap<string, number> {
  return new Map(
    entries.flatMap((entry) =>
      entry.type === "hash:ip" ? [[entry.address, entry.timeoutSeconds ?? 0] as const] : [],
    ),
  );
}

function interfaceTo(
  links: ReadonlyMap<number, string>,
  address: Address,
  doors: NodeDoors,
): string | undefined {
  using route = doors.openNetlink("route");
  const index = findOutputInterface(route, address);
  return index === undefined ? undefined : links.get(index);
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
