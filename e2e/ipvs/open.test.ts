/**
 * Opening ipvs mode on a host and taking it away again: in the guest's own namespace, as the program does it.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { expect } from "vitest";
import { cleanKernel, cleanRules } from "../../src/ipvs/cleanup.ts";
import { HostRules } from "../../src/ipvs/host-rules.ts";
import { openIpvs as openClient } from "../../src/ipvs/netlink/open.ts";
import { IpvsUnavailableError, openIpvs, prepareIpvsHost } from "../../src/ipvs/open.ts";
import { openNetlink } from "../../src/netlink/socket.ts";
import { PlannedCluster, port, service, slice } from "../../src/proxier/testing.ts";
import { runCommand } from "../harness/command.ts";
import { describeInGuest } from "./guest.ts";
import { realClock } from "./served-node.ts";

const noTimeouts = { tcp: 0, tcpFin: 0, udp: 0 };

function sysctl(name: string): string {
  return readFileSync(`/proc/sys/${name}`, "utf8").trim();
}

async function stdout(...argv: readonly string[]): Promise<string> {
  return (await runCommand(argv)).stdout;
}

const tests = {
  "prepareIpvsHost() sets the kernel's switches and timeouts": async () => {
    const settings = { scheduler: "rr", strictARP: true, timeouts: { tcp: 1000, tcpFin: 0, udp: 60 } };
    const before = [sysctl("net/ipv4/conf/all/arp_announce"), await stdout("ipvsadm", "-Ln", "--timeout")];
    const switches = prepareIpvsHost(settings);
    expect(switches.failures).toEqual([]);
    expect(sysctl("net/ipv4/vs/conntrack")).toBe("1");
    expect(sysctl("net/ipv4/vs/expire_nodest_conn")).toBe("1");
    expect(sysctl("net/ipv4/vs/expire_quiescent_template")).toBe("1");
    expect(sysctl("net/ipv4/conf/all/arp_announce")).toBe("2");
    expect(await stdout("ipvsadm", "-Ln", "--timeout")).toBe("Timeout (tcp tcpfin udp): 1000 120 60\n");
    expect(await stdout("ipvsadm", "-Sn")).toBe("");
    switches.restore();
    expect([sysctl("net/ipv4/conf/all/arp_announce"), await stdout("ipvsadm", "-Ln", "--timeout")]).toEqual(
      before,
    );
  },

  "prepareIpvsHost() names a scheduler that the kernel lacks": async () => {
    const settings = { scheduler: "best", strictARP: false, timeouts: noTimeouts };
    expect(() => prepareIpvsHost(settings)).toThrow(IpvsUnavailableError);
    expect(() => prepareIpvsHost(settings)).toThrow(/cannot use scheduler best/);
  },

  "openIpvs() programs this host, and cleanup leaves nothing": async () => {
    const before = { rules: await stdout("iptables-legacy-save"), links: await stdout("ip", "-o", "link") };
    const cluster = new PlannedCluster({ localhostNodePorts: false });
    const { backend, settings } = await openIpvs(
      {
        variant: "legacy",
        backend: {
          nodeName: "here",
          scheduler: "rr",
          reserved: { node: [], pods: [] },
          excludeCIDRs: [],
          drainMs: 0,
          clock: realClock,
          onProblems: () => {},
        },
        rules: { dropInvalid: true, acceptServices: true, answerPing: true },
      },
      cluster.planner.plan.node,
    );
    expect(settings.hairpin).toBe("compare");
    cluster.put(service({ type: "NodePort", ports: [port({ nodePort: 30_080 })] }), slice(["10.244.1.1"]));
    cluster.planner.take();
    expect(await backend.sync(cluster.planner.plan, "everything")).toMatchObject({ quarantined: [] });
    expect(await backend.sync(cluster.planner.plan, "everything")).toMatchObject({ written: 0, removed: 0 });
    await backend.close();
    expect(await stdout("ipvsadm", "-Sn")).toContain("-a -t 10.96.0.10:80 -r 10.244.1.1:8080 -m -w 1");

    const rules = new HostRules("legacy", "IPv4");
    expect((await cleanRules(rules)).failures).toEqual([]);
    await rules.close();
    using ipvs = openClient();
    using sets = openNetlink("netfilter");
    using route = openNetlink("route");
    const { removed, failures } = await cleanKernel({ ipvs, sets, route }, []);
    expect(failures).toEqual([]);
    expect(removed).toContain("interface kube-ipvs0");
    expect(await stdout("ipvsadm", "-Sn")).toBe("");
    expect(await stdout("ipset", "save")).toBe("");
    const withoutCounters = (text: string): readonly string[] =>
      text.split("\n").filter((line) => /^(-A|:KUBE)/.test(line));
    expect(withoutCounters(await stdout("iptables-legacy-save"))).toEqual(withoutCounters(before.rules));
  },

  "prepareIpvsHost() tells which switch it cannot set": async () => {
    prepareIpvsHost({ scheduler: "rr", strictARP: false, timeouts: noTimeouts });
    writeFileSync("/proc/sys/net/ipv4/vs/conntrack", "0");
    const script = `
      const { prepareIpvsHost } = await import(${JSON.stringify(new URL("../../src/ipvs/open.ts", import.meta.url).href)});
      const settings = { scheduler: "rr", strictARP: false, timeouts: { tcp: 0, tcpFin: 0, udp: 0 } };
      process.stdout.write(JSON.stringify(prepareIpvsHost(settings).failures.map(({ path }) => path)));`;
    const mounts = "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys";
    const readOnly = ["unshare", "-m", "sh", "-c", `${mounts} && exec "$@"`, "sh"];
    expect(await stdout(...readOnly, process.execPath, "--input-type=module", "-e", script)).toBe(
      JSON.stringify(["/proc/sys/net/ipv4/vs/conntrack"]),
    );
  },
};

describeInGuest({
  name: "ipvs mode on a host",
  file: import.meta.url,
  seconds: 90,
  programs: ["ipvsadm", "ipset"],
  tests,
});
