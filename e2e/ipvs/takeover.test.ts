/**
 * Nodes that kube-proxy served change hands where there is IPVS: its ipvs mode is followed by either of ours, and its
 * iptables mode by our ipvs mode. All of it on one node, which `cleanup` empties in between.
 *
 * @module
 */
import { afterEach, beforeAll, expect } from "vitest";
import { type IpvsParts, leaveIptables, leaveIpvs } from "../takeover/kube-proxy.ts";
import { randomNumbers } from "../takeover/restarts.ts";
import { expectAnswers, undisturbed } from "../takeover/traffic.ts";
import { GoldenNode } from "./golden-node.ts";
import { describeInGuest } from "./guest.ts";

const foreignSets =
  "create KUBE-MINE hash:ip\nadd KUBE-MINE 10.0.0.1\ncreate KUBE-LOAD-BALANCER-MINE hash:net\n";
const foreignServers = [
  "-A -t 192.168.78.2:443 -s wlc",
  "-a -t 192.168.78.2:443 -r 10.244.0.10:8080 -m -w 3",
  "-A -f 7 -s rr",
  "",
].join("\n");

let golden: GoldenNode;
/** Without anything of kube-proxy's or ours. */
let empty: readonly string[];

function prepare(): void {
  golden = new GoldenNode();
  beforeAll(async () => {
    await golden.node.exec(["ipset", "restore"], { input: foreignSets });
    await golden.node.exec(["ipvsadm", "-R"], { input: foreignServers });
    empty = await golden.state();
  });
  afterEach(() => golden.cleanUp());
}

const tests = {
  "iptables mode is followed by ipvs mode, and cleanup leaves what others have": async () => {
    await leaveIptables(golden.node, "legacy");
    await expectAnswers(golden.stage);
    await undisturbed(
      golden.stage,
      async () => {
        await using daemon = await golden.serve("ipvs", true);
        expect(await daemon.stop()).toBe(0);
      },
      golden.amount,
    );
    const printed = await golden.cleanUp();
    for (const what of [
      "legacy IPv4 nat chain KUBE-SERVICES",
      "interface kube-ipvs0",
      "set KUBE-CLUSTER-IP",
    ]) {
      expect(printed).toContain(`removed ${what}\n`);
    }
    await golden.expectState(empty);
  },

  "ipvs mode is followed by ipvs mode, which makes of it what it makes of an empty node": async () => {
    const first = await golden.serve("ipvs", false);
    expect(await first.stop()).toBe(0);
    const fresh = await golden.state();
    await golden.cleanUp();
    await leaveIpvs(golden.node);
    await undisturbed(
      golden.stage,
      async () => {
        await using daemon = await golden.serve("ipvs", false, "0s");
        expect(await daemon.stop()).toBe(0);
      },
      golden.amount,
    );
    await golden.expectState(fresh);
  },

  "ipvs mode is followed by iptables mode, which removes it when its connections have ended": async () => {
    await leaveIpvs(golden.node);
    await undisturbed(
      golden.stage,
      async () => {
        await using daemon = await golden.serve("iptables", false);
        expect(await daemon.stop()).toBe(0);
      },
      golden.amount,
    );
    expect(await golden.state()).toContain("-A -t 10.96.10.1:80 -s rr");
    const second = await golden.serve("iptables", true, "1s");
    expect(await second.stop()).toBe(0);
    const after = await golden.state();
    await golden.cleanUp();
    const fresh = await golden.serve("iptables", false);
    expect(await fresh.stop()).toBe(0);
    await golden.expectState(after);
  },

  // A virtual server that neither a set nor kube-ipvs0 names cannot be told from somebody else's.
  "cleanup removes any part of ipvs mode that says whose it is, and nothing else": async () => {
    const random = randomNumbers(7);
    const someEntries = (lines: string): string =>
      lines
        .split("\n")
        .filter((line) => /^create|KUBE-NODE-PORT/.test(line) || random() < 0.5)
        .join("\n");
    const someDrained = (lines: string): string =>
      lines
        .split(/^(?=-A)/m)
        .filter(() => random() < 0.7)
        .join("")
        .replaceAll(/-w 1$/gm, "-w 0");
    const nothing = (): string => "";
    const states: readonly IpvsParts[] = [
      { rules: nothing, servers: someDrained, addresses: nothing },
      { rules: nothing, servers: someDrained, sets: someEntries },
      { addresses: nothing, servers: nothing },
    ];
    for (const parts of states) {
      await leaveIpvs(golden.node, 0, parts);
      expect(await golden.cleanUp()).toContain("removed set KUBE-CLUSTER-IP\n");
      await golden.expectState(empty);
    }
    expect(await golden.cleanUp()).toBe("nothing to remove\n");
  },
};

describeInGuest({
  name: "a node that kube-proxy served",
  file: import.meta.url,
  seconds: 400,
  programs: ["ipvsadm", "ipset"],
  tests,
  prepare,
});
