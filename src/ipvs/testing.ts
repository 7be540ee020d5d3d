/**
 * A host in memory for ipvs mode: IPVS, ipsets, interfaces and iptables together. Imported by tests only.
 *
 * The parts are the fakes of their own folders, each tested against the real kernel's contract. Everything goes through
 * the same messages as on a real host, so requests can be counted and made to fail one by one.
 *
 * @module
 */
import { FakeKernel as FakeTables } from "../iptables/testing.ts";
import type { NetlinkConnection } from "../netlink/connection.ts";
import { entryText } from "../netlink/ipset-entry.ts";
import { type FakeKernel, type FakeRequest, fakeConnection, faultyKernel } from "../netlink/testing.ts";
import { FakeIpset } from "../netlink/testing-ipset.ts";
import { FakeRoute } from "../netlink/testing-route.ts";
import type { Family } from "../proxier/address.ts";
import type { SyncReport } from "../proxier/backend.ts";
import type { Problem } from "../proxier/objects.ts";
import type { PlannerSettings } from "../proxier/planner.ts";
import { address, cidr, FakeClock, PlannedCluster } from "../proxier/testing.ts";
import { IpvsBackend } from "./backend.ts";
import type { IpvsDoors, IpvsOptions } from "./backend-options.ts";
import { isOwnMark } from "./marks.ts";
import { IpvsClient } from "./netlink/client.ts";
import { realServerName } from "./netlink/real-server.ts";
import { FakeIpvs } from "./netlink/testing.ts";
import { virtualServerName } from "./netlink/virtual-server.ts";
import { commands } from "./netlink/wire.ts";
import { RuleKeeper } from "./rule-keeper.ts";
import type { RuleKernel } from "./rule-kernel.ts";
import type { RuleSettings } from "./rule-settings.ts";

/** Rules as on a modern kernel. */
export const ruleSettings: RuleSettings = {
  hairpin: "compare",
  dropInvalid: true,
  acceptServices: true,
  answerPing: true,
};

/** Which request is to fail: its error number, else undefined. */
export type Fault = (request: FakeRequest) => number | undefined;

/** A host. Its node address is 192.168.0.2 on interface 100. */
export class FakeHost {
  readonly ipvs: FakeIpvs;
  readonly ipset: FakeIpset = new FakeIpset();
  readonly route: FakeRoute = new FakeRoute(["dummy", "bridge"]);
  /** Iptables of each family. */
  readonly tables: Readonly<Record<Family, FakeTables>> = { IPv4: new FakeTables(), IPv6: new FakeTables() };
  /** Requests that change something, since the start. Reads are not counted. */
  changes = 0;
  /** Requests for the real servers of a virtual server, since the start. */
  realServerReads = 0;
  /** Characters of IPVS's table as text that are read at once: a few of its entries. */
  pieceLength = 500;
  /** IPVS's table as text. */
  tableText: () => string = () => this.ipvs.table();

  /** @param schedulers those that the kernel has */
  constructor(schedulers?: readonly string[]) {
    this.ipvs = new FakeIpvs(schedulers === undefined ? {} : { schedulers });
    this.route.links.set(2, {
      index: 2,
      name: "eth0",
      kind: undefined,
      up: true,
      loopback: false,
      mtu: 1500,
    });
    for (const [interfaceIndex, text] of [
      [1, "127.0.0.1"],
      [100, "192.168.0.2"],
      [100, "2001:db8::2"],
    ] as const) {
      this.addAddress(interfaceIndex, text);
    }
  }

  /** Puts an address on an interface, as somebody else does. */
  addAddress(interfaceIndex: number, text: string): void {
    const family = text.includes(":") ? "IPv6" : "IPv4";
    const prefixLength = family === "IPv4" ? 32 : 128;
    this.route.addresses.push({ family, address: text, prefixLength, interfaceIndex, scope: 0, flags: 0x80 });
  }

  /** Takes an address off its interface, as somebody else does. */
  removeAddress(text: string): void {
    const at = this.route.addresses.findIndex((one) => one.address === text);
    this.route.addresses.splice(at, 1);
  }

  /** The ways to this host. */
  doors(family: Family, settings: Partial<RuleSettings> = {}, fault: Fault = () => undefined): IpvsDoors {
    const open = (kernel: FakeKernel): NetlinkConnection => {
      const counted: FakeKernel = (request) => {
        this.changes += request.dump ? 0 : 1;
        this.realServerReads += kernel === this.ipvs.kernel && isRealServerRead(request) ? 1 : 0;
        return kernel(request);
      };
      return fakeConnection(faultyKernel(counted, fault));
    };
    return {
      ipvs: new IpvsClient(open(this.ipvs.kernel)),
      sets: open(this.ipset.kernel),
      route: open(this.route.kernel),
      table: { pieces: () => inPieces(this.tableText(), this.pieceLength), [Symbol.dispose]: () => {} },
      rules: new RuleKeeper(this.ruleKernel(family), { ...ruleSettings, ...settings }),
    };
  }

  /** The way to its iptables. */
  ruleKernel(family: Family): RuleKernel {
    const tables = this.tables[family];
    return {
      save: (push) => {
        push(tables.save());
        return Promise.resolve();
      },
      write: async (chunks) => {
        await tables.write(withoutDeletions([...chunks].join(""), tables));
        const text = `${this.tables.IPv4.save()}${this.tables.IPv6.save()}`;
        for (const [name, set] of this.ipset.sets) {
          set.references = text.split(` ${name} `).length - 1;
        }
      },
      hasChain: (table, chain) => tables.hasChain(table, chain),
      close: () => Promise.resolve(),
    };
  }

