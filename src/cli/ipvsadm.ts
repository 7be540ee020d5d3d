/**
 * `ipvsadm`: the table of Services that the kernel holds, in the form in which ipvsadm(8) lists IPVS, in every mode.
 *
 * @module
 */
import {
  type InspectMode,
  type IpvsadmCommand,
  type OutputFormat,
  readIpvsadmCommand,
} from "../inspect/ipvsadm-command.ts";
import {
  connectionLine,
  connectionsHead,
  daemonLine,
  listEntry,
  listHead,
  saveEntry,
  timeoutsLine,
} from "../inspect/ipvsadm-format.ts";
import { UsageError } from "../inspect/ipvsadm-options.ts";
import { isSelectedConnection, isSelectedRow, needsNames } from "../inspect/select-rows.ts";
import type { ServiceNames } from "../inspect/service-names.ts";
import type { ConnectionRow, ServiceTable, VirtualServerRow } from "../inspect/service-table.ts";
import type { TableReader, TableRequest } from "../inspect/table-reader.ts";
import { isKernelError } from "../netlink/kernel-error.ts";
import { CommandError } from "./exit.ts";
import { ipvsadmHelp } from "./ipvsadm-help.ts";
import { PieceWriter } from "./piece-writer.ts";
import { openReaders } from "./table-readers.ts";
import { version } from "./version.ts";

/** Where a command's world ends: what it prints to, and what it reads from. Tests put in others. */
export interface IpvsadmDoors {
  readonly print: (piece: Uint8Array) => void;
  /** For one line on standard error. */
  readonly warn: (text: string) => void;
  readonly open: (mode: InspectMode) => Promise<readonly TableReader[]>;
  readonly names: (source: IpvsadmCommand["nameSource"]) => Promise<ServiceNames | undefined>;
}

/** Runs a command line without the words `kube-sluice ipvsadm`. @returns the exit status */
export async function ipvsadm(args: readonly string[], doors: Partial<IpvsadmDoors> = {}): Promise<number> {
  try {
    return await new Run(readIpvsadmCommand(args), { ...hostDoors, ...doors }).run();
  } catch (error) {
    if (error instanceof UsageError) throw new CommandError(2, `ipvsadm: ${error.message}`, { cause: error });
    if (isKernelError(error, "denied")) {
      // ipvsadm's words and status.
      const subject = /IPVS|virtual server/.test(error.message)
        ? "Can't initialize ipvs"
        : "Cannot read the kernel";
      throw new CommandError(2, `${subject}: Permission denied (you must be root)`, { cause: error });
    }
    if (error instanceof Error && (isKernelError(error) || error.name === "ToolError")) {
      throw new CommandError(1, error.message, { cause: error });
    }
    throw error;
  }
}

class Run {
  readonly #command: IpvsadmCommand;
  readonly #doors: IpvsadmDoors;
  readonly #failures: Error[] = [];
  readonly #writer: PieceWriter;

  constructor(command: IpvsadmCommand, doors: IpvsadmDoors) {
    this.#command = command;
    this.#doors = doors;
    this.#writer = new PieceWriter(doors.print);
  }

  async run(): Promise<number> {
    const { action, mode } = this.#command;
    if (action === "help") this.#print(ipvsadmHelp);
    else if (action === "version") this.#print(`kube-sluice ${version} (lists as ipvsadm v1.31)\n`);
    else await this.#show(await this.#doors.open(mode));
    this.#writer.flush();
    return 0;
  }

