/**
 * Tables as ipvsadm(8) prints them.
 *
 * Pure. For tables of IPVS the text is byte for byte what ipvsadm 1.31 prints with `-n`, blanks at the ends of lines
 * included, but for firewall marks of 2^31 and more, which ipvsadm prints as negative numbers. Where a number is not known
 * there is a dash, which no table of IPVS has.
 *
 * Source: lists of ipvsadm 1.31.
 *
 * @module
 */
import { formatRealServer, formatVirtualServer, schedulerFlagLabels } from "../ipvs/netlink/format.ts";
import type { SyncDaemon } from "../ipvs/netlink/sync-daemon.ts";
import type { Timeouts } from "../ipvs/netlink/timeouts.ts";
import { addressAndPort, virtualServerName } from "../ipvs/netlink/virtual-server.ts";
import {
  type ConnectionRow,
  type RealServerRow,
  type ServiceTable,
  serviceNameText,
  type TrafficCounts,
  type VirtualServerRow,
} from "./service-table.ts";

/** What a list shows of each server. */
export type ListFormat = "default" | "stats" | "rate" | "thresholds" | "persistent-conn" | "tun-info";

/** How a list is printed. */
export interface ListOptions {
  readonly format: ListFormat;
  /** Numbers in full, where they would be shortened to K, M, G or T. */
  readonly exact?: boolean;
  /** Names of Services and pods behind the lines. */
  readonly names?: boolean;
  /** Without the line that says what is listed: ipvsadm leaves it out when it was asked for one virtual server. */
  readonly untitled?: boolean;
}

type Count = number | bigint | undefined;

const serverTitle = "  -> RemoteAddress:Port";

const titles: Readonly<Record<ListFormat, readonly [readonly string[], string]>> = {
  default: [[], "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn"],
  stats: [["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"], serverTitle],
  rate: [["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"], serverTitle],
  thresholds: [["Uthreshold", "Lthreshold", "ActiveConn", "InActConn"], serverTitle],
  "persistent-conn": [["Weight", "PersistConn", "ActiveConn", "InActConn"], serverTitle],
  "tun-info": [[], "  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn"],
};

/** The lines above a list, each with its end. */
export function listHead(table: ServiceTable, { format, untitled = false }: ListOptions): string {
  const [columns, second] = titles[format];
  const local = "Prot LocalAddress:Port";
  let first: string;
  switch (format) {
    case "default":
    case "tun-info":
      first = `${local} Scheduler Flags`;
      break;
    case "stats":
    case "rate":
      first = local.padEnd(33) + columns.map((column) => ` ${column.padStart(8)}`).join("");
      break;
    case "thresholds":
      first = local.padEnd(33) + columns.map((column) => ` ${column.padEnd(10)}`).join("");
      break;
    case "persistent-conn":
      first =
        local.padEnd(33) +
        columns.map((column, index) => ` ${column.padEnd(persistentWidths[index] ?? 0)}`).join("");
      break;
  }
  return `${untitled ? "" : `${title(table)}\n`}${first}\n${second}\n`;
}

/** A virtual server and its real servers, as lines with their ends. */
export function listEntry(row: VirtualServerRow, options: ListOptions): string {
  const { format, exact = false, names = false } = options;
  let text = serverLine(row, format, exact);
  if (names) text += serverNames(row);
  text += "\n";
  let [before, columns]: [RealServerRow | undefined, string] = [undefined, ""];
  for (const server of row.realServers) {
    // Most servers of a list differ in nothing but their addresses.
    if (before === undefined || !hasSameColumns(before, server, format)) {
      columns = realServerColumns(server, format, exact);
    }
    before = server;
    text += `  -> ${addressAndPort(server.address, server.port).padEnd(28)}${columns}`;
    if (names && server.pod !== undefined) text += text.endsWith(" ") ? ` ${server.pod}` : `  ${server.pod}`;
    text += "\n";
  }
  return text;
}

