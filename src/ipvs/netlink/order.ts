/**
 * The order in which ipvsadm(8) lists servers; the kernel's own is that of a hash table.
 *
 * By firewall mark, family, protocol, address and port; real servers by address and port. Marks and the words of
 * addresses are compared by the sign of their difference in 32 bits, as libipvs does: 192.0.2.1 comes before 10.0.0.1,
 * though 100.0.0.1 stands between the two. Where such circles are in a list its order is arbitrary, ipvsadm's as well.
 *
 * Pure.
 *
 * @module
 */
import { familyNumbers } from "../../netlink/ip-address.ts";
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
