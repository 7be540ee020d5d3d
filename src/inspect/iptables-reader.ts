/**
 * The table that the iptables rules of this host make, with the connections of conntrack.
 *
 * @module
 */
import type { Variant } from "../iptables/tools.ts";
import type { SyncDaemon } from "../ipvs/netlink/sync-daemon.ts";
import type { Timeouts } from "../ipvs/netlink/timeouts.ts";
import { virtualServerName } from "../ipvs/netlink/virtual-server.ts";
import { dumpFlows } from "../netlink/conntrack.ts";
import { protocolNumbers } from "../netlink/flow-key.ts";
import { flowStateName } from "../netlink/flow-state.ts";
import type { FlowView } from "../netlink/flow-view.ts";
import type { IpFamily } from "../netlink/ip-address.ts";
import { isKernelError } from "../netlink/kernel-error.ts";
import { listNftTables } from "../netlink/nft-tables.ts";
import { openNetlink } from "../netlink/socket.ts";
import { type FlowBook, FlowTally } from "./flow-tally.ts";
import { countRecentClients, hasLegacyTables, readRules, readSysctl } from "./host-kernel.ts";
import { joinFamilies, readRuleTable } from "./read-iptables.ts";
import type { RuleChains } from "./rule-chains.ts";
import type { ConnectionRow, ServiceTable, VirtualServerRow } from "./service-table.ts";
import { rateTable } from "./table-rates.ts";
import type { TableReader, TableRequest } from "./table-reader.ts";

const families: readonly IpFamily[] = ["IPv4", "IPv6"];

/** Between two looks for rates, in milliseconds. */
const rateMs = 1_000;

/** What the reader needs of the world besides the kernel. */
export interface RateClock {
  /** Milliseconds, from any beginning. */
  now(): number;
  sleep(ms: number): Promise<void>;
}

/** Reads one variant of iptables. */
export class IptablesReader implements TableReader {
  readonly source: "iptables-nft" | "iptables-legacy";
  readonly #variant: Variant;
  readonly #clock: RateClock;

  constructor(variant: Variant, clock: RateClock) {
    this.source = `iptables-${variant}`;
    this.#variant = variant;
    this.#clock = clock;
  }

  async table(request: TableRequest): Promise<ServiceTable> {
    if (request.rates !== true) return (await this.#look(request)).table;
    const book: FlowBook = new Map();
    const before = await this.#look(request, { write: book });
    await this.#clock.sleep(rateMs);
    const after = await this.#look(request, { read: book });
    return rateTable(before.table, after.table, (after.at - before.at) / 1000);
  }

  async connections(
    visit: (row: ConnectionRow, server: VirtualServerRow | undefined) => void,
  ): Promise<void> {
    const table = await this.#rules({});
    const tally = new FlowTally(table);
    await forEachFlow(table, (flow) => {
      const server = tally.find(flow);
      if (server !== undefined) visit(connectionOf(flow), server);
    });
  }

  timeouts(): Timeouts {
    const read = (name: string): number => readSysctl(`net/netfilter/nf_conntrack_${name}`) ?? 0;
    return {
      tcp: read("tcp_timeout_established"),
      tcpFin: read("tcp_timeout_fin_wait"),
      udp: read("udp_timeout_stream"),
    };
  }

  daemons(): Promise<readonly SyncDaemon[]> {
    return Promise.resolve([]);
  }

  async #look(
    request: TableRequest,
    books: { readonly write?: FlowBook; readonly read?: FlowBook } = {},
  ): Promise<{ readonly table: ServiceTable; readonly at: number }> {
    const rules = await this.#rules(request);
    const traffic = request.totals === true || request.rates === true;
    const tally = new FlowTally(rules, { traffic, ...books });
    const at = this.#clock.now();
    await forEachFlow(rules, (flow) => tally.add(flow));
    const counting = readSysctl("net/netfilter/nf_conntrack_acct") === 1;
    return { table: tally.table(counting), at };
  }

  /** The virtual servers of both families, without connections. */
  async #rules(request: TableRequest): Promise<ServiceTable> {
    const { clients = false, unsorted = false, server } = request;
    const totals = request.totals === true || request.rates === true;
    const chains = await readFamilies(this.#variant, totals);
    const options = {
      connections: true,
      totals,
      unsorted,
      ...(clients ? { clientsOf: countRecentClients } : {}),
    };
    const parts = families.map((family) => {
      const found = chains.get(family);
      return found === undefined ? [] : readRuleTable(found, family, options);
    });
    const table = joinFamilies(this.source, parts, { unsorted });
    if (server === undefined) return table;
    const name = virtualServerName(server);
    return {
      ...table,
      virtualServers: table.virtualServers.filter((row) => virtualServerName(row) === name),
    };
  }
}

/**
 * The chains of each family that has tables of the variant. Where there are none the tool is not run: it takes longer to
 * start than the kernel to ask, and the legacy one would make tables.
 */
async function readFamilies(variant: Variant, counters: boolean): Promise<ReadonlyMap<IpFamily, RuleChains>> {
  const used = variant === "legacy" ? families.filter(hasLegacyTables) : await familiesOfNft();
  const read = used.map(async (family) => [family, await readRules(variant, family, counters)] as const);
  return new Map(await Promise.all(read));
}

async function familiesOfNft(): Promise<readonly IpFamily[]> {
  using connection = openNetlink("netfilter");
  try {
    const tables = await listNftTables(connection);
    const isUsed = (family: "ip" | "ip6"): boolean =>
      tables.some((table) => table.family === family && (table.name === "nat" || table.name === "filter"));
    return families.filter((family) => isUsed(family === "IPv4" ? "ip" : "ip6"));
  } catch (error) {
    // A kernel without nftables.
    if (isKernelError(error, "unsupported") || isKernelError(error, "rejected")) return [];
    throw error;
  }
}

/** The flows of the families that the table has virtual servers of. */
async function forEachFlow(table: ServiceTable, onFlow: (flow: FlowView) => void): Promise<void> {
  const used = families.filter((family) => table.virtualServers.some((row) => row.family === family));
  if (used.length === 0) return;
  using connection = openNetlink("netfilter");
  for (const family of used) await dumpFlows(connection, { family, onFlow });
}

const protocolNames: ReadonlyMap<number, string> = new Map(
  Object.entries(protocolNumbers).map(([name, number]) => [number, name]),
);

function connectionOf(flow: FlowView): ConnectionRow {
  const protocol = protocolNames.get(flow.protocol) ?? String(flow.protocol);
  const { state } = flow;
  return {
    family: flow.family,
    protocol,
    expiresSeconds: flow.timeoutSeconds,
    state: (state === undefined ? undefined : flowStateName(flow.protocol, state)) ?? protocol,
    source: { address: flow.address("originalSource"), port: flow.originalSourcePort },
    virtual: { address: flow.address("originalDestination"), port: flow.originalDestinationPort },
    destination: { address: flow.address("replySource"), port: flow.replySourcePort },
  };
}