  async #show(readers: readonly TableReader[]): Promise<void> {
    switch (this.#command.action) {
      case "timeouts":
      case "daemons":
        return await this.#showSettings(readers);
      case "connections":
        return await this.#showConnections(readers);
      default:
        return await this.#showTables(readers);
    }
  }

  async #showTables(readers: readonly TableReader[]): Promise<void> {
    const { action, output, selection, format, exact, names, unsorted } = this.#command;
    const known = await this.#names();
    const { server } = selection;
    const request: TableRequest = {
      totals: format === "stats" || output !== "text",
      rates: format === "rate",
      clients: format === "persistent-conn" || output !== "text",
      unsorted,
      ...(server === undefined ? {} : { server }),
    };
    const tables: ServiceTable[] = [];
    // All at once: most of the time goes by in other programs.
    const reads = readers.map((reader) => this.#attempt(() => reader.table(request)));
    for (const table of await Promise.all(reads)) {
      if (table !== undefined) tables.push(known === undefined ? table : known.name(table));
    }
    this.#settleFailures(tables.length > 0);
    const shown = worthShowing(tables);
    if (server !== undefined && shown.every((table) => table.virtualServers.length === 0)) {
      throw new CommandError(1, "No such service");
    }
    if (output !== "text") return await this.#printTables(shown, output);
    const options = { format, exact, names, untitled: server !== undefined };
    for (const table of shown) {
      if (action === "list") this.#print(listHead(table, options));
      for (const row of this.#selected(table)) {
        this.#print(action === "save" ? saveEntry(row) : listEntry(row, options));
      }
    }
  }

  async #showConnections(readers: readonly TableReader[]): Promise<void> {
    const { output, selection, format } = this.#command;
    const engines = format === "persistent-conn";
    const known = await this.#names();
    const collected: ConnectionRow[] = [];
    let heads = 0;
    let read = 0;
    for (const reader of readers) {
      let told = output !== "text";
      const head = (): void => {
        if (!told) this.#print(connectionsHead(reader, engines));
        heads += 1;
        told = true;
      };
      await this.#attempt(async () => {
        const servers = known === undefined ? undefined : await serversByAddress(reader, known);
        await reader.connections((row, server) => {
          const { virtual } = row;
          const found = servers?.get(`${row.protocol} ${virtual.address} ${virtual.port}`) ?? server;
          if (!isSelectedConnection(row, found, selection)) return;
          head();
          if (output === "text") this.#print(connectionLine(row, engines));
          else collected.push(row);
        });
        read += 1;
      });
    }
    this.#settleFailures(read > 0);
    const [first] = readers;
    // Of several tables those without connections are left out, but something is always said.
    if (output === "text" && heads === 0 && first !== undefined) this.#print(connectionsHead(first, engines));
    if (output !== "text") await this.#printValue(output, { connections: collected });
  }

  async #showSettings(readers: readonly TableReader[]): Promise<void> {
    const { action, output } = this.#command;
    const [reader] = readers;
    if (reader === undefined) return;
    if (action === "timeouts") {
      const timeouts = reader.timeouts();
      if (output === "text") this.#print(timeoutsLine(timeouts));
      else await this.#printValue(output, { timeouts });
      return;
    }
    const daemons = await reader.daemons();
    if (output === "text") for (const daemon of daemons) this.#print(daemonLine(daemon));
    else await this.#printValue(output, { daemons });
  }

  /** Reads one of several tables: that one cannot be read says nothing about the others. */
  async #attempt<Result>(read: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "ToolError") throw error;
      this.#failures.push(error);
      return undefined;
    }
  }

  /** @param hasOthers whether any table could be read */
  #settleFailures(hasOthers: boolean): void {
    const [first] = this.#failures;
    if (first !== undefined && !hasOthers) throw first;
    // A variant that is not installed, or not in this kernel, is none of the node's.
    const real = this.#failures.filter(({ message }) => !/ENOENT|Failed to initialize nft/.test(message));
    for (const { message } of real) this.#doors.warn(message.replaceAll(/\s*\n\s*/g, " "));
  }

  /** Names of the API, where they are asked for and can be had. */
  async #names(): Promise<ServiceNames | undefined> {
    const { names, selection, nameSource } = this.#command;
    const given = nameSource.manifests !== undefined || nameSource.kubeconfig !== undefined;
    return names || given || needsNames(selection) ? await this.#doors.names(nameSource) : undefined;
  }

  *#selected({ virtualServers }: ServiceTable): Generator<VirtualServerRow> {
    const { selection } = this.#command;
    for (const row of virtualServers) if (isSelectedRow(row, selection)) yield row;
  }

  async #printTables(tables: readonly ServiceTable[], output: Exclude<OutputFormat, "text">): Promise<void> {
    const { jsonDocument, tableList, yamlDocument } = await import("../inspect/structured-format.ts");
    const lists = tables.map((table) => tableList(table, this.#selected(table)));
    const document = output === "json" ? jsonDocument : yamlDocument;
    for (const piece of document("tables", lists)) this.#print(piece);
  }

  async #printValue(output: Exclude<OutputFormat, "text">, value: unknown): Promise<void> {
    const { structuredValue } = await import("../inspect/structured-format.ts");
    this.#print(structuredValue(output, value));
  }

  #print(text: string): void {
    this.#writer.write(text);
  }
}

/** Tables that hold something; where none does, the first. */
function worthShowing(tables: readonly ServiceTable[]): readonly ServiceTable[] {
  const filled = tables.filter(({ virtualServers }) => virtualServers.length > 0);
  return filled.length > 0 ? filled : tables.slice(0, 1);
}

/** Virtual servers with their names, to tell whose a connection is. */
async function serversByAddress(
  reader: TableReader,
  names: ServiceNames,
): Promise<ReadonlyMap<string, VirtualServerRow>> {
  const { virtualServers } = names.name(await reader.table({}));
  const servers = new Map<string, VirtualServerRow>();
  for (const row of virtualServers) {
    if (!("firewallMark" in row)) servers.set(`${row.protocol} ${row.address} ${row.port}`, row);
  }
  return servers;
}

const hostDoors: IpvsadmDoors = {
  print: (piece) => {
    // Whoever reads may have seen enough, as head(1) has after ten lines.
    if (process.stdout.listenerCount("error") === 0) process.stdout.on("error", () => process.exit());
    process.stdout.write(piece);
  },
  warn: (text) => process.stderr.write(`kube-sluice: ${text}\n`),
  open: openReaders,
  names: async (source) => {
    const { readServiceNames } = await import("./read-service-names.ts");
    return await readServiceNames(source);
  },
};
