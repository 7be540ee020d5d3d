/**
 * The table of IPVS from text: what `ipvsadm -Sn` has printed, or anything that `ipvsadm -R` would read.
 *
 * Pure. Options may come in any order, in their short and long forms, and have ipvsadm's defaults: scheduler `wlc`,
 * forwarding method `direct`, weight 1, persistence of 360 seconds. Addresses, ports and masks have to be numeric: names
 * would have to be looked up.
 *
 * @module
 */
import { familyOfText, type IpFamily, ipBytes, ipText } from "../../netlink/ip-address.ts";
import {
  type ForwardingMethod,
  largestWeight,
  type RealServer,
  type Tunnel,
  type TunnelChecksum,
} from "./real-server.ts";
import { readOptions, type SaveOption } from "./save-options.ts";
import type { TableEntry } from "./table-entry.ts";
import {
  familyOfVirtualServer,
  longestPersistenceSeconds,
  type Persistence,
  type Protocol,
  type SchedulerFlag,
  schedulerFlagNames,
  type VirtualServer,
  type VirtualServerKey,
  virtualServerName,
} from "./virtual-server.ts";

/** What one line says. */
export type SaveLine =
  | { readonly adds: "virtual-server"; readonly server: VirtualServer }
  | { readonly adds: "real-server"; readonly virtual: VirtualServerKey; readonly server: RealServer };

type Options = ReadonlyMap<SaveOption, string>;

const defaultScheduler = "wlc";
const defaultPersistenceSeconds = "360";

const largest32 = 0xffff_ffff;

const keyOptions = ["tcp-service", "udp-service", "sctp-service", "fwmark-service"] as const;

const protocolOfOption: Readonly<Record<Exclude<(typeof keyOptions)[number], "fwmark-service">, Protocol>> = {
  "tcp-service": "TCP",
  "udp-service": "UDP",
  "sctp-service": "SCTP",
};

const forwardingOptions = ["masquerading", "ipip", "gatewaying"] as const;

const checksumOptions = ["tun-nocsum", "tun-csum", "tun-remcsum"] as const;

/** What may stand on each of the two kinds of lines beside the command and the virtual server. */
const virtualOptions: readonly SaveOption[] = [
  "scheduler",
  "sched-flags",
  "persistent",
  "netmask",
  "pe",
  "ops",
];
const realOptions: readonly SaveOption[] = [
  "real-server",
  ...forwardingOptions,
  "weight",
  "u-threshold",
  "l-threshold",
  "tun-type",
  "tun-port",
  ...checksumOptions,
];

/**
 * Reads a table. Empty lines are skipped.
 *
 * @returns Virtual servers and real servers in the order of their lines.
 * @throws {SyntaxError} Names the line and what is wrong with it.
 */
export function parseTable(text: string): readonly TableEntry[] {
  const entries = new Map<string, { readonly server: VirtualServer; readonly realServers: RealServer[] }>();
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    try {
      const parsed = parseLine(line);
      const name = virtualServerName(parsed.adds === "real-server" ? parsed.virtual : parsed.server);
      const entry = entries.get(name);
      if (parsed.adds === "virtual-server") {
        if (entry !== undefined) throw new SyntaxError(`virtual server ${name} is there already`);
        entries.set(name, { server: parsed.server, realServers: [] });
      } else {
        if (entry === undefined) throw new SyntaxError(`virtual server ${name} is not there`);
        entry.realServers.push(parsed.server);
      }
    } catch (cause) {
      if (!(cause instanceof SyntaxError)) throw cause;
      throw new SyntaxError(`Cannot read line ${index + 1} ${JSON.stringify(line)}: ${cause.message}`, {
        cause,
      });
    }
  }
  return [...entries.values()];
}

/**
 * Reads one line.
 *
 * @throws {SyntaxError} Says what is wrong with it.
 */
export function parseLine(line: string): SaveLine {
  const options = readOptions(line);
  const command = one(options, ["add-service", "add-server"]);
  if (command === undefined) throw new SyntaxError("neither -A nor -a stands there");
  const allowed = command === "add-service" ? virtualOptions : realOptions;
  for (const option of options.keys()) {
    if (option === command || option === "ipv6" || isOneOf(keyOptions, option) || allowed.includes(option))
      continue;
    throw new SyntaxError(`option ${option} does not go with ${command}`);
  }
  const virtual = readKey(options);
  if (command === "add-service")
    return { adds: "virtual-server", server: readVirtualServer(options, virtual) };
  return { adds: "real-server", virtual, server: readRealServer(options, virtual) };
}

function readKey(options: Options): VirtualServerKey {
  const option = one(options, keyOptions);
  if (option === undefined) throw new SyntaxError("no virtual server stands there");
  const text = options.get(option) ?? "";
  const ipv6 = options.has("ipv6");
  if (option === "fwmark-service") {
    const family: IpFamily = ipv6 ? "IPv6" : "IPv4";
    return { firewallMark: readNumber("firewall mark", text, 1, largest32), family };
  }
  if (ipv6) throw new SyntaxError("option ipv6 goes with a firewall mark only");
  return { protocol: protocolOfOption[option], ...readEnd(text, 0) };
}

function readVirtualServer(options: Options, key: VirtualServerKey): VirtualServer {
  const scheduler = options.get("scheduler") ?? defaultScheduler;
  const schedulerFlags = readFlags(options.get("sched-flags"));
  const persistence = readPersistence(options, familyOfVirtualServer(key));
  return {
    ...key,
    scheduler,
    ...(schedulerFlags.length === 0 ? {} : { schedulerFlags }),
    ...(persistence === undefined ? {} : { persistence }),
    ...(options.has("ops") ? { onePacket: true as const } : {}),
  };
}

