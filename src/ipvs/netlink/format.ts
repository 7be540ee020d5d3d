/**
 * The table of IPVS as text: what `ipvsadm -Sn` prints and `ipvsadm -R` reads.
 *
 * Pure. A line for each virtual server and, behind it, one for each of its real servers; every line is also what could
 * be typed after `ipvsadm`. Text is byte for byte what ipvsadm 1.31 prints, for the servers and in the order that are
 * given (see order.ts for its own), except that a firewall mark of 2^31 or more is not printed as a negative number,
 * which ipvsadm would not read back.
 *
 * @module
 */
import { type ForwardingMethod, type RealServer, realServerName, type Tunnel } from "./real-server.ts";
import type { TableEntry } from "./table-entry.ts";
import {
  addressAndPort,
  type SchedulerFlag,
  schedulerFlagNames,
  type VirtualServer,
  type VirtualServerKey,
  virtualServerName,
} from "./virtual-server.ts";

/** What the text may hold beyond ipvsadm's own. */
export interface FormatOptions {
  /** True prints thresholds, as `-x` and `-y`. ipvsadm reads them but never writes them, and so loses them. */
  readonly thresholds?: boolean;
}

/** The options of ipvsadm that say which virtual server is meant, without the `f` for firewall marks. */
const protocolOptions = { TCP: "-t", UDP: "-u", SCTP: "--sctp-service" } as const;

/** ipvsadm has no option for `local` and prints it as direct routing, which to a local address is the same. */
const forwardingOptions: Readonly<Partial<Record<ForwardingMethod, string>>> = {
  masquerade: "-m",
  local: "-g",
  tunnel: "-i",
  direct: "-g",
};

const checksumOptions = { none: "--tun-nocsum", full: "--tun-csum", remote: "--tun-remcsum" } as const;

/** Names of the flags of the schedulers that have names for them; a third flag is not printed for these. */
const namedFlags: Readonly<Record<string, Readonly<Partial<Record<SchedulerFlag, string>>>>> = {
  sh: { "flag-1": "sh-fallback", "flag-2": "sh-port" },
  mh: { "flag-1": "mh-fallback", "flag-2": "mh-port" },
};

/**
 * The text of a table: lines that end in a newline.
 *
 * @throws {RangeError} A real server of forwarding method `bypass`, for which ipvsadm has no option.
 */
export function formatTable(entries: Iterable<TableEntry>, options: FormatOptions = {}): string {
  let text = "";
  for (const { server, realServers } of entries) {
    text += `${formatVirtualServer(server)}\n`;
    for (const realServer of realServers) text += `${formatRealServer(server, realServer, options)}\n`;
  }
  return text;
}

/** The line that adds a virtual server: `-A -t 192.0.2.1:80 -s wlc -p 300`. */
export function formatVirtualServer(server: VirtualServer): string {
  const { scheduler, persistence, onePacket } = server;
  let line = `-A ${serverOption(server)} -s ${scheduler}`;
  if (persistence !== undefined) {
    line += ` -p ${persistence.timeoutSeconds}`;
    if (persistence.netmask !== undefined) line += ` -M ${persistence.netmask}`;
    if (persistence.engine !== undefined) line += ` --pe ${persistence.engine}`;
  }
  if (onePacket === true) line += " -o";
  const flags = schedulerFlagLabels(server);
  return flags.length === 0 ? line : `${line} -b ${flags.join(",")}`;
}

/**
 * The line that adds a real server: `-a -t 192.0.2.1:80 -r 198.51.100.1:8080 -m -w 1`.
 *
 * @throws {RangeError} Its forwarding method is `bypass`.
 */
export function formatRealServer(
  virtual: VirtualServerKey,
  server: RealServer,
  { thresholds = false }: FormatOptions = {},
): string {
  const { forwarding, weight, upperThreshold, lowerThreshold, tunnel } = server;
  const forwardingOption = forwardingOptions[forwarding];
  if (forwardingOption === undefined) {
    throw new RangeError(
      `Cannot format real server ${realServerName(server)} of virtual server ${virtualServerName(virtual)}: ipvsadm has no option for forwarding method ${forwarding}`,
    );
  }
  let line = `-a ${serverOption(virtual)} -r ${realServerName(server)} ${forwardingOption} -w ${weight}`;
  if (thresholds && upperThreshold !== undefined) line += ` -x ${upperThreshold}`;
  if (thresholds && lowerThreshold !== undefined) line += ` -y ${lowerThreshold}`;
  return forwarding === "tunnel" ? `${line} ${tunnelOptions(tunnel)}` : line;
}

/**
 * The names of a server's scheduler flags as ipvsadm prints them: those of its scheduler, such as `sh-port`, else
 * `flag-1` to `flag-3`.
 */
export function schedulerFlagLabels({
  scheduler,
  schedulerFlags = [],
}: Pick<VirtualServer, "scheduler" | "schedulerFlags">): readonly string[] {
  const names = namedFlags[scheduler];
  return schedulerFlagNames
    .filter((flag) => schedulerFlags.includes(flag))
    .map((flag) => (names === undefined ? flag : names[flag]))
    .filter((label) => label !== undefined);
}

function serverOption(key: VirtualServerKey): string {
  if ("firewallMark" in key) return `-f ${key.firewallMark}${key.family === "IPv6" ? " -6" : ""}`;
  return `${protocolOptions[key.protocol]} ${addressAndPort(key.address, key.port)}`;
}

function tunnelOptions(tunnel: Tunnel | undefined): string {
  if (tunnel === undefined) return "--tun-type ipip";
  const port = tunnel.type === "gue" ? ` --tun-port ${tunnel.port}` : "";
  return `--tun-type ${tunnel.type}${port} ${checksumOptions[tunnel.checksum]}`;
}
