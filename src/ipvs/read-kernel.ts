/**
 * Reads what the kernel holds of ipvs mode, and makes what has to be there before anything else: the sets and the device.
 *
 * Nothing here is guessed: what belongs to somebody else is told by what our own sets and our own device say.
 *
 * @module
 */
import { listAddresses } from "../netlink/address.ts";
import { type NetlinkConnection, transactOne } from "../netlink/connection.ts";
import { createSetRequest, destroySetRequest, swapSetsRequest } from "../netlink/ipset.ts";
import { addEntries } from "../netlink/ipset-bulk.ts";
import { entryText } from "../netlink/ipset-entry.ts";
import { listSets, type ObservedSet, readSet } from "../netlink/ipset-list.ts";
import { KernelError } from "../netlink/kernel-error.ts";
import { createLinkRequest, findLink, type Link } from "../netlink/link.ts";
import {
  type Address,
  type Cidr,
  cidrContains,
  type Family,
  familyOf,
  parseAddress,
} from "../proxier/address.ts";
import { foreignSetup, type KnownServer, type KnownState } from "./known-state.ts";
import { isOwnMark } from "./marks.ts";
import type { IpvsClient } from "./netlink/client.ts";
import { type ObservedRealServer, realServerName } from "./netlink/real-server.ts";
import {
  familyOfVirtualServer,
  type ObservedVirtualServer,
  type Protocol,
  protocolNumbers,
  type VirtualServerKey,
  virtualServerName,
} from "./netlink/virtual-server.ts";
import { type SetRole, setDefinition, setName, setRoles, setType } from "./sets.ts";
import { turnOfEventLoop } from "./turns.ts";

/** The device that carries the Services' addresses. It is never up. */
export const deviceName = "kube-ipvs0";

/** The sets of a family, made where they are missing and remade where they are too small or of another make. */
export async function ensureSets(sets: NetlinkConnection, family: Family): Promise<void> {
  const there = new Map((await listSets(sets, { entries: false })).map((set) => [set.name, set]));
  for (const role of setRoles) {
    const definition = setDefinition(role, family);
    const found = there.get(definition.name);
    if (found === undefined) {
      transactOne(sets, createSetRequest(definition));
    } else if (!isAsDefined(found, role, family)) {
      await replaceSet(sets, role, family);
    }
  }
}

/** Whether {@link ensureSets} has nothing to do. */
export async function areSetsAsDefined(sets: NetlinkConnection, family: Family): Promise<boolean> {
  const there = new Map((await listSets(sets, { entries: false })).map((set) => [set.name, set]));
  return setRoles.every((role) => {
    const found = there.get(setName(role, family));
    return found !== undefined && isAsDefined(found, role, family);
  });
}

/** Reads the entries of a family's sets, as far as they are there, into what is known. */
export async function readSets(sets: NetlinkConnection, family: Family, known: KnownState): Promise<void> {
  const there = new Map((await listSets(sets, { entries: false })).map(({ name, type }) => [name, type]));
  for (const role of setRoles) {
    const name = setName(role, family);
    const set = there.get(name) === setType(role) ? await readSet(sets, name) : undefined;
    const entries = known.entries(role);
    for (const entry of set?.entries ?? []) {
      entries.set(entryText(entry), entry);
    }
  }
}

function isAsDefined(found: ObservedSet, role: SetRole, family: Family): boolean {
  const wanted = setDefinition(role, family);
  return (
    found.type === wanted.type &&
    found.family === wanted.family &&
    found.marks === (wanted.marks ?? false) &&
    (found.maximumElements ?? 0) >= (wanted.maximumElements ?? 0)
  );
}

/** Rules go on looking at the name: the new set takes the old one's place, with its entries, in one step. */
async function replaceSet(sets: NetlinkConnection, role: SetRole, family: Family): Promise<void> {
  const definition = setDefinition(role, family);
  const temporary = family === "IPv4" ? "KUBE-SLUICE-SWAP" : "KUBE-6-SLUICE-SWAP";
  sets.transact([destroySetRequest(temporary)]);
  transactOne(sets, createSetRequest({ ...definition, name: temporary }));
  const old = await readSet(sets, definition.name);
  if (old?.type === definition.type) {
    await addEntries(sets, temporary, old.entries ?? []);
  }
  transactOne(sets, swapSetsRequest(temporary, definition.name));
  transactOne(sets, destroySetRequest(temporary));
}

/** The device, made if it is missing. */
export function ensureDevice(route: NetlinkConnection): Link {
  const found = findLink(route, deviceName);
  if (found !== undefined) {
    return found;
  }
  const [outcome] = route.transact([createLinkRequest(deviceName, "dummy")]);
  // The other family may have made it meanwhile.
  if (outcome?.error !== undefined && outcome.error.code !== "exists") {
    throw outcome.error;
  }
  const made = findLink(route, deviceName);
  if (made === undefined) {
    throw new KernelError("not-found", `find interface ${deviceName}`);
  }
  return made;
}

/** Where a family's addresses are. */
export interface PlacedAddresses {
  /** On kube-ipvs0. */
  readonly bound: readonly Address[];
  /** On all other interfaces. */
  readonly elsewhere: readonly Address[];
}

