/**
 * First packet: how long connect() takes to the first and to the last Service of a node with many, beside a node with
 * few.
 *
 * ```
 *   client ──── node with all Services ────┐
 *                                          server, which answers for every endpoint
 *   client ──── node with 10 Services ─────┘
 * ```
 *
 * All connections are made by this process, whose sockets are opened in the clients' namespaces; the four kinds take
 * turns. On one machine the whole handshake happens within the system call.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { runCommand } from "../e2e/harness/command.ts";
import type { Variant } from "../e2e/harness/iptables-variant.ts";
import {
  AF_INET,
  connectSocket,
  EINPROGRESS,
  errorName,
  isWritable,
  openSocket,
  SOCK_STREAM,
  socketAddress,
  takeSocketError,
} from "../e2e/harness/libc.ts";
import type { Namespace } from "../e2e/harness/namespace.ts";
import { Agent } from "../e2e/harness/remote-agent.ts";
import { iptablesProgram } from "./bare-restore.ts";
import { against, type Figure, summarize } from "./figure.ts";
import { podCIDR } from "./node-context.ts";

/** Connections to each Service. */
const connections = 1_000;

/** Connections of each kind that come first and do not count. */
const warmUp = 50;

/** How long a connection may take, in milliseconds. */
const timeoutMs = 2_000;

/** Number of Services of the node that the other one is compared with. */
export const fewServices = 10;

/** A node, and the client whose packets it forwards. */
export interface Road {
  readonly client: Namespace;
  readonly node: Namespace;
}

/** Connects the namespaces. The second and third byte of all addresses are the road's and the link's number. */
export async function connectRoads(roads: readonly Road[], server: Namespace): Promise<void> {
  await server.ip(["link set lo up", `route add local ${podCIDR} dev lo`]);
  for (const [index, { client, node }] of roads.entries()) {
    const number = index + 1;
    await link(client, node, `172.30.${number}`);
    await link(server, node, `172.31.${number}`);
    await client.ip(["link set lo up", `route add default via 172.30.${number}.1`]);
    await node.ip(["link set lo up", `route add ${podCIDR} via 172.31.${number}.2`]);
    node.setSysctls({ "net/ipv4/ip_forward": 1 });
  }
}

/** A pair of devices; the node's end has the address `.1`. */
async function link(other: Namespace, node: Namespace, network: string): Promise<void> {
  const device = `to-${network.slice(4).replace(".", "-")}`;
  await runCommand([
    "ip",
    "-n",
    node.name,
    "link",
    "add",
    device,
    "type",
    "veth",
    "peer",
    device,
    "netns",
    other.name,
  ]);
  await node.ip([`addr add ${network}.1/24 dev ${device}`, `link set ${device} up`]);
  await other.ip([`addr add ${network}.2/24 dev ${device}`, `link set ${device} up`]);
}

/** Measures. Both nodes have their rules; `many` is the one whose number of Services the figures name. */
export async function measureFirstPacket(
  few: Road,
  many: Road,
  server: Namespace,
  subject: { readonly variant: Variant; readonly services: number; readonly endpoints: number },
): Promise<readonly Figure[]> {
  const agent = new Agent(server, "server");
  await agent.listen({ tcp: [8080] });
  const kinds = [
    ...(await ends(few, subject.variant)).map((address) => new Connector(few.client, address)),
    ...(await ends(many, subject.variant)).map((address) => new Connector(many.client, address)),
  ];
  for (let round = 0; round < warmUp + connections; round++) {
    // The first one of a round finds colder caches: each kind takes its turn at that.
    for (let turn = 0; turn < kinds.length; turn++) {
      const kind = kinds[(round + turn) % kinds.length];
      const time = kind?.connect() ?? 0;
      if (round >= warmUp) {
        kind?.times.push(time);
      }
    }
    // The server has to take its connections in.
    await wait(1);
  }
  await agent.close();
  const [fewFirst, fewLast, manyFirst, manyLast] = kinds.map(({ times }) => summarize(times));
  if (fewFirst === undefined || fewLast === undefined || manyFirst === undefined || manyLast === undefined) {
    throw new Error("Cannot measure the first packet: a node has no Services");
  }
  const command = `the same position on a node with ${fewServices} Services`;
  return [
    {
      figure: "first-packet-first",
      ...subject,
      ...manyFirst,
      unit: "us",
      ...against(fewFirst.value, manyFirst.value),
      command,
    },
    {
      figure: "first-packet-last",
      ...subject,
      ...manyLast,
      unit: "us",
      ...against(fewLast.value, manyLast.value),
      command,
    },
  ];
}

/** The lowest and the highest ClusterIP that the node translates. */
async function ends({ node }: Road, variant: Variant): Promise<readonly [string, string]> {
  const { stdout } = await node.exec([iptablesProgram(variant), "iptables-save", "-t", "nat"], {
    timeoutSeconds: 60,
  });
  const addresses = [...stdout.matchAll(/ -d (\S+)\/32 .* -j KUBE-SVC-/gm)].map(
    ([, address = ""]) => address,
  );
  const sorted = addresses.toSorted((a, b) => numeric(a) - numeric(b));
  return [sorted[0] ?? "", sorted.at(-1) ?? ""];
}

function numeric(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** Connects to one Service from one client. */
class Connector {
  readonly times: number[] = [];
  readonly #client: Namespace;
  readonly #address: string;
  readonly #socketAddress: Buffer;

  constructor(client: Namespace, address: string) {
    this.#client = client;
    this.#address = address;
    this.#socketAddress = socketAddress(address, 80);
  }

  /** Makes a connection. @returns how long it took, in microseconds */
  connect(): number {
    const descriptor = this.#client.enter(() => openSocket(AF_INET, SOCK_STREAM));
    try {
      const startedAt = performance.now();
      let errno = connectSocket(descriptor, this.#socketAddress);
      while ((errno === 0 || errno === EINPROGRESS) && !isWritable(descriptor)) {
        errno = takeSocketError(descriptor);
        if (performance.now() - startedAt > timeoutMs) {
          throw new Error(`Cannot connect to ${this.#address}:80: no answer`);
        }
      }
      const time = (performance.now() - startedAt) * 1000;
      if (errno !== 0 && errno !== EINPROGRESS) {
        throw new Error(`Cannot connect to ${this.#address}:80: ${errorName(errno)}`);
      }
      return time;
    } finally {
      closeSync(descriptor);
    }
  }
}
