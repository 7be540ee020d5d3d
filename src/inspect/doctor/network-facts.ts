/**
 * Facts of links, bridges and routes: over netlink, and from /proc and /sys where netlink has no decoder here.
 *
 * Pure but for the files and the connection that it is given.
 *
 * @module
 */
import { type InterfaceAddress, listAddresses } from "../../netlink/address.ts";
import type { NetlinkConnection } from "../../netlink/connection.ts";
import { type Link, listLinks } from "../../netlink/link.ts";
import { type Address, type Cidr, parseAddress, parseCidr } from "../../proxier/address.ts";
import type { BridgeFacts, BridgePort, LinkFact, RouteFact } from "./facts.ts";
import { type HostFiles, isAbsent, readNumber } from "./files.ts";
import { type Fact, known } from "./finding.ts";

/** All links with their addresses. */
export async function readLinks(files: HostFiles, route: NetlinkConnection): Promise<readonly LinkFact[]> {
  const links = await listLinks(route);
  const addresses = await listAddresses(route);
  const all = readNumber(files, "/proc/sys/net/ipv4/conf/all/rp_filter");
  const names = new Map(links.map(({ index, name }) => [index, name]));
  return links.map((link) => linkFact(link, addresses, reversePath(files, all, link.name), names));
}

function linkFact(
  link: Link,
  addresses: readonly InterfaceAddress[],
  rpFilter: Fact<number>,
  names: ReadonlyMap<number, string>,
): LinkFact {
  const own = addresses.filter(({ interfaceIndex }) => interfaceIndex === link.index);
  const { underlay } = link;
  return {
    name: link.name,
    kind: link.kind ?? "",
    up: link.up,
    mtu: link.mtu,
    addresses: own.flatMap(({ address, prefixLength }): readonly Cidr[] => {
      const network = parseCidr(`${address}/${prefixLength}`);
      return network === undefined ? [] : [network];
    }),
    own: own.flatMap(({ address }): Address | readonly Address[] => parseAddress(address) ?? []),
    rpFilter,
    underlay: underlay === undefined ? undefined : names.get(underlay),
  };
}

/** The kernel takes the stricter of the two, where loose counts as the larger number. */
function reversePath(files: HostFiles, all: Fact<number>, name: string): Fact<number> {
  const own = readNumber(files, `/proc/sys/net/ipv4/conf/${name}/rp_filter`);
  return all.known && own.known ? known(Math.max(all.value, own.value)) : all.known ? own : all;
}

/** Ports of all bridges. */
export function readBridges(files: HostFiles): Fact<BridgeFacts> {
  const folder = "/sys/class/net";
  const names = files.list(folder);
  if (!names.known) {
    return names;
  }
  const ports: BridgePort[] = [];
  const promiscuous: string[] = [];
  for (const bridge of names.value) {
    const members = files.list(`${folder}/${bridge}/brif`);
    if (!members.known) {
      if (isAbsent(members) || members.reason.includes("ENOTDIR")) continue;
      return members;
    }
    const flags = files.read(`${folder}/${bridge}/flags`);
    if (flags.known && (Number(flags.value) & 0x100) !== 0) {
      promiscuous.push(bridge);
    }
    for (const port of members.value) {
      const hairpin = readNumber(files, `${folder}/${port}/brport/hairpin_mode`);
      if (hairpin.known) {
        ports.push({ bridge, port, hairpin: hairpin.value !== 0 });
      }
    }
  }
  return known({ ports, promiscuous });
}

/** Routes of the main table, from /proc/net/route: hexadecimal numbers in the byte order of the machine. */
export function readRoutes(files: HostFiles): Fact<readonly RouteFact[]> {
  const text = files.read("/proc/net/route");
  if (!text.known) {
    return text;
  }
  const rows = text.value.trim().split("\n").slice(1);
  return known(
    rows.flatMap((row): readonly RouteFact[] => {
      const [link = "", destination = "", gateway = "", , , , , mask = ""] = row.trim().split(/\s+/);
      const network = parseCidr(`${addressOf(destination)}/${bitsOf(mask)}`);
      const via = gateway === "00000000" ? undefined : parseAddress(addressOf(gateway));
      return network === undefined ? [] : [{ destination: network, gateway: via, link }];
    }),
  );
}

function addressOf(hex: string): string {
  return bytesOf(hex).join(".");
}

function bitsOf(hex: string): number {
  return bytesOf(hex).reduce((bits, byte) => bits + (byte.toString(2).match(/1/g)?.length ?? 0), 0);
}

function bytesOf(hex: string): readonly number[] {
  const bytes = new Uint8Array(Uint32Array.of(Number.parseInt(hex, 16)).buffer);
  return [...bytes];
}
