/**
 * The order in which ipvsadm(8) lists servers; the kernel's own is that of a hash table.
 *
 * By firewall mark, family, protocol, address and port; real servers by address and port. Marks and the words of
 * addresses are compared by the sign of their difference in 32 bits, as libipvs does: 192.0.2.1 comes before 10.0.0.1,
 * though 100.0.0.1 stands between the two. Where such circles are in a list the order depends on how it is sorted: the
 * two functions at the end sort as the C library does that ipvsadm uses, so that they give the same list for the same
 * list of the kernel.
 *
 * Pure.
 *
 * @module
 */
import { familyNumbers, ipBytes, ipv4Word } from "../../netlink/ip-address.ts";
import { viewOf } from "../../netlink/message.ts";
import type { RealServerKey } from "./real-server.ts";
import { familyOfVirtualServer, protocolNumbers, type VirtualServerKey } from "./virtual-server.ts";
import { addressLength, paddedAddress } from "./virtual-server-codec.ts";

/** For `toSorted`: negative if `one` is listed before `other`. */
export function compareVirtualServers(one: VirtualServerKey, other: VirtualServerKey): number {
  const [a, b] = [placeOf(one), placeOf(other)];
  return (
    (a.firewallMark - b.firewallMark) | 0 ||
    a.family - b.family ||
    a.protocol - b.protocol ||
    compareAddresses(a.address, b.address) ||
    a.port - b.port
  );
}

/** For `toSorted`, among the real servers of one virtual server. */
export function compareRealServers(one: RealServerKey, other: RealServerKey): number {
  return compareAddresses(one.address, other.address) || one.port - other.port;
}

/** A key with nothing absent. */
function placeOf(key: VirtualServerKey): {
  readonly firewallMark: number;
  readonly family: number;
  readonly protocol: number;
  readonly address: string;
  readonly port: number;
} {
  const family = familyNumbers[familyOfVirtualServer(key)];
  if ("firewallMark" in key) return { ...key, family, protocol: 0, address: "0.0.0.0", port: 0 };
  return { ...key, firewallMark: 0, family, protocol: protocolNumbers[key.protocol] };
}

/** Word by word, whatever the families: IPv4 is one word with zeros behind it. */
function compareAddresses(one: string, other: string): number {
  const [a, b] = [viewOf(paddedAddress(one)), viewOf(paddedAddress(other))];
  for (let offset = 0; offset < addressLength; offset += 4) {
    const difference = (a.getUint32(offset) - b.getUint32(offset)) | 0;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The list in ipvsadm's order, for one in the kernel's. */
export function sortVirtualServers<Server>(
  servers: readonly Server[],
  keyOf: (server: Server) => VirtualServerKey,
): readonly Server[] {
  const numbered = sortByNumber(servers, (server) => placeNumber(keyOf(server)));
  if (numbered !== undefined) return numbered;
  return sortByWords(servers, (server) => {
    const key = placeOf(keyOf(server));
    return [key.firewallMark, key.family, key.protocol, ...addressWords(key.address), key.port];
  });
}

/**
 * A number that says the same as the words of a place, for IPv4 below 128.0.0.0: among these addresses there are no circles,
 * and any way to sort gives the same list.
 */
function placeNumber(key: VirtualServerKey): number | undefined {
  if ("firewallMark" in key) return undefined;
  const word = ipv4Word(key.address);
  if (word === undefined || word > 0x7fff_ffff) return undefined;
  // 31 bits of address below up to 8 of the protocol would be too many with the port; three protocols need 2.
  return (protocolRanks[key.protocol] * 2 ** 31 + word) * 2 ** 16 + key.port;
}

const protocolRanks: Readonly<Record<keyof typeof protocolNumbers, number>> = { TCP: 0, UDP: 1, SCTP: 2 };

/** Undefined if an item has no number. */
function sortByNumber<Item>(
  items: readonly Item[],
  numberOf: (item: Item) => number | undefined,
): readonly Item[] | undefined {
  const numbered: { readonly item: Item; readonly number: number }[] = [];
  for (const item of items) {
    const number = numberOf(item);
    if (number === undefined) return undefined;
    numbered.push({ item, number });
  }
  return numbered.sort((one, other) => one.number - other.number).map(({ item }) => item);
}

/** The same for the real servers of one virtual server. */
export function sortRealServers<Server extends RealServerKey>(servers: readonly Server[]): readonly Server[] {
  return isSortedIpv4(servers)
    ? servers
    : sortByWords(servers, ({ address, port }) => [...addressWords(address), port]);
}

/** Most lists are in order as they come: to see that costs less than to sort them. */
function isSortedIpv4(servers: readonly RealServerKey[]): boolean {
  let last: number | undefined;
  let lastPort = 0;
  for (const { address, port } of servers) {
    const word = ipv4Word(address);
    // Numbers on both sides of 2^31 may form a circle.
    if (word === undefined || word > 0x7fff_ffff) return false;
    if (last !== undefined && (word < last || (word === last && port < lastPort))) return false;
    last = word;
    lastPort = port;
  }
  return true;
}

function addressWords(address: string): readonly number[] {
  const word = ipv4Word(address);
  if (word !== undefined) return [word, 0, 0, 0];
  const view = viewOf(ipBytes(address));
  return [view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12)];
}

interface Keyed<Item> {
  readonly item: Item;
  readonly words: readonly number[];
}

/** Words are looked up once for each item, because a list is compared many times over. */
function sortByWords<Item>(
  items: readonly Item[],
  wordsOf: (item: Item) => readonly number[],
): readonly Item[] {
  if (items.length < 2) return items;
  const keyed = items.map((item): Keyed<Item> => ({ item, words: wordsOf(item) }));
  mergeSort(keyed, 0, keyed.length, keyed.slice());
  return keyed.map(({ item }) => item);
}

/** Halves, the first one smaller if they cannot be equal, merged with the first one's item before an equal one. */
function mergeSort<Item>(list: Keyed<Item>[], from: number, to: number, spare: Keyed<Item>[]): void {
  if (to - from < 2) return;
  const middle = from + ((to - from) >> 1);
  mergeSort(list, from, middle, spare);
  mergeSort(list, middle, to, spare);
  let [left, right, place] = [from, middle, from];
  while (left < middle && right < to) {
    const [one, other] = [list[left], list[right]];
    if (one === undefined || other === undefined) return;
    if (compareWords(one.words, other.words) <= 0) {
      spare[place++] = one;
      left++;
    } else {
      spare[place++] = other;
      right++;
    }
  }
  // What is left of the second half is in its place already.
  for (; left < middle; left++) spare[place++] = list[left] as Keyed<Item>;
  for (let index = from; index < place; index++) list[index] = spare[index] as Keyed<Item>;
}

function compareWords(one: readonly number[], other: readonly number[]): number {
  for (let index = 0; index < one.length; index++) {
    const difference = ((one[index] ?? 0) - (other[index] ?? 0)) | 0;
    if (difference !== 0) return difference;
  }
  return 0;
}