/** A virtual server and its real servers as lines for `ipvsadm -R`, as `ipvsadm -S -n` prints them. */
export function saveEntry(row: VirtualServerRow): string {
  // ipvsadm has names for two of the flags of sh and mh, and an empty list for the third.
  const unnamed = row.schedulerFlags !== undefined && schedulerFlagLabels(row).length === 0;
  let text = `${formatVirtualServer(row)}${unnamed ? " -b " : ""}\n`;
  for (const server of row.realServers) text += `${formatRealServer(row, server)}\n`;
  return text;
}

/** The lines above connections. */
export function connectionsHead(table: Pick<ServiceTable, "source">, engines: boolean): string {
  const what = table.source === "ipvs" ? "IPVS" : table.source;
  const ends = `${"source".padEnd(18)} ${"virtual".padEnd(18)}`;
  const last = engines ? `${"destination".padEnd(18)} ${"pe name".padEnd(16)} pe_data` : "destination";
  return `${what} connection entries\npro expire ${"state".padEnd(11)} ${ends} ${last}\n`;
}

/** A connection, as a line with its end. */
export function connectionLine(row: ConnectionRow, engines: boolean): string {
  const { protocol, expiresSeconds, state, source, virtual, destination, engine } = row;
  const minutes = twoDigits(Math.floor(expiresSeconds / 60));
  const start = `${protocol.padEnd(3)} ${`${minutes}:${twoDigits(expiresSeconds % 60)}`.padEnd(6)} ${state.padEnd(11)}`;
  const ends = `${endText(source).padEnd(18)} ${endText(virtual).padEnd(18)}`;
  const last = endText(destination);
  if (!engines || engine === undefined) return `${start} ${ends} ${last}\n`;
  return `${start} ${ends} ${last.padEnd(16)} ${engine.name.padEnd(18)} ${engine.data}\n`;
}

/** The line of `--timeout`. */
export function timeoutsLine({ tcp, tcpFin, udp }: Timeouts): string {
  return `Timeout (tcp tcpfin udp): ${tcp} ${tcpFin} ${udp}\n`;
}

/** A line of `--daemon`, from what the kernel says of a daemon that runs. */
export function daemonLine(daemon: SyncDaemon): string {
  const { role, syncId, maximumLength = 0, group = "", port = 0, timeToLive = 0 } = daemon;
  return `${role} sync daemon (mcast=${daemon.interface}, syncid=${syncId}, maxlen=${maximumLength}, group=${group}, port=${port}, ttl=${timeToLive})\n`;
}

function title({ source, info }: ServiceTable): string {
  if (source !== "ipvs") return `Virtual servers of ${source}`;
  return `IP Virtual Server version ${info?.version ?? ""} (size=${info?.connectionTableSize ?? 0})`;
}

const persistentWidths = [9, 11, 10, 10] as const;

/** ipvsadm pads the letters of a protocol to four, so that names of marks stand apart by two blanks. */
function nameOf(row: VirtualServerRow): string {
  const name = virtualServerName(row);
  const blank = name.indexOf(" ");
  return `${name.slice(0, blank).padEnd(4)} ${name.slice(blank + 1)}`;
}

function serverLine(row: VirtualServerRow, format: ListFormat, exact: boolean): string {
  if (format === "stats" || format === "rate") {
    const counts = format === "stats" ? row.totals : row.rates;
    return (
      nameOf(row).padEnd(33) +
      countsOf(counts)
        .map((count) => largeNumber(count, exact))
        .join("")
    );
  }
  return `${nameOf(row)} ${row.scheduler}${flagsOf(row)}`;
}

function flagsOf(row: VirtualServerRow): string {
  const { persistence, onePacket, refusal } = row;
  const labels = refusal === undefined ? schedulerFlagLabels(row) : [refusal];
  // A flag without a name leaves brackets with nothing in them, as in ipvsadm.
  let text = labels.length === 0 && row.schedulerFlags === undefined ? "" : ` (${labels.join(",")})`;
  if (persistence !== undefined) {
    text += ` persistent ${persistence.timeoutSeconds}`;
    if (persistence.netmask !== undefined) text += ` mask ${persistence.netmask}`;
    if (persistence.engine !== undefined) text += ` pe ${persistence.engine}`;
  }
  return onePacket === true ? `${text} ops` : text;
}