function readFlags(text: string | undefined): readonly SchedulerFlag[] {
  if (text === undefined) return [];
  const given = text.split(",").map(readFlag);
  return schedulerFlagNames.filter((flag) => given.includes(flag));
}

function readFlag(label: string): SchedulerFlag {
  const flag = label.replace(/^[ms]h-fallback$/, "flag-1").replace(/^[ms]h-port$/, "flag-2");
  const known = schedulerFlagNames.find((name) => name === flag);
  if (known === undefined) throw new SyntaxError(`${JSON.stringify(label)} is no scheduler flag`);
  return known;
}

function readPersistence(options: Options, family: IpFamily): Persistence | undefined {
  const timeout = options.get("persistent");
  const netmask = readNetmask(options.get("netmask"), family);
  const engine = options.get("pe");
  if (timeout === undefined) {
    if (options.has("netmask") || engine !== undefined) {
      throw new SyntaxError("options netmask and pe go with option persistent only");
    }
    return undefined;
  }
  return {
    timeoutSeconds: readNumber(
      "persistence timeout",
      timeout === "" ? defaultPersistenceSeconds : timeout,
      1,
      longestPersistenceSeconds,
    ),
    ...(netmask === undefined ? {} : { netmask }),
    ...(engine === undefined ? {} : { engine }),
  };
}

/** Undefined also for the mask that tells every address apart, which is what the absence of one means. */
function readNetmask(text: string | undefined, family: IpFamily): string | undefined {
  if (text === undefined) return undefined;
  if (family === "IPv6") {
    const prefix = readNumber("netmask", text, 1, 128);
    return prefix === 128 ? undefined : `${prefix}`;
  }
  const mask = readAddress(text);
  if (familyOfText(mask) !== "IPv4") throw new SyntaxError(`netmask ${text} is no IPv4 mask`);
  return mask === "255.255.255.255" ? undefined : mask;
}

function readRealServer(options: Options, virtual: VirtualServerKey): RealServer {
  const end = options.get("real-server");
  if (end === undefined) throw new SyntaxError("option real-server is missing");
  const forwarding = readForwarding(options);
  const tunnel = readTunnel(options, forwarding);
  const upperThreshold = readNumber("u-threshold", options.get("u-threshold") ?? "0", 0, largest32);
  const lowerThreshold = readNumber("l-threshold", options.get("l-threshold") ?? "0", 0, largest32);
  return {
    ...readEnd(end, "firewallMark" in virtual ? 0 : virtual.port),
    forwarding,
    weight: readNumber("weight", options.get("weight") ?? "1", 0, largestWeight),
    ...(upperThreshold === 0 ? {} : { upperThreshold }),
    ...(lowerThreshold === 0 ? {} : { lowerThreshold }),
    ...(tunnel === undefined ? {} : { tunnel }),
  };
}

function readForwarding(options: Options): ForwardingMethod {
  const option = one(options, forwardingOptions);
  if (option === "masquerading") return "masquerade";
  return option === "ipip" ? "tunnel" : "direct";
}

function readTunnel(options: Options, forwarding: ForwardingMethod): Tunnel | undefined {
  const type = options.get("tun-type");
  const port = options.get("tun-port");
  const checksum = readChecksum(one(options, checksumOptions));
  if (type !== undefined && forwarding !== "tunnel") {
    throw new SyntaxError("option tun-type goes with option ipip only");
  }
  if (port !== undefined && type !== "gue")
    throw new SyntaxError("option tun-port goes with a gue tunnel only");
  switch (type) {
    case undefined:
    case "ipip":
      if (checksum !== undefined) throw new SyntaxError("an ipip tunnel has no checksum");
      return undefined;
    case "gue":
      if (port === undefined) throw new SyntaxError("a gue tunnel needs option tun-port");
      return { type, port: readNumber("tunnel port", port, 1, 65_535), checksum: checksum ?? "none" };
    case "gre":
      if (checksum === "remote") throw new SyntaxError("a gre tunnel has no remote checksum");
      return { type, checksum: checksum ?? "none" };
    default:
      throw new SyntaxError(`${JSON.stringify(type)} is no type of tunnel`);
  }
}

function readChecksum(option: (typeof checksumOptions)[number] | undefined): TunnelChecksum | undefined {
  if (option === undefined) return undefined;
  if (option === "tun-nocsum") return "none";
  return option === "tun-csum" ? "full" : "remote";
}

/** `192.0.2.1:80`, `[2001:db8::1]:80`, or an address alone. */
function readEnd(text: string, defaultPort: number): { readonly address: string; readonly port: number } {
  const [, bracketed, plain, port] = /^(?:\[(.*)\]|([^:]*))(?::([^:]*))?$/.exec(text) ?? [];
  const address = readAddress(bracketed ?? plain ?? text);
  return { address, port: port === undefined ? defaultPort : readNumber("port", port, 0, 65_535) };
}

/** An address in canonical text. */
function readAddress(text: string): string {
  try {
    return ipText(ipBytes(text));
  } catch (cause) {
    throw new SyntaxError(`${JSON.stringify(text)} is no numeric address`, { cause });
  }
}

function readNumber(what: string, text: string, least: number, most: number): number {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new SyntaxError(`${what} ${JSON.stringify(text)} is no number from ${least} to ${most}`);
}

/** The one of several options that is there. */
function one<Option extends SaveOption>(options: Options, names: readonly Option[]): Option | undefined {
  const [first, second] = names.filter((name) => options.has(name));
  if (second !== undefined) throw new SyntaxError(`options ${first} and ${second} exclude each other`);
  return first;
}

function isOneOf(names: readonly SaveOption[], option: SaveOption): boolean {
  return names.includes(option);
}
