/**
 * `kube-sluice ipvsadm -Ln` beside the bare tools, on a large table: time from start to end, and memory.
 *
 * On a host it measures iptables mode, in a network namespace of its own, beside `iptables-save`; in a guest of User Mode
 * Linux ipvs mode, beside ipvsadm. The two take turns; what they print goes to /dev/null.
 *
 * ```
 * node bench/inspect.ts 10000 10
 * e2e/uml/run.sh -m 2G node_modules/.bin/node bench/inspect.ts 10000 10
 * ```
 *
 * @module
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runCommand } from "../e2e/harness/command.ts";
import type { Variant } from "../e2e/harness/iptables-variant.ts";
import { createNamespaces, type Namespace, removeNamespaces } from "../e2e/harness/namespace.ts";
import { ScratchFolder } from "../e2e/harness/scratch.ts";
import { renderPlan } from "../src/iptables/render-plan.ts";
import { IpvsClient } from "../src/ipvs/netlink/client.ts";
import { addRealServerRequest, addVirtualServerRequest } from "../src/ipvs/netlink/requests.ts";
import type { IpvsRequest } from "../src/ipvs/netlink/wire.ts";
import { openNetlink } from "../src/netlink/socket.ts";
import { endpoint, PlannedCluster, service, slice } from "../src/proxier/testing.ts";
import { iptablesProgram } from "./bare-restore.ts";
import { against, median, printFigure } from "./figure.ts";
import { cpuMs, memoryMB } from "./process-usage.ts";

/** Runs of each of the two. */
const rounds = 3;

/** Between two looks at a process, in milliseconds. */
const pollMs = 5;

/** Rules of one COMMIT. */
const servicesPerCommit = 250;

/** Where `bin/kube-sluice` has Node keep compiled code. */
const compileCache = fileURLToPath(new URL("../.cache/compile", import.meta.url));

const bundle = fileURLToPath(new URL("../dist/kube-sluice.cjs", import.meta.url));

/** As `bin/kube-sluice` starts it, without looking whether a source is newer. */
const flags = ["--max-semi-space-size=2", "--initial-old-space-size=160", "--v8-pool-size=1", "--expose-gc"];
const ours = [process.execPath, ...flags, bundle, "ipvsadm", "-Ln"];

interface Run {
  readonly ms: number;
  readonly mostMB: number;
  /** CPU time of the process and its children, as far as it was seen. */
  readonly cpu: number;
}

/** Runs a program to its end in a namespace, or in that of this process. */
async function measure(
  argv: readonly string[],
  namespace: Namespace | undefined,
  env: NodeJS.ProcessEnv,
): Promise<Run> {
  const stdio: ["ignore", "ignore", "inherit"] = ["ignore", "ignore", "inherit"];
  const withCache = { ...env, NODE_COMPILE_CACHE: compileCache };
  const [program = "", ...args] = argv;
  const startedAt = performance.now();
  const child =
    namespace === undefined
      ? spawn(program, args, { stdio, env: withCache })
      : namespace.spawn(argv, { stdio, env: withCache });
  let [mostMB, cpu] = [0, 0];
  const timer = setInterval(() => {
    try {
      mostMB = Math.max(mostMB, memoryMB(child.pid ?? 0).most);
      const { own, children } = cpuMs(child.pid ?? 0);
      cpu = Math.max(cpu, own + children);
    } catch {
      // It has just ended.
    }
  }, pollMs);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  clearInterval(timer);
  if (status !== 0) throw new Error(`Cannot measure: ${argv.join(" ")} ended with ${status}`);
  return { ms: performance.now() - startedAt, mostMB, cpu };
}

interface Subject {
  readonly figure: string;
  readonly variant?: Variant;
  readonly services: number;
  readonly endpoints: number;
}

