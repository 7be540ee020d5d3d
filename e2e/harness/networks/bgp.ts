/**
 * Calico with BGP: BIRD on each node tells the others, or a route reflector, which pods it has, and lays the routes that
 * it learns.
 *
 * The configuration is that of calico-node: one session for each family and neighbour within one AS, the node's block of
 * addresses as a blackhole with the pods' own routes before it, and nothing learnt from the links of pods and Services. A pod
 * whose address is of another node's block is made known by a route of its own.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { NetworkNode, NodeAddresses, PodNetwork } from "../pod-network.ts";
import { unpackedEnv, unpackedProgram } from "../unpacked.ts";
import { calico } from "./calico.ts";

/** Who talks to whom. */
export type Topology =
  /** Every node to every other. */
  | "mesh"
  /** Every node to the first, which passes on what it learns. */
  | "reflector";

const as = 64_512;

/** Calico with BGP. */
export function bgp(topology: Topology = "mesh"): PodNetwork {
  const base = calico(topology === "mesh" ? "bgp" : "bgp-reflector");
  return {
    ...base,
    connect: () => [],
    disconnect: () => [],
    start: async (node, others) => {
      await base.start?.(node, others);
      await startBird(node, others, topology);
    },
    stop: async (node) => {
      await stopBird(node);
      await base.stop?.(node);
    },
  };
}

const running = new Map<string, () => Promise<void>>();

async function startBird(
  node: NetworkNode,
  others: readonly NodeAddresses[],
  topology: Topology,
): Promise<void> {
  const file = join(node.directory, "bird.conf");
  writeFileSync(file, configurationOf(node.addresses, others, topology));
  const argv = [unpackedProgram("bird"), "-f", "-c", file, "-s", join(node.directory, "bird.ctl")];
  const child = node.spawn(argv, { env: unpackedEnv, stdio: ["ignore", "ignore", "pipe"] });
  let complaint = "";
  child.stderr?.on("data", (data: Buffer) => {
    complaint += data.toString();
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  running.set(node.namespace.name, async () => {
    // It takes the routes away that it has laid.
    child.kill("SIGTERM");
    await ended;
  });
  const ranges = others.flatMap(({ podCidr, podCidr6 = "" }) => [podCidr, podCidr6]);
  const deadline = performance.now() + 30_000;
  for (;;) {
    const shown = await Promise.all(
      ["-4", "-6"].map((family) => node.exec(["ip", family, "route", "show", "proto", "bird"])),
    );
    const text = shown.map(({ stdout }) => stdout).join("");
    if (ranges.every((range) => text.includes(range))) return;
    if (child.exitCode !== null || performance.now() > deadline) {
      throw new Error(`Cannot wait any longer for BIRD's routes on ${node.name}: ${text}\n${complaint}`);
    }
    await wait(100);
  }
}

async function stopBird(node: NetworkNode): Promise<void> {
  const stop = running.get(node.namespace.name);
  running.delete(node.namespace.name);
  await stop?.();
}

function configurationOf(own: NodeAddresses, others: readonly NodeAddresses[], topology: Topology): string {
  const first = [own, ...others].map(({ ip }) => lastOctet(ip)).toSorted((a, b) => a - b)[0];
  const isFirst = lastOctet(own.ip) === first;
  const neighbours =
    topology === "mesh" || isFirst ? others : others.filter(({ ip }) => lastOctet(ip) === first);
  const client = topology === "reflector" && isFirst ? " rr client;" : "";
  const sessions = neighbours.flatMap(({ ip, ip6 }) => [
    session(4, own.ip, ip, client, own.podCidr),
    ...(own.ip6 === undefined || ip6 === undefined
      ? []
      : [session(6, own.ip6, ip6, client, own.podCidr6 ?? "")]),
  ]);
  const pods = { ipv4: "10.244.0.0/16{32,32}", ipv6: "fd00:244::/32{128,128}" };
  const blocks = [
    `protocol static { ipv4; route ${own.podCidr} blackhole; }`,
    ...(own.podCidr6 === undefined ? [] : [`protocol static { ipv6; route ${own.podCidr6} blackhole; }`]),
  ];
  return [
    "log stderr { warning, error, fatal };",
    `router id ${own.ip};`,
    "protocol device { scan time 2; }",
    'protocol direct { ipv4; ipv6; interface -"cali*", -"kube-ipvs*", "*"; }',
    ...Object.entries(pods).map(
      ([family, routes]) =>
        `protocol kernel { learn; scan time 2; ${family} { import where net ~ [${routes}]; export where source ~ [RTS_BGP, RTS_STATIC]; }; }`,
    ),
    ...blocks,
    ...sessions,
    "",
  ].join("\n");
}

function session(family: 4 | 6, local: string, neighbour: string, options: string, block: string): string {
  const name = `s${family}_${lastOctet(neighbour)}`;
  const exported = family === 4 ? "10.244.0.0/16+" : "fd00:244::/32+";
  return [
    `protocol bgp ${name} { local ${local} as ${as}; neighbor ${neighbour} as ${as};${options}`,
    " connect delay time 1; connect retry time 1; error wait time 1, 2; graceful restart;",
    ` ipv${family} { import all; export where net ~ [${exported}] && (source ~ [RTS_STATIC, RTS_BGP] || net !~ [${block}+]);`,
    options === "" ? " next hop self;" : "",
    " }; }",
  ].join("");
}

/** Of an IPv4 or IPv6 node address: both end in the node's number. */
function lastOctet(address: string): number {
  return Number(address.split(/[.:]/).at(-1));
}