/** Reads the addresses of all interfaces. */
export async function readAddresses(
  route: NetlinkConnection,
  family: Family,
  device: number,
): Promise<PlacedAddresses> {
  const bound: Address[] = [];
  const elsewhere: Address[] = [];
  for (const { address: text, interfaceIndex } of await listAddresses(route, { family })) {
    const address = parseAddress(text);
    // Link-local addresses come by themselves when somebody brings the device up.
    if (address === undefined || familyOf(address) !== family || address.startsWith("fe80:")) {
      continue;
    }
    (interfaceIndex === device ? bound : elsewhere).push(address);
  }
  return { bound, elsewhere };
}

/** Tells our virtual servers from those of others. */
export class Ownership {
  readonly #known: KnownState;
  readonly #excluded: readonly Cidr[];
  readonly #local: ReadonlySet<Address>;

  /**
   * @param known with sets and bound addresses
   * @param local addresses of the node that take node ports
   * @param excluded networks whose virtual servers are never deleted
   */
  constructor(known: KnownState, local: Iterable<Address>, excluded: readonly Cidr[]) {
    this.#known = known;
    this.#local = new Set(local);
    this.#excluded = excluded;
  }

  /** Whether a virtual server was made for a Service, as our sets and our device have it. */
  isOurs(key: VirtualServerKey): boolean {
    if ("firewallMark" in key) {
      return isOwnMark(key.firewallMark);
    }
    const address = parseAddress(key.address);
    if (address === undefined || this.#excluded.some((cidr) => cidrContains(cidr, address))) {
      return false;
    }
    return this.#known.addresses.has(address) || this.#isInSets(key) || this.#isNodePort(key, address);
  }

  #isInSets({ address, port, protocol }: Extract<VirtualServerKey, { address: string }>): boolean {
    const entry = { type: "hash:ip,port", address, port, protocol: protocolNumbers[protocol] } as const;
    const text = entryText(entry);
    const roles = ["clusterIP", "externalIP", "externalIPLocal", "loadBalancer", "nodePortSCTP", "draining"];
    return (roles as readonly SetRole[]).some((role) => this.#known.entries(role).has(text));
  }

  #isNodePort(
    { port, protocol }: { readonly port: number; readonly protocol: Protocol },
    address: Address,
  ): boolean {
    const local = this.#local.has(address) || this.#known.entries("nodeAddress").has(address);
    const role = protocol === "UDP" ? "nodePortUDP" : "nodePortTCP";
    return local && protocol !== "SCTP" && this.#known.entries(role).has(String(port));
  }
}

/** The virtual servers of a family. */
export async function listServers(
  ipvs: IpvsClient,
  family: Family,
): Promise<readonly ObservedVirtualServer[]> {
  const all = await ipvs.listVirtualServers();
  return all.filter((server) => familyOfVirtualServer(server) === family);
}

/** A virtual server with its real servers as what is known. */
export async function readServer(
  ipvs: IpvsClient,
  server: ObservedVirtualServer,
  known: KnownState,
): Promise<KnownServer> {
  const real = await ipvs.listRealServers(server);
  return {
    server,
    protocol: protocolOf(server, known),
    real: new Map(real.map((one) => [realServerName(one), weightOf(one)])),
    addresses: addressesOf(server, known),
  };
}

/** Virtual servers that are read between two turns of the event loop: half a millisecond of work. */
const serversPerTurn = 8;

/**
 * Reads virtual servers of a family, with their real servers, into what is known.
 *
 * @param isMeant which ones
 */
export async function readServers(
  ipvs: IpvsClient,
  known: KnownState,
  family: Family,
  isMeant: (server: VirtualServerKey) => boolean,
): Promise<void> {
  let turn = 0;
  for (const server of await listServers(ipvs, family)) {
    if (isMeant(server)) {
      known.servers.set(virtualServerName(server), await readServer(ipvs, server, known));
    }
    turn += 1;
    // A short dump never lets the event loop run by itself.
    if (turn % serversPerTurn === 0) {
      await turnOfEventLoop();
    }
  }
}

/** Connections of each real server of a virtual server, open and half open, by `ip:port`. */
export async function readConnections(
  ipvs: IpvsClient,
  server: VirtualServerKey,
): Promise<ReadonlyMap<string, number>> {
  const real = await ipvs.listRealServers(server);
  return new Map(real.map((one) => [realServerName(one), one.activeConnections + one.inactiveConnections]));
}

function weightOf(real: ObservedRealServer): number {
  const asWanted =
    real.forwarding === "masquerade" &&
    real.upperThreshold === undefined &&
    real.lowerThreshold === undefined;
  return asWanted ? real.weight : foreignSetup;
}

/** Of a firewall mark the set of marks tells which destinations it is for. */
function protocolOf(key: VirtualServerKey, known: KnownState): Protocol | undefined {
  if (!("firewallMark" in key)) {
    return key.protocol;
  }
  for (const entry of known.entries("mark").values()) {
    if (entry.type === "hash:ip,port" && entry.mark === key.firewallMark) {
      return protocolOfNumber(entry.protocol);
    }
  }
  return undefined;
}

function protocolOfNumber(number: number): Protocol | undefined {
  return (["TCP", "UDP", "SCTP"] as const).find((protocol) => protocolNumbers[protocol] === number);
}

function addressesOf(key: VirtualServerKey, known: KnownState): readonly Address[] {
  const texts =
    "firewallMark" in key
      ? [...known.entries("mark").values()].flatMap((entry) =>
          entry.type === "hash:ip,port" && entry.mark === key.firewallMark ? [entry.address] : [],
        )
      : [key.address];
  return texts.flatMap((text) => parseAddress(text) ?? []).filter((address) => known.addresses.has(address));
}
