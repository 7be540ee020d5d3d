/**
 * What ipvs mode would make of a Plan, as text: the rules, the sets, the virtual servers and the addresses, each in the
 * words of the tool that prints it.
 *
 * Pure. Equal Plans give equal text. Nothing of this is run: the program itself speaks to the kernel.
 *
 * @module
 */
import { renderEdit, renderRule, tableBlock } from "../iptables/builder/render.ts";
import { localhostDestinations, localhostService } from "../iptables/localhost-plan.ts";
import { renderPlan } from "../iptables/render-plan.ts";
import { entryText, type SetEntry } from "../netlink/ipset-entry.ts";
import type { Address } from "../proxier/address.ts";
import type { Plan, ServicePlan } from "../proxier/plan.ts";
import { fixedJumps, ruleTables } from "./fixed-chains.ts";
import { fixedChains } from "./fixed-rules.ts";
import { LocalAddresses, type ReservedAddresses } from "./local-addresses.ts";
import { localhostRuleSettings } from "./localhost-node-ports.ts";
import { MarkAllocator } from "./marks.ts";
import { formatTable } from "./netlink/format.ts";
import type { TableEntry } from "./netlink/table-entry.ts";
import type { RuleSettings } from "./rule-settings.ts";
import { ServiceBook } from "./service-book.ts";
import type { ServiceTables } from "./service-tables.ts";
import { type SetRole, setDefinition, setName, setRoles } from "./sets.ts";
import { entryKey, serverKey, WantedState } from "./wanted-state.ts";

/** What the text depends on besides the Plan. */
export interface RenderSettings {
  readonly nodeName: string;
  /** The scheduler of Services that ask for none. */
  readonly scheduler: string;
  readonly rules: RuleSettings;
  readonly reserved: ReservedAddresses;
  /** The node's addresses, without those of kube-ipvs0. */
  readonly localAddresses: readonly Address[];
}

/** The parts of the text, each as input of the tool named. */
export interface RenderedIpvs {
  /** `iptables-restore --noflush` */
  readonly rules: string;
  /** `ipset restore` */
  readonly sets: string;
  /** `ipvsadm -R` */
  readonly servers: string;
  /** `ip -batch -` */
  readonly addresses: string;
}

/** What the kernel would hold. */
export interface IpvsContents {
  /** `iptables-restore --noflush` */
  readonly rules: string;
  /** Entries of the sets that have any. */
  readonly entries: ReadonlyMap<SetRole, readonly SetEntry[]>;
  readonly servers: readonly TableEntry[];
  /** On kube-ipvs0. */
  readonly addresses: readonly Address[];
}

/** Renders a Plan. */
export function renderIpvs(plan: Plan, settings: RenderSettings): RenderedIpvs {
  const { family } = plan.node;
  const { rules, entries, servers, addresses } = ipvsContents(plan, settings);
  return {
    rules,
    sets: renderSets(plan, entries),
    servers: formatTable(servers),
    addresses: [
      "link add kube-ipvs0 type dummy",
      ...addresses.map((address) => `addr add ${address}/${family === "IPv4" ? 32 : 128} dev kube-ipvs0`),
      "",
    ].join("\n"),
  };
}

/** What ipvs mode would have the kernel hold for a Plan. */
export function ipvsContents(plan: Plan, settings: RenderSettings): IpvsContents {
  const { family } = plan.node;
  const local = new LocalAddresses(family, settings.reserved);
  local.replace(settings.localAddresses);
  const book = new ServiceBook(
    { ...settings, family, hairpinSet: settings.rules.hairpin === "set" },
    local,
    new MarkAllocator(),
    () => {},
  );
  book.setNodePorts(local.nodePortAddresses(plan.node.nodePorts));
  const wanted = new WantedState();
  const all = new Map<string, ServiceTables>([["node", book.nodeTables()]]);
  for (const [key, service] of [...plan.services].sort(([a], [b]) => (a < b ? -1 : 1))) {
    all.set(key, book.tables(key, service));
  }
  for (const [owner, tables] of all) {
    wanted.fold(owner, tables);
  }
  return {
    rules: renderLocalhost(plan) + renderRules(plan, settings.rules),
    entries: heldEntries(all, wanted),
    servers: [...heldServers(all, wanted)],
    addresses: [...new Set([...all.values()].flatMap((tables) => tables.addresses))],
  };
}

function* heldServers(all: ReadonlyMap<string, ServiceTables>, wanted: WantedState): Iterable<TableEntry> {
  for (const [owner, { servers }] of all) {
    for (const { name, server, realServers } of servers) {
      if (wanted.isHeldBy(serverKey(name), owner)) {
        const real = realServers.map(({ address, port, weight }) => {
          return { address, port, weight, forwarding: "masquerade" } as const;
        });
        yield { server, realServers: real };
      }
    }
  }
}

function heldEntries(
  all: ReadonlyMap<string, ServiceTables>,
  wanted: WantedState,
): ReadonlyMap<SetRole, readonly SetEntry[]> {
  const entries = new Map<SetRole, Map<string, SetEntry>>();
  for (const [owner, tables] of all) {
    for (const one of tables.entries) {
      if (one.rank === undefined || wanted.isHeldBy(entryKey(one), owner)) {
        const ofRole = entries.get(one.role) ?? new Map<string, SetEntry>();
        entries.set(one.role, ofRole.set(entryText(one.entry), one.entry));
      }
    }
  }
  return new Map([...entries].map(([role, ofRole]) => [role, [...ofRole.values()]]));
}

function renderSets({ node }: Plan, entries: IpvsContents["entries"]): string {
  const lines = setRoles.map((role) => {
    const { name, type, family, maximumElements, marks } = setDefinition(role, node.family);
    return family === undefined
      ? `create ${name} ${type} range 0-65535`
      : `create ${name} ${type} family ${family === "IPv4" ? "inet" : "inet6"} maxelem ${maximumElements}${marks === true ? " skbinfo" : ""}`;
  });
  const added = [...entries].flatMap(([role, ofRole]) =>
    ofRole.map((entry) => {
      const mark = "mark" in entry && entry.mark !== undefined ? ` skbmark 0x${entry.mark.toString(16)}` : "";
      return `add ${setName(role, node.family)} ${entryText(entry)}${mark}`;
    }),
  );
  return [...lines, ...added.sort(), ""].join("\n");
}

/** What the fixed rules lead to comes before them. */
function renderLocalhost({ node, services }: Plan): string {
  if (localhostDestinations(node).length === 0) {
    return "";
  }
  const own = new Map<string, ServicePlan>();
  for (const [key, service] of services) {
    const wanted = localhostService(service);
    if (wanted !== undefined) {
      own.set(key, wanted);
    }
  }
  return renderPlan({ node, services: own }, localhostRuleSettings).text;
}

function renderRules({ node }: Plan, settings: RuleSettings): string {
  const chains = fixedChains(node, settings);
  return ruleTables
    .map((table) => {
      const own = chains.filter((chain) => chain.table === table);
      const jumps = fixedJumps.filter((jump) => jump.table === table);
      return tableBlock(table, [
        ...own.map(({ name }) => `:${name} - [0:0]`),
        ...own.flatMap(({ name, rules }) => rules.map((rule) => renderRule(name, rule))),
        ...jumps.map(({ from, rule }) => renderEdit({ operation: "insert", chain: from, rule })),
      ]);
    })
    .join("");
}
