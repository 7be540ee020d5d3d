/**
 * The entries of the fake IPVS's table: how requests change one, and how it is reported.
 *
 * @module
 */
import { familyNumbers, familyOfNumber, ipText } from "../../netlink/ip-address.ts";
import { hostIsLittleEndian, viewOf } from "../../netlink/message.ts";
import { destinationAttribute as destination, tunnelTypeNumbers } from "./real-server-codec.ts";
import {
  type Attributes,
  addressBytes,
  answerPayload,
  copyAttributes,
  type FakeCounters,
  hostNumber,
  isUnicast,
  newCounters,
  numberIn,
  sixteenBytes,
  writeCounters,
} from "./testing-attributes.ts";
import {
  addressAndPort,
  familyOfVirtualServer,
  protocolNumbers,
  type VirtualServerKey,
} from "./virtual-server.ts";
import { serviceAttribute as service, serviceFlag } from "./virtual-server-codec.ts";
import { commands, messageAttribute } from "./wire.ts";

const ENOENT = 2;
const EEXIST = 17;
const EINVAL = 22;
const ERANGE = 34;
const EAFNOSUPPORT = 97;

const noBytes = new Uint8Array(0);

/** The kernel's number of the forwarding method that real servers of the other family need. */
const tunnelForwarding = 2;

/** A real server. */
export interface FakeDestination {
  readonly attributes: Attributes;
  readonly counters: FakeCounters;
  active: number;
  inactive: number;
  persistent: number;
}

/** A virtual server. */
export interface FakeService {
  readonly attributes: Attributes;
  readonly counters: FakeCounters;
  /** By name, oldest first. */
  readonly destinations: Map<string, FakeDestination>;
  /** Where persistence sends the one client that there is. */
  bound: FakeDestination | undefined;
}

/** What a request is answered by: an error number, or payloads. */
export type Answer = number | readonly Uint8Array[];

/** The answer to a request that changes something. */
export const done: readonly Uint8Array[] = [];

/** What tells services apart, or the error number of a request that does not say it. */
export function nameOfService(attributes: Attributes, full: boolean): string | number {
  const family = attributes.get(service.family);
  if (family === undefined) return EINVAL;
  if (familyOfNumber(numberIn(attributes, service.family)) === undefined) return EAFNOSUPPORT;
  const address = attributes.get(service.address);
  const mark = attributes.get(service.firewallMark);
  const port = attributes.get(service.port);
  const protocol = attributes.get(service.protocol);
  if (mark === undefined && (address === undefined || port === undefined || protocol === undefined))
    return EINVAL;
  const settings = [service.scheduler, service.flags, service.timeout, service.netmask];
  if (full && !settings.every((type) => attributes.has(type))) return EINVAL;
  if (mark !== undefined) return [...family, "mark", ...mark].join(" ");
  return [...family, ...(protocol ?? []), ...sixteenBytes(address ?? noBytes), ...(port ?? [])].join(" ");
}

/** The same of a key that a test holds. */
export function nameOfKey(key: VirtualServerKey): string {
  const family = hostNumber(familyNumbers[familyOfVirtualServer(key)], 2);
  if ("firewallMark" in key) return [...family, "mark", ...hostNumber(key.firewallMark, 4)].join(" ");
  const protocol = hostNumber(protocolNumbers[key.protocol], 2);
  return [...family, ...protocol, ...addressBytes(key.address), key.port >> 8, key.port & 0xff].join(" ");
}

/** Sets the flags that the mask of the given ones names, and the kernel's own. */
export function setFlags(attributes: Attributes, given: Uint8Array, old: number): void {
  const view = viewOf(given);
  const [flags, mask] = [view.getUint32(0, hostIsLittleEndian), view.getUint32(4, hostIsLittleEndian)];
  const result = (old & ~mask) | (flags & mask) | serviceFlag.hashed;
  attributes.set(
    service.flags,
    new Uint8Array([...hostNumber(result >>> 0, 4), ...hostNumber(0xffff_ffff, 4)]),
  );
}

/** Adds, edits or deletes a real server, with the kernel's checks in the kernel's order. */
export function changeDestination(
  command: number,
  owner: FakeService,
  given: Attributes | undefined,
): Answer {
  const refusal = refusalOf(command, owner, given);
  if (refusal !== 0 || given === undefined) return refusal;
  const name = nameOfDestination(owner, given);
  const found = owner.destinations.get(name);
  if (command === commands.newDestination) {
    if (found !== undefined) return EEXIST;
    const ipv6 = familyOf(owner, given) === familyNumbers.IPv6;
    if (!isUnicast(given.get(destination.address) ?? noBytes, ipv6)) return EINVAL;
    given.set(destination.address, sixteenBytes(given.get(destination.address) ?? noBytes));
    const added = { attributes: given, counters: newCounters(), active: 0, inactive: 0, persistent: 0 };
    owner.destinations.set(name, added);
    return done;
  }
  if (found === undefined) return ENOENT;
  if (command === commands.deleteDestination) {
    owner.destinations.delete(name);
    if (owner.bound === found) owner.bound = undefined;
    return done;
  }
  const key: readonly number[] = [destination.address, destination.port, destination.family];
  for (const type of found.attributes.keys()) if (!key.includes(type)) found.attributes.delete(type);
  for (const [type, value] of given) if (!key.includes(type)) found.attributes.set(type, value);
  return done;
}