  /** Virtual servers with their real servers, as ipvsadm lists them but sorted, without counters. */
  async servers(): Promise<string> {
    using client = new IpvsClient(this.ipvs.open());
    const texts: string[] = [];
    for (const server of await client.listVirtualServers()) {
      const { scheduler, schedulerFlags = [], persistence } = server;
      const more = [
        ...schedulerFlags,
        ...(persistence === undefined ? [] : [`persistent ${persistence.timeoutSeconds}`]),
      ];
      const real = (await client.listRealServers(server)).map(
        (one) => `  -> ${realServerName(one)} ${one.weight}`,
      );
      const name =
        "firewallMark" in server ? this.#nameOfMark(server.firewallMark) : virtualServerName(server);
      texts.push([[name, scheduler, ...more].join(" "), ...real.sort()].join("\n"));
    }
    return texts
      .sort()
      .map((text) => `${text}\n`)
      .join("");
  }

  /** Entries of all sets, `SET ENTRY`, sorted. Marks are named by the first destination that has them. */
  entries(): readonly string[] {
    return [...this.ipset.sets]
      .flatMap(([name, { entries }]) =>
        [...entries.values()].map((entry) => {
          const mark = "mark" in entry && entry.mark !== undefined ? ` ${this.#nameOfMark(entry.mark)}` : "";
          return `${name} ${entryText(entry)}${mark}`;
        }),
      )
      .sort();
  }

  /** Addresses on kube-ipvs0, sorted. */
  bound(): readonly string[] {
    const device = [...this.route.links.values()].find(({ name }) => name === "kube-ipvs0");
    return this.route.addresses
      .filter(({ interfaceIndex }) => interfaceIndex === device?.index)
      .map((one) => one.address)
      .sort();
  }

  /** Everything but the rules, as text. */
  async dump(): Promise<string> {
    return [
      await this.servers(),
      ...this.entries().map((one) => `${one}\n`),
      `${this.bound().join(" ")}\n`,
    ].join("");
  }

  #nameOfMark(mark: number): string {
    const destinations = [...this.ipset.sets.values()].flatMap(({ entries }) =>
      [...entries.values()].filter((entry) => "mark" in entry && entry.mark === mark).map(entryText),
    );
    return isOwnMark(mark) ? `FWM(${destinations.sort()[0] ?? "nobody"})` : `FWM ${mark}`;
  }
}

function isRealServerRead({ payload, dump }: FakeRequest): boolean {
  return dump && payload[0] === commands.getDestination;
}

/** Cuts behind the line that makes a piece long enough, as the kernel gives whole entries; each when it is asked for. */
function* inPieces(text: string, length: number): Iterable<string> {
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf("\n", from + length);
    const to = end < 0 ? text.length : end + 1;
    yield text.slice(from, to);
    from = to;
  }
}

/** Carries out the deletions of single rules, which the fake tables do not know, and gives the rest of the text. */
function withoutDeletions(text: string, tables: FakeTables): readonly string[] {
  let table = "";
  const rest = text.split("\n").filter((line) => {
    table = line.startsWith("*") ? line.slice(1) : table;
    if (!line.startsWith("-D ")) {
      return true;
    }
    const [, chain = ""] = line.split(" ");
    tables.edit(table, chain, (lines) => lines.filter((one) => one !== line.replace("-D", "-A")));
    return false;
  });
  return [rest.join("\n")];
}

/** What a node is made of. */
export interface NodeOptions {
  readonly host?: FakeHost;
  readonly planner?: Partial<PlannerSettings>;
  readonly backend?: Partial<IpvsOptions>;
  readonly rules?: Partial<RuleSettings>;
  readonly fault?: Fault;
  readonly cluster?: PlannedCluster;
}

/** Options of a backend on node `here`, with a drain time of 15 minutes. */
export function backendOptions(fields: Partial<IpvsOptions> = {}): IpvsOptions {
  return {
    nodeName: "here",
    scheduler: "rr",
    reserved: { node: [address("192.168.0.2")], pods: [cidr("10.244.0.0/16")] },
    excludeCIDRs: [],
    drainMs: 900_000,
    hairpinSet: false,
    clock: new FakeClock(),
    onProblems: () => {},
    ...fields,
  };
}

/** A node: cluster, planner, backend and host together. */
export class FakeNode {
  readonly host: FakeHost;
  readonly cluster: PlannedCluster;
  readonly backend: IpvsBackend;
  readonly clock: FakeClock = new FakeClock();
  readonly problems: Map<string, readonly Problem[]> = new Map();

  constructor({ host = new FakeHost(), planner, backend, rules, fault, cluster }: NodeOptions = {}) {
    this.host = host;
    this.cluster = cluster ?? new PlannedCluster({ localhostNodePorts: false, ...planner });
    const options = backendOptions({
      clock: this.clock,
      onProblems: (service, problems) => this.problems.set(service, problems),
      ...backend,
    });
    const node = this.cluster.planner.plan.node;
    this.backend = new IpvsBackend(node, host.doors(node.family, rules, fault), options);
  }

  /** Plans what changed and programs it. */
  async sync(scope: "changes" | "everything" = "changes"): Promise<SyncReport> {
    const change = this.cluster.planner.take();
    return await this.backend.sync(this.cluster.planner.plan, scope === "everything" ? scope : change);
  }
}
