/**
 * Runs the flow cases with real packets against the product's ipvs backend, for a kernel that has IPVS.
 *
 * ```
 * e2e/uml/run.sh node_modules/.bin/node e2e/ipvs/flows.ts [TEXT]
 * ```
 *
 * TEXT picks the cases with it in their name. Prints a line for each flow that fails, then the totals. Flows that the
 * kernel makes impossible (exceptions.ts) must do what is written there, and `explain` must have said so before. Exit status: 0 all hold, 1 some do not.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { IpvsClient } from "../../src/ipvs/netlink/client.ts";
import type { ObservedTableEntry } from "../../src/ipvs/netlink/table-entry.ts";
import { openNetlink } from "../../src/netlink/socket.ts";
import { parseAddress } from "../../src/proxier/address.ts";
import type { SyncReport } from "../../src/proxier/backend.ts";
import { type FlowCase, loadCases } from "../cases/cases.ts";
import { contradictions, type ExplainedFlow, explainFlows } from "../flows/explained.ts";
import { type FlowContext, type FlowResult, runFlowCase } from "../flows/run-flow-case.ts";
import type { Namespace } from "../harness/namespace.ts";
import { planCluster } from "../oracle/planned-node.ts";
import { chosenByAddress, exceptionalFate } from "./exceptions.ts";
import { openWholeBackend } from "./namespace-host.ts";

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function apply(context: FlowContext): Promise<void> {
  const { node, variant, env, flowCase } = context;
  const { plan } = planCluster(flowCase);
  const { detector } = plan.node;
  const own = [flowCase.node.ips.IPv4, flowCase.node.ips.IPv6].flatMap(
    (text) => parseAddress(text ?? "") ?? [],
  );
  const signal = new AbortController().signal;
  const backend = openWholeBackend({ node, variant, env }, plan.node, {
    nodeName: flowCase.node.name,
    reserved: { node: own, pods: detector?.kind === "cidr" ? [detector.cidr] : [] },
  });
  const report = await backend.sync(plan, "everything", signal);
  for (const { service, reason } of report.quarantined) print(`${flowCase.name}: ${service}: ${reason}`);
  checkQuiet(await backend.sync(plan, "everything", signal));
  await backend.close();
  if (plan.node.family === "IPv6") await settleIPv6(node);
}

/** A second look finds everything as it was written. */
function checkQuiet({ written, removed }: SyncReport): void {
  if (written + removed > 0)
    throw new Error(`A sync with nothing changed wrote ${written}, removed ${removed}`);
}

/** The kernel makes the local route of a new IPv6 address a moment later, when its work queue gets to it. */
async function settleIPv6(node: Namespace): Promise<void> {
  const addresses = (await node.exec(["ip", "-6", "-o", "addr", "show", "dev", "kube-ipvs0"])).stdout;
  const wanted = [...addresses.matchAll(/inet6 ([0-9a-f:]+)\//g)].map(([, address]) => address ?? "");
  for (;;) {
    const { stdout } = await node.exec(["ip", "-6", "route", "show", "table", "local"]);
    if (wanted.every((address) => stdout.includes(`local ${address} dev kube-ipvs0`))) return;
    await wait(10);
  }
}

/**
 * Makes IPVS forget which client went where: what is bound to a virtual server goes with it, once the kernel's work
 * queue has got to it.
 */
async function forgetAffinity(node: Namespace): Promise<void> {
  using client = node.enter(() => new IpvsClient(openNetlink("generic")));
  const entries: ObservedTableEntry[] = [];
  for (const server of await client.listVirtualServers()) {
    entries.push({ server, realServers: await client.listRealServers(server) });
  }
  client.flush();
  const connections = (): string =>
    node.enter(() => readFileSync("/proc/thread-self/net/ip_vs_conn", "utf8"));
  while (connections().trim().split("\n").length > 1) await wait(10);
  for (const { server, realServers } of entries) {
    client.addVirtualServer(server);
    // Round robin begins at the one that was added last, so the order must not be the same each time.
    for (const real of shuffled(realServers)) client.addRealServer(server, real);
  }
}

function shuffled<T>(items: readonly T[]): readonly T[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

/** Whether a client of this flow sees one of the endpoints only, while explain names all. */
function isChosenByAddress({ name }: FlowCase, flow: string): boolean {
  return chosenByAddress[name]?.includes(flow) === true;
}

/** Whether a flow did what it had to. */
function holds(flowCase: FlowCase, { flow, got, want, ok }: FlowResult): boolean {
  if (isChosenByAddress(flowCase, flow.name)) {
    return got.length === 1 && want.includes(got[0] ?? "");
  }
  const instead = exceptionalFate(flowCase.name, flow.name);
  return instead === undefined ? ok : got.length === 1 && got[0] === instead;
}

async function runCase(flowCase: FlowCase): Promise<{ readonly flows: number; readonly failed: number }> {
  try {
    let explained: readonly ExplainedFlow[] = [];
    const results = await runFlowCase(flowCase, {
      variant: "legacy",
      mode: "ipvs",
      apply: async (context) => {
        await apply(context);
        explained = await explainFlows(context, "ipvs");
      },
      forgetAffinity,
    });
    const failed = results.filter((result) => !holds(flowCase, result));
    for (const { flow, got, want } of failed) {
      print(`${flowCase.name}: ${flow.name}: want ${want.join(" | ")}, got ${got.join(" | ")}`);
    }
    const contradicted = contradictions(
      results.filter(({ flow }) => !isChosenByAddress(flowCase, flow.name)),
      explained,
    );
    for (const line of contradicted) print(`${flowCase.name}: ${line}`);
    return { flows: results.length, failed: Math.max(failed.length, contradicted.length) };
  } catch (error) {
    print(`${flowCase.name}: ${error instanceof Error ? error.stack : String(error)}`);
    return { flows: 1, failed: 1 };
  }
}

async function main(only: string): Promise<number> {
  const cases = loadCases().filter(
    ({ backends, name }) => backends.includes("iptables") && name.includes(only),
  );
  let flows = 0;
  let failed = 0;
  for (const flowCase of cases) {
    const tally = await runCase(flowCase);
    flows += tally.flows;
    failed += tally.failed;
  }
  print(`${flows - failed}/${flows} flows, ${cases.length} cases`);
  return failed === 0 && flows > 0 ? 0 : 1;
}

process.exitCode = await main(process.argv[2] ?? "");