async function compare(
  subject: Subject,
  bare: readonly string[],
  namespace: Namespace | undefined,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const [bareRuns, ourRuns]: [Run[], Run[]] = [[], []];
  // The first of each fills caches.
  for (let round = 0; round <= rounds; round++) {
    const [one, other] = [await measure(bare, namespace, env), await measure(ours, namespace, env)];
    if (round === 0) continue;
    bareRuns.push(one);
    ourRuns.push(other);
  }
  const value = median(ourRuns.map(({ ms }) => ms));
  printFigure({
    ...subject,
    value,
    unit: "ms",
    ...against(median(bareRuns.map(({ ms }) => ms)), value),
    n: rounds,
    command: bare.join(" "),
    detail: {
      mostMB: median(ourRuns.map(({ mostMB }) => mostMB)),
      bareMostMB: median(bareRuns.map(({ mostMB }) => mostMB)),
      cpuMs: median(ourRuns.map(({ cpu }) => cpu)),
      bareCpuMs: median(bareRuns.map(({ cpu }) => cpu)),
    },
  });
}

function numbered(high: number, number: number): string {
  return `10.${high + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
}

/** The rules of so many Services as restore text, a part of it to a COMMIT. */
function rulesOf(services: number, endpoints: number): readonly string[] {
  const cluster = new PlannedCluster();
  for (let index = 0; index < services; index++) {
    const addresses = Array.from({ length: endpoints }, (_, place) =>
      numbered(128, index * endpoints + place),
    );
    cluster.put(
      service({ name: `web-${index}`, clusterIP: numbered(96, index) }),
      slice(
        addresses.map((address) => endpoint(address)),
        { name: `web-${index}-x`, serviceName: `web-${index}` },
      ),
    );
  }
  cluster.planner.take();
  const { text } = renderPlan(cluster.planner.plan, { layout: "lean", dropInvalid: true });
  return inBlocks(text);
}

/** The text's nat table cut behind chains: iptables-nft takes time quadratic in the length of one COMMIT. */
function inBlocks(text: string): readonly string[] {
  const blocks: string[] = [];
  let table = "";
  let lines: string[] = [];
  let chains = 0;
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) table = line;
    if (line.startsWith(":") && ++chains > servicesPerCommit) {
      blocks.push(`${lines.join("\n")}\nCOMMIT\n`);
      lines = [table];
      chains = 0;
    }
    lines.push(line);
  }
  return [...blocks, lines.join("\n")];
}

async function measureIptables(services: number, endpoints: number): Promise<void> {
  using folder = new ScratchFolder("bench-inspect");
  const env = { ...process.env, XTABLES_LOCKFILE: `${folder.path}/xtables.lock` };
  const input = rulesOf(services, endpoints).join("");
  for (const variant of ["nft", "legacy"] as const) {
    const namespaces = await createNamespaces(["node"]);
    try {
      const [node] = namespaces;
      const program = iptablesProgram(variant);
      await node.exec([program, "iptables-restore", "-w", "5", "--noflush"], {
        env,
        input,
        timeoutSeconds: 200,
      });
      const subject = { figure: "ipvsadm-iptables", variant, services, endpoints };
      await compare(subject, [program, "iptables-save"], node, env);
    } finally {
      await removeNamespaces(namespaces);
    }
  }
}

function* requestsOf(client: IpvsClient, services: number, endpoints: number): Generator<IpvsRequest> {
  for (let index = 0; index < services; index++) {
    const server = { protocol: "TCP", address: numbered(96, index), port: 80, scheduler: "rr" } as const;
    yield addVirtualServerRequest(client.family, server);
    for (let place = 0; place < endpoints; place++) {
      const address = numbered(128, index * endpoints + place);
      const real = { address, port: 8080, forwarding: "masquerade", weight: 1 } as const;
      yield addRealServerRequest(client.family, server, real);
    }
  }
}

async function measureIpvs(services: number, endpoints: number): Promise<void> {
  using client = new IpvsClient(openNetlink("generic"));
  await client.transactEach(requestsOf(client, services, endpoints), ({ error }) => {
    if (error !== undefined) throw error;
  });
  const subject = { figure: "ipvsadm-ipvs", services, endpoints };
  await compare(subject, ["ipvsadm", "-Ln"], undefined, process.env);
}

const [services = 10_000, endpoints = 10] = process.argv.slice(2).map(Number);
if (readFileSync("/proc/cmdline", "utf8").includes("umljob=")) {
  await measureIpvs(services, endpoints);
} else {
  await runCommand([process.execPath, fileURLToPath(new URL("../scripts/build.ts", import.meta.url))], {
    timeoutSeconds: 120,
  });
  await measureIptables(services, endpoints);
}
