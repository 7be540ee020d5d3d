/**
 * The table of this host's IPVS.
 *
 * @module
 */
import type { IpvsClient } from "../ipvs/netlink/client.ts";
import { openIpvs } from "../ipvs/netlink/open.ts";
import type { SyncDaemon } from "../ipvs/netlink/sync-daemon.ts";
import type { Timeouts } from "../ipvs/netlink/timeouts.ts";
import { forEachIpvsConnection } from "./host-kernel.ts";
import { parseIpvsConnection } from "./ipvs-connections.ts";
import { readIpvsServer, readIpvsTable } from "./read-ipvs.ts";
import type { ConnectionRow, ServiceTable } from "./service-table.ts";
import type { TableReader, TableRequest } from "./table-reader.ts";

/** Reads IPVS. */
export class IpvsReader implements TableReader {
  readonly source = "ipvs";
  readonly #client: IpvsClient;

  /** @throws {KernelError} "unsupported" if the kernel has no IPVS. Loads its module if need be. */
  constructor() {
    this.#client = openIpvs();
  }

  async table(request: TableRequest): Promise<ServiceTable> {
    const { totals = false, rates = false, unsorted = false, server } = request;
    const options = { statistics: totals || rates, unsorted };
    if (server === undefined) return await readIpvsTable(this.#client, options);
    const found = await readIpvsServer(this.#client, server, options);
    return found ?? { source: "ipvs", virtualServers: [] };
  }

  connections(visit: (row: ConnectionRow, server: undefined) => void): Promise<void> {
    // Asked for first, because without the right to it the file is empty.
    this.#client.getInfo();
    forEachIpvsConnection((line) => {
      const row = parseIpvsConnection(line);
      if (row !== undefined) visit(row, undefined);
    });
    return Promise.resolve();
  }

  timeouts(): Timeouts {
    return this.#client.getTimeouts();
  }

  daemons(): Promise<readonly SyncDaemon[]> {
    return this.#client.listDaemons();
  }

  close(): void {
    this.#client[Symbol.dispose]();
  }
}