function serverNames({ service, kind }: VirtualServerRow): string {
  const words = [service === undefined ? undefined : serviceNameText(service), kind];
  const known = words.filter((word) => word !== undefined);
  return known.length === 0 ? "" : `  ${known.join(" ")}`;
}

const forwardingNames: Readonly<Record<RealServerRow["forwarding"], string>> = {
  masquerade: "Masq",
  local: "Local",
  tunnel: "Tunnel",
  direct: "Route",
  bypass: "Bypass",
};

function hasSameColumns(one: RealServerRow, other: RealServerRow, format: ListFormat): boolean {
  return (
    format === "default" &&
    one.forwarding === other.forwarding &&
    one.weight === other.weight &&
    one.activeConnections === other.activeConnections &&
    one.inactiveConnections === other.inactiveConnections
  );
}

/** The line of a real server, behind its address. */
function realServerColumns(row: RealServerRow, format: ListFormat, exact: boolean): string {
  const { activeConnections: active, inactiveConnections: inactive } = row;
  const connections = `${left(active, 10)} ${left(inactive, 10)}`;
  switch (format) {
    case "default":
      return ` ${forwardingNames[row.forwarding].padEnd(7)} ${left(row.weight, 6)} ${connections}`;
    case "stats":
      return countsOf(row.totals)
        .map((count) => largeNumber(count, exact))
        .join("");
    case "rate": {
      const [first, second, third, ...bytes] = countsOf(row.rates);
      const small = [first, second, third].map((count) => ` ${text(count).padStart(8)}`).join("");
      return small + bytes.map((count) => largeNumber(count, exact)).join("");
    }
    case "thresholds":
      return ` ${left(row.upperThreshold ?? 0, 10)} ${left(row.lowerThreshold ?? 0, 10)} ${connections}`;
    case "persistent-conn":
      return ` ${left(row.weight, 9)} ${left(row.persistentConnections, 11)} ${connections}`;
    case "tun-info": {
      const tunnel = tunnelText(row).padEnd(13);
      return ` ${forwardingNames[row.forwarding].padEnd(7)} ${tunnel} ${left(row.weight, 6)} ${connections}`;
    }
  }
}

const checksums = { none: "-c", full: "+c", remote: "r+c" } as const;

function tunnelText({ forwarding, tunnel }: RealServerRow): string {
  if (forwarding !== "tunnel") return "n/a";
  if (tunnel === undefined) return "ipip";
  const port = tunnel.type === "gue" ? `:${tunnel.port}` : "";
  return `${tunnel.type}${port}:${checksums[tunnel.checksum]}`;
}

function countsOf(counts: TrafficCounts | undefined): readonly Count[] {
  return [
    counts?.connections,
    counts?.incomingPackets,
    counts?.outgoingPackets,
    counts?.incomingBytes,
    counts?.outgoingBytes,
  ];
}

/** Powers of ten from which on a number is shortened, by what, and the letter that says so. */
const shortenings: readonly (readonly [bigint, bigint, string])[] = [
  [100_000_000_000_000n, 1_000_000_000_000n, "T"],
  [100_000_000_000n, 1_000_000_000n, "G"],
  [1_000_000_000n, 1_000_000n, "M"],
  [100_000_000n, 1_000n, "K"],
];

function largeNumber(count: Count, exact: boolean): string {
  const plain = text(count);
  if (plain.length <= 8) return plain.padStart(9);
  if (exact || count === undefined) return ` ${plain}`;
  const value = BigInt(count);
  for (const [from, unit, letter] of shortenings) {
    if (value >= from) return `${String(value / unit).padStart(8)}${letter}`;
  }
  return plain.padStart(9);
}

function left(count: Count, width: number): string {
  return text(count).padEnd(width);
}

function text(count: Count): string {
  return count === undefined ? "-" : String(count);
}

function endText({ address, port }: { readonly address: string; readonly port: number }): string {
  return addressAndPort(address, port);
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}
