/**
 * Lookups through the DNS Service of the matrix while its pods are replaced.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { eventually } from "../daemon/eventually.ts";
import { type ApiObject, type ServiceShape, service, sliceOf } from "../daemon/objects.ts";
import type { Node, Pod } from "../harness/cluster.ts";
import { nodeProgram } from "../harness/remote-agent.ts";
import type { LookupReport } from "./dns-lookups.ts";
import { dnsAddress, type Question, resolvConf, serveZone, type Zone, zoneOf } from "./dns-zone.ts";
import type { Stage } from "./stage.ts";

const script = fileURLToPath(new URL("dns-lookups.ts", import.meta.url));

const shape: ServiceShape = {
  name: "kube-dns",
  clusterIP: dnsAddress,
  ports: [
    { name: "dns", port: 53, protocol: "UDP" },
    { name: "dns-tcp", port: 53 },
  ],
};

/** A headless Service: there is nothing for a proxy to do, and nothing that it may do. */
const headless: ServiceShape = { name: "headless", clusterIP: "None", ports: [{ port: 8080 }] };

/** How often each name is to be resolved at least. */
const least = 10;

/** Replaces the DNS pods of all nodes while a pod on each served node resolves names, of which none may fail. */
export async function dnsKeepsAnswering(stage: Stage): Promise<void> {
  const { cluster, row } = stage;
  const named = cluster.pods.filter(({ node }) => row.acrossNodes || node === cluster.node(0));
  const zone = zoneOf(named);
  const servers = new Map<Node, Pod>();
  for (const node of cluster.nodes) servers.set(node, await start(node, "dns", zone));
  const write = (): Promise<void> => stage.write(() => true, objectsOf(stage, named, [...servers.values()]));
  await write();
  await leftAlone(stage);
  const lookups = stage.nodes
    .map((node) => stage.besides(node))
    .map((beside) => new Lookups(beside, zone.questions));
  try {
    for (const [node, old] of servers) {
      await Promise.all(lookups.map((one) => one.proceeds(zone)));
      servers.set(node, await start(node, "dns-next", zone));
      await write();
      // A query that is under way is answered.
      await wait(100);
      await node.removePod(old.name);
    }
    for (const one of lookups) {
      await one.proceeds(zone);
      expect((await one.report()).wrong).toEqual({});
    }
  } finally {
    for (const one of lookups) one.stop();
    await stage.write();
    for (const [node, pod] of servers) await node.removePod(pod.name);
  }
}

async function start(node: Node, name: string, zone: Zone): Promise<Pod> {
  const pod = await node.addPod(`${node.name}-${name}`);
  await serveZone(pod, zone);
  return pod;
}

function objectsOf(stage: Stage, named: readonly Pod[], servers: readonly Pod[]): readonly ApiObject[] {
  const spec = stage.row.acrossNodes ? {} : { internalTrafficPolicy: "Local" };
  const withoutAddress = { ...headless, spec: { clusterIPs: ["None"] } };
  return [
    service({ ...shape, spec }),
    sliceOf(shape, servers),
    service(withoutAddress),
    sliceOf(headless, named),
  ];
}

/** Nothing in a node's kernel knows of the headless Service. */
async function leftAlone(stage: Stage): Promise<void> {
  for (const node of stage.nodes) {
    const { stdout } = await node.exec([`iptables-${node.variant}-save`]);
    expect(stdout).not.toContain("default/headless");
  }
}

/** The resolving program in a pod, with a resolv.conf as kubelet writes it. */
class Lookups {
  readonly #child: ChildProcess;
  readonly #reports: AsyncIterator<string>;

  constructor(pod: Pod, questions: readonly Question[]) {
    const file = join(pod.node.directory, `resolv-${pod.namespace.name}.conf`);
    writeFileSync(file, resolvConf);
    // `ip netns exec` has given the process mounts of its own.
    const command = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"';
    const program = [nodeProgram, script, JSON.stringify(questions)];
    this.#child = pod.spawn(["sh", "-c", command, "sh", file, ...program], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    if (this.#child.stdout === null) throw new Error("Cannot read the lookups' reports");
    this.#reports = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async report(): Promise<LookupReport> {
    this.#child.stdin?.write("\n");
    const { value, done } = await this.#reports.next();
    if (done === true) throw new Error("Cannot read the lookups' report: the program has ended");
    return JSON.parse(value);
  }

  /** Waits until every name has been resolved some more times, or one has not been. */
  async proceeds({ questions }: Zone): Promise<void> {
    const before = await this.report();
    await eventually(
      "lookups",
      async () => {
        const { right, wrong } = await this.report();
        const enough = questions.every(({ name }) => (right[name] ?? 0) >= (before.right[name] ?? 0) + least);
        return enough || Object.keys(wrong).length > 0;
      },
      { timeoutMilliseconds: 60_000 },
    );
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }
}
