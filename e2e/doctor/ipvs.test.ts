/**
 * `doctor` on a node in ipvs mode, on a kernel that has IPVS.
 *
 * @module
 */
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { Daemon } from "../daemon/daemon.ts";
import { eventually } from "../daemon/eventually.ts";
import { Manifests } from "../daemon/manifests.ts";
import { type ServiceShape, service, sliceOf } from "../daemon/objects.ts";
import { type Cluster, createCluster, type Node } from "../harness/cluster.ts";
import { describeInGuest } from "../ipvs/guest.ts";
import { runDoctor } from "./run-doctor.ts";

const web: ServiceShape = {
  name: "web",
  clusterIP: "10.96.0.10",
  ports: [{ port: 80, targetPort: 8080 }],
  spec: { type: "LoadBalancer" },
  // In the network of the nodes.
  status: { loadBalancer: { ingress: [{ ip: "172.31.0.200" }] } },
};

let cluster: Cluster;
let node: Node;
let manifests: Manifests;

function prepare(): void {
  beforeAll(async () => {
    cluster = await createCluster({ nodes: 1, podsPerNode: 1, ipv6: true, variant: "legacy" });
    node = cluster.node(0);
    manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
    manifests.set([service(web), sliceOf(web, cluster.pods)]);
  });
  afterAll(() => cluster.remove());
}

/** Findings that are provoked. */
const ids = [
  "ipvs-features",
  "ipvs-conntrack",
  "ipvs-expire",
  "ipvs-timeouts",
  "strict-arp",
  "load-balancer-subnet",
  "route-localnet",
  "input-policy",
  "drift",
];

const tests = {
  "finds what is missing, and drift, and tells them from what is in order": async () => {
    const args = ["--manifests", manifests.path];
    await using daemon = Daemon.launch(node, {
      from: { manifests: manifests.path },
      config: {
        mode: "ipvs",
        ipvs: { syncPeriod: "1s", minSyncPeriod: "10ms", strictARP: true },
        sluice: { iptables: { variant: "legacy" } },
      },
    });
    await node.exec(["sysctl", "-qw", "net.ipv4.tcp_keepalive_time=600"]);
    // A guest that nothing else has run in yet loads every module of the kernel for this.
    const families = (): number => daemon.log.find("SyncProxyRules complete").length;
    await eventually("both families", () => families() >= 2, { timeoutMilliseconds: 60_000 }).catch(
      (error) => {
        throw new Error(`${error.message}\n${daemon.log.tail(30)}`);
      },
    );
    const fine = await runDoctor(node, { mode: "ipvs", ipvs: { strictARP: true } }, args);
    expect(fine.findings.filter(({ level }) => level !== "ok")).toEqual([]);
    expect(fine.status).toBe(0);
    expect(fine.levels).toMatchObject({ drift: "ok", "ipvs-features": "ok", "ipvs-timeouts": "ok" });
    await daemon.stop();

    await node.exec([
      "bash",
      "-ec",
      `sysctl -qw net.ipv4.vs.conntrack=0 net.ipv4.vs.expire_nodest_conn=0 net.ipv4.tcp_keepalive_time=7200
       sysctl -qw net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.all.arp_announce=0 net.ipv4.conf.all.route_localnet=0
       ipvsadm -d -t 10.96.0.10:80 -r ${cluster.pods[0]?.ip ?? ""}:8080
       ip addr del 10.96.0.10/32 dev kube-ipvs0
       iptables-legacy -P INPUT DROP`,
    ]);
    const config = { mode: "ipvs", ipvs: { strictARP: true, scheduler: "nosuch" } };
    const wrong = await runDoctor(node, { ...config, sluice: { ipvs: { acceptServices: false } } }, args);
    expect(Object.fromEntries(ids.map((id) => [id, wrong.levels[id]]))).toEqual({
      // The guest has its modules where nobody looks for them: what is not loaded is not known.
      "ipvs-features": "unknown",
      "ipvs-conntrack": "error",
      "ipvs-expire": "error",
      "ipvs-timeouts": "warning",
      "strict-arp": "error",
      "load-balancer-subnet": "error",
      "route-localnet": "warning",
      "input-policy": "error",
      drift: "error",
    });
    expect(wrong.what("ipvs-features")).toContain("ip_vs_nosuch");
    expect(wrong.what("load-balancer-subnet")).toContain("172.31.0.200");
    const { what } = await runDoctor(node, { mode: "ipvs" }, args);
    expect(what("drift")).toMatch(/add real server/);

    const other = await runDoctor(node, { mode: "iptables" });
    expect(other.what("leftover-mode")).toMatch(/kube-ipvs0.*ipsets.*virtual servers/);
    expect(other.levels["leftover-mode"]).toBe("warning");
  },
};

describeInGuest({
  name: "doctor in ipvs mode",
  file: import.meta.url,
  seconds: 110,
  programs: ["ipvsadm", "ipset"],
  tests,
  prepare,
});
