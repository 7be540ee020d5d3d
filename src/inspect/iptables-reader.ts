/**
 * The table that the iptables rules of this host make, with the connections of conntrack.
 *
 * @module
 */
import type { Variant } from "../iptables/tools.ts";
import type { SyncDaemon } from "../ipvs/netlink/sync-daemon.ts";
import type { Timeouts } from "../ipvs/netlink/timeouts.ts";
import { virtualServerName } from "../ipvs/netlink/virtual-server.ts";
import { protocolNumbers } from "../netlink/flow-key.ts";
import { flowStateName } from "../netlink/flow-state.ts";
import type { FlowView } from "../netlink/flow-view.ts";
import type { IpFamily } from "../netlink/ip-address.ts";
import { type FlowBook, FlowTally } from "./flow-tally.ts";
import { countRecentClients, hasLegacyTables, readRules, readSysctl } from "./host-kernel.ts";
import { findFrontends, type RuleFrontend, sortFrontends } from "./read-iptables.ts";
import type { RuleChains } from "./rule-chains.ts";
import type { AffinityMemory } from "./rule-pools.ts";
import { type ConnectionRow, rowsFrom, type ServiceTable } from "./service-table.ts";
import { rateTable } from "./table-rates.ts";
import type { NamedServer, TableReader, TableRequest } from "./table-reader.ts";

const families: readonly IpFamily[] = ["IPv4", "IPv6"];

/** What is asked over netlink. */
const openTables = (): Promise<typeof import("./host-tables.ts")> => import("./host-tables.ts");

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

  async connections(visit: (row: ConnectionRow, server: NamedServer | undefined) => void): Promise<void> {
    const frontends = await this.#frontends({});
    const tally = new FlowTally(frontends);
    const { forEachFlow } = await openTables();
    await forEachFlow(familiesOf(frontends), (flow) => {
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
    const frontends = await this.#frontends(request);
    const traffic = request.totals === true || request.rates === true;
    const tally = new FlowTally(frontends, { traffic, ...books });
    const at = this.#clock.now();
    const { forEachFlow } = await openTables();
    await forEachFlow(familiesOf(frontends), (flow) => tally.add(flow));
    const counting = readSysctl("net/netfilter/nf_conntrack_acct") === 1;
    const virtualServers = rowsFrom(frontends, (frontend) => tally.count(frontend, frontend.row(), counting));
    return { table: { source: this.source, virtualServers }, at };
  }

  /** The virtual servers of both families, without connections. */
  async #frontends(request: TableRequest): Promise<readonly RuleFrontend[]> {
    const { clients = false, unsorted = false, server } = request;
    const totals = request.totals === true || request.rates === true;
    // The tool is started first; what else is needed is loaded while it runs.
    const reading = readFamilies(this.#variant, totals);
    const [chains, { countSetEntries }] = await Promise.all([reading, openTables()]);
    const sets = clients ? await countSetEntries() : undefined;
    const clientsOf = ({ kind, name }: AffinityMemory): number | undefined =>
      kind === "set" ? sets?.get(name) : countRecentClients(name);
    const options = { connections: true, totals, unsorted, ...(clients ? { clientsOf } : {}) };
    const found = families.flatMap((family) => {
      const one = chains.get(family);
      return one === undefined ? [] : findFrontends(one, family, options);
    });
    if (server === undefined) return unsorted ? found : sortFrontends(found);
    const name = virtualServerName(server);
    return found.filter((frontend) => virtualServerName(frontend) === name);
  }
}

/**
 * The chains of each family that has tables of the variant. Where there are none the tool is not run: it takes longer to
 * start than the kernel to ask, and the legacy one would make tables.
 */
async function readFamilies(variant: Variant, counters: boolean): Promise<ReadonlyMap<IpFamily, RuleChains>> {
  const used =
    variant === "legacy" ? families.filter(hasLegacyTables) : await (await openTables()).familiesOfNft();
  const read = used.map(async (family) => [family, await readRules(variant, family, counters)] as const);
  return new Map(await Promise.all(read));
}

/** The families that there are virtual servers of. */
function familiesOf(frontends: readonly RuleFrontend[]): readonly IpFamily[] {
  return families.filter((family) => frontends.some((frontend) => frontend.family === family));
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
