/**
 * Cleanup: takes away everything that ipvs mode of this program or of kube-proxy left on the node, and nothing else.
 *
 * Left alone: virtual servers, sets, addresses, rules and chains of others; sysctls. The order is that of the kernel's
 * references: rules look at sets, addresses lead to virtual servers.
 *
 * @module
 */
import { renderRule, tableBlock } from "../iptables/builder/render.ts";
import { type CleanReport, deleteChains } from "../iptables/cleanup.ts";
import { type KeptRules, keptJumps, keptRules, nothingKept } from "../iptables/kept-rules.ts";
import { isLocalhostChain } from "../iptables/rule-part.ts";
import { unwantedJumps } from "../iptables/unwanted-jumps.ts";
import type { NetlinkConnection, NetlinkRequest } from "../netlink/connection.ts";
import { destroySetRequest } from "../netlink/ipset.ts";
import { listSets } from "../netlink/ipset-list.ts";
import type { KernelError } from "../netlink/kernel-error.ts";
import { deleteLinkRequest, findLink } from "../netlink/link.ts";
import { type Cidr, type Family, families } from "../proxier/address.ts";
import { fixedJumps, formerJumps, ownChains, ruleTables } from "./fixed-chains.ts";
import { ObservedRules } from "./fixed-rules-text.ts";
import { KnownState } from "./known-state.ts";
import type { IpvsClient } from "./netlink/client.ts";
import { deleteVirtualServerRequest } from "./netlink/requests.ts";
import { virtualServerName } from "./netlink/virtual-server.ts";
import { deviceName, listServers, Ownership, readAddresses, readSets } from "./read-kernel.ts";
import type { RuleKernel } from "./rule-kernel.ts";
import { setName, setRoles, setType } from "./sets.ts";

/** What ipvs mode has on every node. */
export function rulesOfMode(): KeptRules {
  return keptRules(ownChains, fixedJumps);
}

/**
 * Removes the rules of one family and variant of iptables.
 *
 * @param kept what to leave alone
 * @throws Error when the kernel cannot be read or does not take the first of two writes
 */
export async function cleanRules(
  kernel: Pick<RuleKernel, "save" | "write">,
  kept: KeptRules = nothingKept,
): Promise<CleanReport> {
  const names = rulesOfMode().chains;
  const { rules, scanner } = ObservedRules.reader(
    (chain) => names.has(chain) || (chain.startsWith("nat ") && isLocalhostChain(chain.slice(4))),
  );
  await kernel.save((text) => scanner.push(text));
  scanner.end();
  const removed: string[] = [];
  const failures: string[] = [];
  for (const table of ruleTables) {
    const fixed = ownChains[table].filter((name) => rules.chain(table, name) !== undefined);
    const all = [...fixed, ...rules.names(table).filter(isLocalhostChain)];
    const there = all.filter((name) => !kept.chains.has(`${table} ${name}`));
    const named = [...fixedJumps, ...formerJumps].filter((jump) => jump.table === table);
    const deletions = unwantedJumps(rules.builtInLines(table), {
      named: new Set(named.map(({ from, rule }) => renderRule(from, rule))),
      chains: new Set(there),
      kept: keptJumps(kept, table),
    });
    const emptied = there.map((name) => `:${name} - [0:0]`);
    if (deletions.length + there.length === 0) {
      continue;
    }
    await kernel.write([tableBlock(table, [...deletions, ...emptied])]);
    removed.push(...deletions.map((line) => `${table} rule ${line.replace(/^-D /, "")}`));
    const stuck = await deleteChains(kernel, table, there);
    removed.push(...there.filter((name) => !stuck.has(name)).map((name) => `${table} chain ${name}`));
    failures.push(...stuck.values());
  }
  return { removed, failures };
}

/** The ways to the kernel that cleanup needs. */
export interface CleanDoors {
  /** Undefined where the kernel has no IPVS. */
  readonly ipvs: IpvsClient | undefined;
  readonly sets: NetlinkConnection;
  readonly route: NetlinkConnection;
}

/**
 * Removes virtual servers, the device with its addresses, and the sets, of both families. The rules must be gone.
 *
 * @param excluded networks whose virtual servers stay
 * @throws KernelError when the kernel cannot be read
 */
export async function cleanKernel(doors: CleanDoors, excluded: readonly Cidr[]): Promise<CleanReport> {
  const removed: string[] = [];
  const failures: string[] = [];
  const take = (
    connection: Pick<NetlinkConnection, "transact">,
    request: NetlinkRequest,
    what: string,
  ): void => {
    const error: KernelError | undefined = connection.transact([request])[0]?.error;
    if (error === undefined) {
      removed.push(what);
    } else if (error.code !== "not-found") {
      failures.push(error.message);
    }
  };
  if (doors.ipvs !== undefined) {
    for (const family of families) {
      for (const server of await ourServers(doors, doors.ipvs, family, excluded)) {
        const request = deleteVirtualServerRequest(doors.ipvs.family, server);
        take(doors.ipvs, request, `virtual server ${virtualServerName(server)}`);
      }
    }
  }
  const device = findLink(doors.route, deviceName);
  if (device !== undefined) {
    take(doors.route, deleteLinkRequest(device.index), `interface ${deviceName}`);
  }
  for (const name of await ourSets(doors.sets)) {
    take(doors.sets, destroySetRequest(name), `set ${name}`);
  }
  return { removed, failures };
}

/**
 * How many connections our virtual servers still have, and whether anything of ipvs mode is there at all.
 *
 * @param excluded networks whose virtual servers are not ours
 * @throws KernelError when the kernel cannot be read
 */
export async function lookAtKernel(
  doors: CleanDoors,
  excluded: readonly Cidr[],
): Promise<{ readonly isClean: boolean; readonly connections: number }> {
  let connections = 0;
  let servers = 0;
  if (doors.ipvs !== undefined) {
    const ours = new Set<string>();
    for (const family of families) {
      for (const server of await ourServers(doors, doors.ipvs, family, excluded)) {
        ours.add(virtualServerName(server));
      }
    }
    servers = ours.size;
    for (const { server, realServers } of servers === 0
      ? []
      : await doors.ipvs.listAll({ statistics: false })) {
      for (const one of ours.has(virtualServerName(server)) ? realServers : []) {
        connections += one.activeConnections + one.inactiveConnections;
      }
    }
  }
  const isClean =
    servers === 0 &&
    findLink(doors.route, deviceName) === undefined &&
    (await ourSets(doors.sets)).length === 0;
  return { isClean, connections };
}

/** Virtual servers of ours in a family. @throws KernelError */
export async function ourServers(
  doors: CleanDoors,
  ipvs: IpvsClient,
  family: Family,
  excluded: readonly Cidr[],
): ReturnType<typeof listServers> {
  const known = new KnownState();
  await readSets(doors.sets, family, known);
  const device = findLink(doors.route, deviceName)?.index ?? 0;
  const { bound, elsewhere } = await readAddresses(doors.route, family, device);
  for (const address of bound) {
    known.addresses.add(address);
  }
  const ownership = new Ownership(known, elsewhere, excluded);
  return (await listServers(ipvs, family)).filter((server) => ownership.isOurs(server));
}

/** By name and type: a set of our name and another type is not ours. */
async function ourSets(sets: NetlinkConnection): Promise<readonly string[]> {
  const types = new Map<string, string>(
    families.flatMap((family) => setRoles.map((role) => [setName(role, family), setType(role)] as const)),
  );
  const there = await listSets(sets, { entries: false });
  return there.filter(({ name, type }) => types.get(name) === type).map(({ name }) => name);
}
