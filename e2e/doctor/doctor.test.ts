/**
 * `doctor` on a node in iptables mode: on one that is in order, and on one on which everything is wrong that can be made
 * wrong in a namespace.
 *
 * @module
 */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Daemon } from "../daemon/daemon.ts";
import { eventually } from "../daemon/eventually.ts";
import { Manifests } from "../daemon/manifests.ts";
import { type ServiceShape, service, sliceOf } from "../daemon/objects.ts";
import { type Cluster, createCluster, type Node } from "../harness/cluster.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { runDoctor } from "./run-doctor.ts";

const web: ServiceShape = { name: "web", clusterIP: "10.96.0.10", ports: [{ port: 80, targetPort: 8080 }] };

const programs = ["iptables-nft", "iptables-legacy", "nft", "ipset", "flock"];

describeOnKernel("doctor in iptables mode", { programs, plugins: ["bridge", "host-local"] }, () => {
  let cluster: Cluster;
  let node: Node;
  let manifests: Manifests;

  beforeAll(async () => {
    cluster = await createCluster({ nodes: 1, podsPerNode: 1, ipv6: true, variant: "nft" });
    node = cluster.node(0);
    manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
    manifests.set([service(web), sliceOf(web, cluster.pods)]);
  });

  afterAll(() => cluster.remove());

  function shell(script: string): Promise<{ readonly stdout: string }> {
    return node.exec(["bash", "-ec", script]);
  }

  /** Starts a program that ends with the node, and waits until it has become what it is to be. */
  async function start(...argv: readonly string[]): Promise<void> {
    const { pid } = node.spawn(argv, { stdio: "ignore" });
    await eventually("the process", async () => {
      const { stdout } = await node.exec(["ps", "-o", "args=", "-p", String(pid), "--ppid", String(pid)]);
      return /^(kube-proxy|sleep) /m.test(stdout);
    });
  }

  /** All that a look could change. */
  async function everything(): Promise<string> {
    const commands = [
      "iptables-nft-save; ip6tables-nft-save; iptables-legacy-save; ip6tables-legacy-save; nft list tables",
      "ipset list -n; ip -o link; ip -o addr | sed 's/ *valid_lft.*//'; ip route",
      "cat /proc/net/ip_tables_names /proc/net/ip6_tables_names",
      "sysctl net.ipv4.ip_forward net.ipv4.conf.all net.bridge 2>/dev/null",
    ];
    const { stdout } = await shell(commands.join("; "));
    return stdout.replaceAll(/^#.*\n|\[\d+:\d+\]/gm, "");
  }

  test("finds a served node in order, and changes nothing", async () => {
    await using daemon = await Daemon.start(node, { from: { manifests: manifests.path } });
    const before = await everything();
    const { status, findings, what } = await runDoctor(node, {}, ["--manifests", manifests.path]);
    expect(findings.filter(({ level }) => level !== "ok")).toEqual([]);
    expect(status).toBe(0);
    expect(what("drift")).toContain("IPv4 and IPv6");
    expect(what("pod-network")).toBe("bridge");
    expect(what("hairpin")).toContain("cni0");
    expect(await everything()).toBe(before);
    await daemon.stop();
  });

  test("names all that is wrong", async () => {
    await shell(`
      sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 net.bridge.bridge-nf-call-iptables=0
      bridge link set dev $(ls /sys/class/net/cni0/brif) hairpin off
      ipset create KUBE-CLUSTER-IP hash:ip,port
      nft add table ip kube-proxy
      ip link add flannel.1 type vxlan id 1 dstport 8472 dev eth0
      ip link set eth0 mtu 1400
      sysctl -qw net.ipv4.conf.flannel/1.rp_filter=1
      iptables-legacy -t nat -N KUBE-SERVICES
      iptables-legacy -A FORWARD -j ACCEPT
      iptables-nft -P FORWARD DROP
      iptables-nft -t mangle -A PREROUTING -i eth0 -j MARK --set-xmark 0x4000/0x4000
      iptables-nft -t nat -N CNI-0123456789abcdef01234567
      iptables-nft -t nat -A CNI-0123456789abcdef01234567 -d 10.244.1.0/24 -j ACCEPT
      iptables-nft -t nat -A CNI-0123456789abcdef01234567 ! -d 224.0.0.0/4 -j MASQUERADE
      iptables-nft -t nat -N CLIENTS
      iptables-nft -t nat -A CLIENTS -m recent --set --name KUBE-SEP-TEST
      for n in $(seq 0 100); do echo +198.51.100.$n >/proc/net/xt_recent/KUBE-SEP-TEST; done
      chain=$(iptables-nft-save -t nat | grep -o '^:KUBE-SVC-[A-Z0-9]*' | head -n1)
      iptables-nft -t nat -F \${chain#:}
      iptables-nft -t nat -D POSTROUTING 1
    `);
    await start("flock", node.env["XTABLES_LOCKFILE"] ?? "", "sleep", "60");
    await start("bash", "-c", "exec -a kube-proxy sleep 60");
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
    const slice = sliceOf(web, cluster.pods);
    const annotations = { "endpoints.kubernetes.io/last-change-trigger-time": tomorrow };
    manifests.set([service(web), { ...slice, metadata: { ...slice.metadata, annotations } }]);

    const look = (): ReturnType<typeof runDoctor> => runDoctor(node, {}, ["--manifests", manifests.path]);
    const { status, levels, what } = await look();
    expect(status).toBe(1);
    expect(levels).toMatchObject({
      "ip-forward": "error",
      "ipv6-forward": "error",
      "bridge-nf-call": "error",
      hairpin: "warning",
      "leftover-mode": "warning",
      "leftover-kube-proxy": "error",
      "second-proxy": "error",
      "iptables-variants": "error",
      "xtables-lock": "warning",
      "forward-policy": "warning",
      "mark-overlap": "warning",
      "cni-masquerade": "warning",
      "recent-list": "error",
      "tunnel-mtu": "error",
      "rp-filter": "warning",
      "pod-network": "error",
      "clock-skew": "warning",
      daemon: "error",
      drift: "error",
      // Right as they were.
      "conntrack-fill": "ok",
      "kubelet-hint": "ok",
      "iptables-features": "ok",
    });
    expect(what("iptables-variants")).toMatch(
      /nft IPv4: \d+ rules of .*a service proxy.*legacy IPv4: 1 rules/,
    );
    expect(what("xtables-lock")).toMatch(/held by (flock|sleep) \(process \d+\)/);
    expect(what("drift")).toMatch(/IPv4 nat chain KUBE-SVC-/);
    expect(what("tunnel-mtu")).toContain("over eth0 (1400) 1350 is the most");
    expect(what("recent-list")).toContain("KUBE-SEP-TEST");
  });

  test("says when kubelet uses the other variant, and counts what it cannot check as unknown", async () => {
    const config = { sluice: { iptables: { variant: "legacy" } } };
    const { levels, what } = await runDoctor(node, config);
    expect(levels).toMatchObject({ "kubelet-hint": "error", drift: "unknown", "clock-skew": "unknown" });
    expect(what("kubelet-hint")).toBe("kubelet uses nft, the service proxy legacy");
    expect(what("drift")).toContain("not checked: no source of objects");
  });
});
