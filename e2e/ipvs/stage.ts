/**
 * The stage of the tests in a guest: two nodes with pods, a client outside, and the first node served in ipvs mode.
 *
 * @module
 */
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { type Client, type Cluster, createCluster, type Node, type Pod } from "../harness/cluster.ts";
import type { Host } from "../harness/host.ts";
import type { HeldStream } from "../harness/remote-agent.ts";
import { ServedNode, type ServedOptions } from "./served-node.ts";

/** The ClusterIP of the tests' Service. */
export const vip = "10.96.0.10";

/** The parts of the stage, valid while a test runs. */
export class Stage {
  #cluster: Cluster | undefined;
  #served: ServedNode | undefined;

  /** Defines the hooks that build the stage once, serve it anew for each test, and take it down. */
  constructor(options: ServedOptions = {}) {
    beforeAll(async () => {
      const cluster = await createCluster({ nodes: 2, podsPerNode: 2, ipv6: true, variant: "legacy" });
      this.#cluster = cluster;
      // Each REJECT is to be heard of.
      this.node.namespace.setSysctls({ "net/ipv4/icmp_ratemask": 0, "net/ipv6/icmp/ratelimit": 0 });
      await Promise.all(
        [this.here, this.here2, this.there].map((pod) => pod.agent.listen({ tcp: [8080], udp: [8080] })),
      );
      for (const prefix of ["10.96.0.0/16", "203.0.113.0/24", "fd00:10:96::/112"]) {
        await cluster.routeClient(prefix, this.node);
      }
    });
    afterAll(() => this.#cluster?.remove());
    beforeEach(() => {
      this.#served = new ServedNode(this.node, options);
    });
    afterEach(() => this.#leave());
  }

  get cluster(): Cluster {
    return present(this.#cluster);
  }

  /** The node that is served. */
  get node(): Node {
    return this.cluster.node(0);
  }

  get client(): Client {
    return this.cluster.client;
  }

  /** Two pods of the node that is served, and one of the other. The first and the last serve port 8080. */
  get here(): Pod {
    return this.node.pod("pod1-1");
  }

  get here2(): Pod {
    return this.node.pod("pod1-2");
  }

  get there(): Pod {
    return this.cluster.node(1).pod("pod2-1");
  }

  get served(): ServedNode {
    return present(this.#served);
  }

  /** Stops serving, as if the process were killed, and serves the same objects again. */
  async restart(options: ServedOptions = {}): Promise<void> {
    const { cluster } = this.served;
    await this.served.stop();
    this.#served = new ServedNode(this.node, { ...options, cluster });
    cluster.planner.touchAll();
    await this.served.sync("everything");
  }

  /** Takes everything away that the test has served, whatever still drains. */
  async #leave(): Promise<void> {
    await this.restart({ backend: { drainMs: 0 } });
    const { state } = this.served.cluster;
    for (const key of [...state.serviceKeys()]) {
      const service = state.service(key);
      if (service !== undefined) this.served.cluster.drop(service);
    }
    await this.served.sync("everything");
    await this.served.stop();
  }
}

/** What a connection comes to: `pod1-1 from 172.31.0.11`, or how it failed. */
export async function connect(from: Host, ip: string, port = 80): Promise<string> {
  const outcome = await from.agent.connect({ ip, port });
  return outcome.kind === "answered"
    ? `${outcome.greeting.server} from ${outcome.greeting.from.ip}`
    : outcome.kind;
}

/** Who answers, in the order of the connections. */
export async function servers(
  from: Host,
  times: number,
  ip: string = vip,
  port = 80,
): Promise<readonly string[]> {
  const names: string[] = [];
  for (let count = 0; count < times; count++) {
    names.push((await connect(from, ip, port)).split(" ")[0] ?? "");
  }
  return names;
}

/** A connection that stays open, and who has it. */
export interface Held {
  readonly server: string;
  readonly stream: HeldStream;
}

/** Opens a connection to the ClusterIP that stays; it must be answered. */
export async function hold(from: Host, protocol: "TCP" | "UDP" = "TCP"): Promise<Held> {
  const stream = await from.agent.hold({ ip: vip, port: 80, protocol });
  const { outcome } = stream;
  if (outcome.kind !== "answered") throw new Error(`Cannot hold a connection: it is ${outcome.kind}`);
  return { server: outcome.greeting.server, stream };
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError("Cannot use the stage: no test is running");
  return value;
}
