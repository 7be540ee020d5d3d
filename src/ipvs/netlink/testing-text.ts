/**
 * The table of the fake IPVS as text, as the kernel writes it into /proc/net/ip_vs.
 *
 * @module
 */
import { familyNumbers } from "../../netlink/ip-address.ts";
import { viewOf } from "../../netlink/message.ts";
import { destinationAttribute as destination } from "./real-server-codec.ts";
import { numberIn, textIn } from "./testing-attributes.ts";
import type { FakeDestination, FakeService } from "./testing-entries.ts";
import { serviceAttribute as service, serviceFlag } from "./virtual-server-codec.ts";

/** The lines above the first entry. */
export const tableTitle: string = [
  "IP Virtual Server version 1.2.1 (size=4096)",
  "Prot LocalAddress:Port Scheduler Flags",
  "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn",
  "",
].join("\n");

const protocols = new Map([
  [6, "TCP"],
  [17, "UDP"],
  [132, "SCTP"],
]);

const methods = ["Masq", "Local", "Tunnel", "Route", "Bypass"];

const noBytes = new Uint8Array(16);

/** The kernel's ticks, of a hundredth of a second here. */
const ticksPerSecond = 100;

/** A virtual server with its real servers. */
export function textOfService(owner: FakeService): string {
  const { attributes, destinations } = owner;
  const flags = numberIn(attributes, service.flags);
  const ipv6 = numberIn(attributes, service.family) === familyNumbers.IPv6;
  const scheduler = textIn(attributes, service.scheduler);
  const onePacket = (flags & serviceFlag.onePacket) === 0 ? "" : "ops ";
  // In network order, though of IPv6 it is a prefix length in the host's.
  const mask = viewOf(attributes.get(service.netmask) ?? new Uint8Array(4)).getUint32(0);
  const ticks = numberIn(attributes, service.timeout) * ticksPerSecond;
  const end = (flags & serviceFlag.persistent) === 0 ? "" : `persistent ${ticks} ${hexadecimal(mask, 8)}`;
  const line = attributes.has(service.firewallMark)
    ? `FWM  ${hexadecimal(numberIn(attributes, service.firewallMark), 8)} ${scheduler} ${onePacket}`
    : `${protocols.get(numberIn(attributes, service.protocol))}  ` +
      `${place(attributes.get(service.address), attributes.get(service.port), ipv6)} ` +
      `${scheduler} ${ipv6 ? "" : `${onePacket} `}`;
  // Newest first, as the kernel lists them.
  const reals = [...destinations.values()].toReversed().map((one) => textOfDestination(owner, one));
  return `${[`${line}${end}`, ...reals].join("\n")}\n`;
}

function textOfDestination(owner: FakeService, { attributes, active, inactive }: FakeDestination): string {
  const family = numberIn(attributes, destination.family) || numberIn(owner.attributes, service.family);
  const ipv6 = family === familyNumbers.IPv6;
  const method = (methods[numberIn(attributes, destination.forwarding)] ?? "").padEnd(7);
  const weight = String(numberIn(attributes, destination.weight)).padEnd(6);
  const at = place(attributes.get(destination.address), attributes.get(destination.port), ipv6);
  const connections = `${String(active).padEnd(10)} ${String(inactive).padEnd(10)}`;
  return `  -> ${at}      ${method} ${weight} ${connections}`;
}

function place(address: Uint8Array | undefined, port: Uint8Array | undefined, ipv6: boolean): string {
  const digits = Buffer.from((address ?? noBytes).subarray(0, ipv6 ? 16 : 4)).toString("hex");
  const text = ipv6 ? `[${digits.replace(/(.{4})(?!$)/g, "$1:")}]` : digits.toUpperCase();
  return `${text}:${hexadecimal(viewOf(port ?? noBytes).getUint16(0), 4)}`;
}

function hexadecimal(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}
