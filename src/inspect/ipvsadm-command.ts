/**
 * What a command line of `kube-sluice ipvsadm` asks for.
 *
 * Pure.
 *
 * @module
 */
import type { VirtualServerKey } from "../ipvs/netlink/virtual-server.ts";
import { type IpFamily, ipBytes, ipText } from "../netlink/ip-address.ts";
import type { ListFormat } from "./ipvsadm-format.ts";
import { type GivenOptions, readIpvsadmOptions, UsageError } from "./ipvsadm-options.ts";
import { parseServiceName } from "./read-iptables.ts";
import type { ServiceName } from "./service-table.ts";

/** Which of the kernel's tables to show: what is there, or one kind. */
export type InspectMode = "auto" | "ipvs" | "iptables";

/** How to print. */
export type OutputFormat = "text" | "json" | "yaml";

/** Which rows to show: those that match all that is given. */
export interface RowSelection {
  readonly server?: VirtualServerKey;
  /** A Service, or with a port name one port of it. */
  readonly service?: ServiceName;
  readonly namespace?: string;
  /** A virtual server's address, or that of one of its real servers. */
  readonly address?: string;
}

/** Where names come from, besides the comments of rules. */
export interface NameSource {
  readonly manifests?: string;
  readonly kubeconfig?: string;
}

/** What is asked for. */
export interface IpvsadmCommand {
  readonly action: "list" | "connections" | "timeouts" | "daemons" | "save" | "help" | "version";
  readonly format: ListFormat;
  readonly exact: boolean;
  readonly unsorted: boolean;
  readonly names: boolean;
  readonly mode: InspectMode;
  readonly output: OutputFormat;
  readonly selection: RowSelection;
  readonly nameSource: NameSource;
}

/** Formats in the order in which they win. */
const formats: readonly ListFormat[] = ["stats", "rate", "thresholds", "persistent-conn", "tun-info"];

/** Options that exclude each other, in the order of ipvsadm's table, and their names in its messages. */
const exclusive: readonly (readonly [option: string, name: string])[] = [
  ["connection", "connection"],
  ["tcp-service", "service-address"],
  ["udp-service", "service-address"],
  ["sctp-service", "service-address"],
  ["fwmark-service", "service-address"],
  ["timeout", "timeout"],
  ["daemon", "daemon"],
];

/**
 * Reads a command line, without the words `kube-sluice ipvsadm`.
 *
 * @throws UsageError
 */
export function readIpvsadmCommand(args: readonly string[]): IpvsadmCommand {
  const given = readIpvsadmOptions(args);
  const { values } = given;
  const server = serverOf(values);
  const selection: RowSelection = {
    ...(server === undefined ? {} : { server }),
    ...optional("service", values.get("service"), readService),
    ...optional("namespace", values.get("namespace"), (text) => text),
    ...optional("address", values.get("address"), readAddress),
  };
  const nameSource: NameSource = {
    ...optional("manifests", values.get("manifests"), (text) => text),
    ...optional("kubeconfig", values.get("kubeconfig"), (text) => text),
  };
  return {
    action: actionOf(given),
    format: formats.find((format) => values.has(format)) ?? "default",
    exact: values.has("exact"),
    unsorted: values.has("nosort"),
    names: values.has("names"),
    mode: oneOf(values, "mode", ["auto", "ipvs", "iptables"]),
    output: oneOf(values, "output", ["text", "json", "yaml"]),
    selection,
    nameSource,
  };
}

function actionOf({ command, values }: GivenOptions): IpvsadmCommand["action"] {
  if (command === "help" || command === "version") return command;
  const [first, second] = exclusive.filter(([option]) => values.has(option));
  if (command === "save") {
    const other = [...exclusive, ...formats.map((format) => [format, format] as const)].find(([option]) =>
      values.has(option),
    );
    if (other !== undefined) throw new UsageError(`Illegal '${other[1]}' option with the 'save' command`);
    if (values.has("output")) throw new UsageError("-S prints lines for ipvsadm -R: leave --output out");
    return "save";
  }
  if (first !== undefined && second !== undefined) {
    throw new UsageError(
      `The option '${second[1]}' conflicts with the '${first[1]}' option in the 'list' command`,
    );
  }
  const counts = ["stats", "rate", "thresholds"].some((option) => values.has(option));
  const single = values.has("timeout") || values.has("daemon");
  if (((values.has("connection") || single) && counts) || (single && values.has("persistent-conn"))) {
    throw new UsageError("options conflicts in the list command");
  }
  if (values.has("connection")) return "connections";
  if (values.has("timeout")) return "timeouts";
  return values.has("daemon") ? "daemons" : "list";
}

const protocolOptions = [
  ["tcp-service", "TCP"],
  ["udp-service", "UDP"],
  ["sctp-service", "SCTP"],
] as const;

function serverOf(values: ReadonlyMap<string, string>): VirtualServerKey | undefined {
  const mark = values.get("fwmark-service");
  const family: IpFamily = values.has("ipv6") ? "IPv6" : "IPv4";
  if (mark !== undefined) {
    const firewallMark = /^[1-9]\d{0,9}$/.test(mark) ? Number(mark) : Number.NaN;
    if (!(firewallMark <= 0xffff_ffff)) throw new UsageError(`illegal firewall mark specified: ${mark}`);
    return { firewallMark, family };
  }
  if (values.has("ipv6")) throw new UsageError("-6 used before -f");
  for (const [option, protocol] of protocolOptions) {
    const text = values.get(option);
    if (text !== undefined) return { protocol, ...readEnd(text) };
  }
  return undefined;
}

/** `192.0.2.1:80`, `[2001:db8::1]:80`, and an IPv4 address alone, which is that of port 0. */
function readEnd(text: string): { readonly address: string; readonly port: number } {
  const [, ipv6, ipv4, port = "0"] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const address = canonical(ipv6 ?? ipv4 ?? "");
  const isOfForm = address !== undefined && address.includes(":") === (ipv6 !== undefined);
  if (!isOfForm || Number(port) > 65_535) {
    throw new UsageError(`illegal virtual server address[:port] specified: ${text}`);
  }
  return { address, port: Number(port) };
}

function readAddress(text: string): string {
  const address = canonical(text.replace(/^\[(.*)\]$/, "$1"));
  if (address === undefined)
    throw new UsageError(`--address must be an IP address, got ${JSON.stringify(text)}`);
  return address;
}

function canonical(text: string): string | undefined {
  try {
    return ipText(ipBytes(text));
  } catch {
    return undefined;
  }
}

function readService(text: string): ServiceName {
  const name = parseServiceName(text);
  if (name === undefined) {
    throw new UsageError(
      `--service must be NAMESPACE/NAME or NAMESPACE/NAME:PORT, got ${JSON.stringify(text)}`,
    );
  }
  return name;
}

function oneOf<Word extends string>(
  values: ReadonlyMap<string, string>,
  option: string,
  words: readonly [Word, ...Word[]],
): Word {
  const text = values.get(option);
  const found = text === undefined ? words[0] : words.find((word) => word === text);
  if (found === undefined) {
    throw new UsageError(`--${option} must be one of ${words.join(", ")}, got ${JSON.stringify(text)}`);
  }
  return found;
}

/** A field that is there only if it was given. */
function optional<Name extends string, Value>(
  name: Name,
  text: string | undefined,
  read: (text: string) => Value,
): { readonly [Key in Name]?: Value } {
  const fields: { [Key in Name]?: Value } = {};
  if (text !== undefined) fields[name] = read(text);
  return fields;
}
