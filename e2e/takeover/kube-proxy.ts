/**
 * kube-proxy's part in the tests: puts a node into the state that it was recorded in, and writes its rules into a node
 * the way it does when it starts.
 *
 * @module
 */
import { AttributeWriter } from "../../src/netlink/attribute-writer.ts";
import { transactOne } from "../../src/netlink/connection.ts";
import { isKernelError } from "../../src/netlink/kernel-error.ts";
import { messageFlags } from "../../src/netlink/message.ts";
import { nfHeader, nfType } from "../../src/netlink/nfnetlink.ts";
import { openNetlink } from "../../src/netlink/socket.ts";
import type { Node } from "../harness/cluster.ts";
import type { Variant } from "../harness/iptables-variant.ts";
import { ipvsState, withGeneratedRules } from "./generated.ts";
import { golden } from "./testing-golden.ts";

const programs = ["iptables", "ip6tables"] as const;

/** Chains of Services, which kube-proxy deletes from the table nat when it does not want them. */
const sweptByKubeProxy = /^KUBE-(SVC|SVL|FW|EXT|SEP)-/;

/**
 * Loads the rules of iptables mode.
 *
 * @param more so many Services more than were recorded
 * @param keep which lines
 */
export async function leaveIptables(
  node: Node,
  variant: Variant,
  more = 0,
  keep: (line: string) => boolean = () => true,
): Promise<void> {
  makeCounters(node, variant);
  for (const program of programs) {
    const lines = rulesOfKubeProxy(variant, program, more).split("\n");
    const input = lines.filter(keep).join("\n");
    await node.exec([`${program}-${variant}-restore`, "--noflush"], { input });
  }
}

/** Loads the tables of nftables mode. */
export async function leaveNftables(node: Node): Promise<void> {
  await node.exec(["nft", "-f", "-"], { input: golden("nftables/all.nft") });
}

function rulesOfKubeProxy(variant: Variant, program: (typeof programs)[number], more: number): string {
  const recorded = golden(`iptables-${variant}/all.${program}-save`);
  return program === "iptables" ? withGeneratedRules(recorded, more) : recorded;
}

/** What is left out of a state of ipvs mode: each function gets lines and gives those that are there. */
export interface IpvsParts {
  readonly sets?: (lines: string) => string;
  readonly rules?: (lines: string) => string;
  readonly servers?: (lines: string) => string;
  readonly addresses?: (lines: string) => string;
}

/** Loads sets, rules, virtual servers, device and switches of ipvs mode, with those of so many Services more. */
export async function leaveIpvs(node: Node, more = 0, parts: IpvsParts = {}): Promise<void> {
  const whole = (lines: string): string => lines;
  const { sets = whole, rules = whole, servers = whole, addresses = whole } = parts;
  const state = ipvsState(more);
  await node.exec(["ipset", "restore"], { input: sets(state.sets) });
  for (const program of programs) {
    const input = rules(golden(`ipvs/all.${program}-save`));
    await node.exec([`${program}-legacy-restore`, "--noflush"], { input });
  }
  await node.exec(["ipvsadm", "-R"], { input: servers(state.servers) });
  await node.namespace.ip([
    "link add kube-ipvs0 type dummy",
    ...addresses(state.addresses.map((address) => `addr add ${address} dev kube-ipvs0`).join("\n"))
      .split("\n")
      .filter((line) => line !== ""),
  ]);
  node.namespace.setSysctls({
    "net/ipv4/vs/conntrack": 1,
    "net/ipv4/vs/conn_reuse_mode": 1,
    "net/ipv4/vs/expire_nodest_conn": 1,
    "net/ipv4/vs/expire_quiescent_template": 1,
  });
}

/** The objects that kube-proxy's rules count with: NFNL_MSG_ACCT_NEW with name and two counts. */
function makeCounters(node: Node, variant: Variant): void {
  const text = golden(`iptables-${variant}/all.iptables-save`);
  const names = new Set([...text.matchAll(/--nfacct-name +(\S+)/g)].map(([, name = ""]) => name));
  const flags = messageFlags.create | messageFlags.exclusive;
  using connection = node.namespace.enter(() => openNetlink("netfilter"));
  for (const name of names) {
    const payload = new AttributeWriter(nfHeader(0)).string(1, name).be64(2, 0n).be64(3, 0n).finish();
    try {
      transactOne(connection, { operation: `make counter ${name}`, type: nfType(7, 0), flags, payload });
    } catch (error) {
      if (!isKernelError(error, "exists")) throw error;
    }
  }
}

/**
 * What kube-proxy does in its first sync on a node that has rules already: jumps that are missing are inserted, its chains
 * are written anew, and chains of Services that it does not want are deleted, in the table nat only.
 */
export async function startKubeProxy(node: Node, variant: Variant, more = 0): Promise<void> {
  makeCounters(node, variant);
  for (const program of programs) {
    const tables = parseTables(rulesOfKubeProxy(variant, program, more));
    for (const [table, { builtIn }] of tables) {
      for (const rule of builtIn) {
        await ensureRule(node, [`${program}-${variant}`, "-t", table], rule);
      }
    }
    const present = await node.exec([`${program}-${variant}-save`, "-t", "nat"]);
    const input = [...tables].map(([table, { chains, rules }]) => {
      const stale = [...present.stdout.matchAll(/^:(\S+)/gm)]
        .map(([, name = ""]) => name)
        .filter((name) => table === "nat" && sweptByKubeProxy.test(name) && !chains.includes(name));
      return [
        `*${table}`,
        ...[...chains, ...stale].map((name) => `:${name} - [0:0]`),
        ...rules,
        ...stale.map((name) => `-X ${name}`),
        "COMMIT\n",
      ].join("\n");
    });
    await node.exec([`${program}-${variant}-restore`, "-w", "5", "--noflush"], { input: input.join("") });
  }
}

interface SavedTable {
  readonly chains: string[];
  /** Of chains. */
  readonly rules: string[];
  /** Rules of built-in chains, without the command. */
  readonly builtIn: string[];
}

function parseTables(text: string): ReadonlyMap<string, SavedTable> {
  const tables = new Map<string, SavedTable>();
  let table: SavedTable = { chains: [], rules: [], builtIn: [] };
  for (const line of text.split("\n")) {
    const [, name] = /^\*(\w+)/.exec(line) ?? [];
    const [, chain] = /^:(\S+) -/.exec(line) ?? [];
    if (name !== undefined) {
      table = { chains: [], rules: [], builtIn: [] };
      tables.set(name, table);
    } else if (chain !== undefined) {
      table.chains.push(chain);
    } else if (line.startsWith("-A ")) {
      const [, from = ""] = line.split(" ");
      if (table.chains.includes(from)) table.rules.push(line);
      else table.builtIn.push(line.slice("-A ".length));
    }
  }
  return tables;
}

/** `iptables -C`, and without it `iptables -I`. */
async function ensureRule(node: Node, command: readonly string[], rule: string): Promise<void> {
  const words = [...rule.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
  const { status } = await node.exec([...command, "-w", "5", "-C", ...words], { anyStatus: true });
  if (status !== 0) {
    await node.exec([...command, "-w", "5", "-I", ...words]);
  }
}