/** Why the kernel would not look at such a real server; 0 if it would. */
function refusalOf(command: number, owner: FakeService, given: Attributes | undefined): number {
  if (given === undefined || !given.has(destination.address) || !given.has(destination.port)) return EINVAL;
  if (command === commands.deleteDestination) return 0;
  const { forwarding, weight, upperThreshold, lowerThreshold } = destination;
  if (![forwarding, weight, upperThreshold, lowerThreshold].every((type) => given.has(type))) return EINVAL;
  const otherFamily = familyOf(owner, given) !== numberIn(owner.attributes, service.family);
  if (otherFamily && numberIn(given, forwarding) !== tunnelForwarding) return EINVAL;
  if (numberIn(given, weight) > 0x7fff_ffff) return ERANGE;
  if (numberIn(given, lowerThreshold) > numberIn(given, upperThreshold)) return ERANGE;
  const gue = numberIn(given, destination.tunnelType) === tunnelTypeNumbers.gue;
  return gue && numberIn(given, destination.tunnelPort) === 0 ? EINVAL : 0;
}

function familyOf(owner: FakeService, given: Attributes): number {
  return numberIn(given, destination.family) || numberIn(owner.attributes, service.family);
}

/** Address and port of a real server, as `realServerName` writes them. */
export function nameOfDestination(owner: FakeService, attributes: Attributes): string {
  const ipv6 = familyOf(owner, attributes) === familyNumbers.IPv6;
  const address = attributes.get(destination.address) ?? noBytes;
  const port = viewOf(attributes.get(destination.port) ?? new Uint8Array(2)).getUint16(0);
  return addressAndPort(ipText(address.subarray(0, ipv6 ? 16 : 4)), port);
}

/** The real server that gets the next connection. */
export function leastLoaded({ destinations }: FakeService): FakeDestination | undefined {
  return [...destinations.values()]
    .filter(({ attributes }) => numberIn(attributes, destination.weight) > 0)
    .toSorted((one, other) => one.active + one.inactive - (other.active + other.inactive))[0];
}

/** Zeroes the counters of a virtual server and its real servers. */
export function zeroCounters(owner: FakeService): void {
  for (const { counters } of [owner, ...owner.destinations.values()]) Object.assign(counters, newCounters());
}

/** How the kernel reports a virtual server. */
export function serviceAnswer({ attributes, counters }: FakeService): Uint8Array {
  return answerPayload(commands.newService, (writer) =>
    writer.nested(messageAttribute.service, () => {
      const { family, protocol, address, port, firewallMark } = service;
      copyAttributes(writer, attributes, [family, protocol, address, port, firewallMark]);
      const { scheduler, engine, flags, timeout, netmask } = service;
      copyAttributes(writer, attributes, [scheduler, engine, flags, timeout, netmask]);
      writeCounters(writer, counters, { narrow: service.statistics, wide: service.statistics64 });
    }),
  );
}

/** How the kernel reports a real server. */
export function destinationAnswer(owner: FakeService, one: FakeDestination): Uint8Array {
  const { address, port, forwarding, weight, tunnelType, tunnelPort, tunnelFlags } = destination;
  const { upperThreshold, lowerThreshold, family } = destination;
  const attributes: Attributes = new Map([
    [tunnelType, hostNumber(0, 1)],
    [tunnelPort, hostNumber(0, 2)],
    [tunnelFlags, hostNumber(0, 2)],
    [family, hostNumber(familyOf(owner, one.attributes), 2)],
    ...one.attributes,
  ]);
  return answerPayload(commands.newDestination, (writer) =>
    writer.nested(messageAttribute.destination, () => {
      copyAttributes(writer, attributes, [
        address,
        port,
        forwarding,
        weight,
        tunnelType,
        tunnelPort,
        tunnelFlags,
      ]);
      copyAttributes(writer, attributes, [upperThreshold, lowerThreshold]);
      writer
        .u32(destination.activeConnections, one.active)
        .u32(destination.inactiveConnections, one.inactive)
        .u32(destination.persistentConnections, one.persistent);
      copyAttributes(writer, attributes, [family]);
      writeCounters(writer, one.counters, { narrow: destination.statistics, wide: destination.statistics64 });
    }),
  );
}
