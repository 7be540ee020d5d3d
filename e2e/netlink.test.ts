/**
 * `src/netlink` against the kernel, in a network namespace of its own.
 *
 * The thread that runs these tests leaves the machine's network namespace before the first one and comes back after
 * the last. The namespace has no name and no other member, so it is gone with the process however that ends. Child
 * processes of the tests are in it too.
 *
 * @module
 */
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import koffi from "koffi";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  addAddressRequest,
  addressMessages,
  deleteAddressRequest,
  listAddresses,
} from "../src/netlink/address.ts";
import { transactOne } from "../src/netlink/connection.ts";
import { deleteFlows, dumpFlows, readFlowEvent, readFlowTableSize } from "../src/netlink/conntrack.ts";
import type { FlowKey } from "../src/netlink/flow-key.ts";
import { FlowView } from "../src/netlink/flow-view.ts";
import { findFamily } from "../src/netlink/generic.ts";
import { addEntryRequest, createSetRequest, destroySetRequest } from "../src/netlink/ipset.ts";
import { readSet } from "../src/netlink/ipset-list.ts";
import { createLinkRequest, deleteLinkRequest, findLink, listLinks } from "../src/netlink/link.ts";
import type { NetlinkMessage } from "../src/netlink/message.ts";
import { nfGroups } from "../src/netlink/nfnetlink.ts";
import { decodeNftGeneration, readNftGeneration } from "../src/netlink/nft-generation.ts";
import { type SubscriptionHandlers, subscribe } from "../src/netlink/notifications.ts";
import { decodeRouteEvent, type RouteEvent, routeGroups } from "../src/netlink/route-event.ts";
import { openNetlink } from "../src/netlink/socket.ts";
import { createFlowRequest, fakeFlow } from "../src/netlink/testing-conntrack.ts";
import { connectionContract, routeContract, testContract } from "../src/netlink/testing-contract.ts";
import { conntrackContract } from "../src/netlink/testing-contract-conntrack.ts";
import { ipsetContract, sampleSets } from "../src/netlink/testing-contract-ipset.ts";

const CLONE_NEWNET = 0x4000_0000;

const program = koffi.load(null);
const unshare: (flags: number) => number = program.func("int unshare(int)");
const setns: (descriptor: number, kind: number) => number = program.func("int setns(int, int)");

let machineNamespace: number;

beforeAll(() => {
  machineNamespace = openSync("/proc/thread-self/ns/net", "r");
  if (unshare(CLONE_NEWNET) !== 0) {
    throw new Error(`Cannot make a network namespace: errno ${koffi.errno()}; these tests need root`);
  }
});

afterAll(() => {
  if (setns(machineNamespace, CLONE_NEWNET) !== 0) throw new Error("Cannot leave the network namespace");
  closeSync(machineNamespace);
});

testContract("kernel: any protocol", connectionContract, () => openNetlink("route"));
testContract("kernel: rtnetlink", routeContract, () => openNetlink("route"));
testContract("kernel: ipset", ipsetContract, () => openNetlink("netfilter"));
testContract("kernel: conntrack", conntrackContract, () => openNetlink("netfilter"));

describe("openNetlink()", () => {
  test("gives a connection to the namespace it was opened in, whatever the thread does afterwards", async () => {
    using connection = openNetlink("route");
    transactOne(connection, createLinkRequest("only-here", "bridge"));
    const own = openSync("/proc/thread-self/ns/net", "r");
    setns(machineNamespace, CLONE_NEWNET);
    try {
      expect((await listLinks(connection)).map(({ name }) => name)).toContain("only-here");
      expect(findLink(connection, "only-here")).toBeDefined();
      using elsewhere = openNetlink("route");
      expect(findLink(elsewhere, "only-here")).toBeUndefined();
    } finally {
      setns(own, CLONE_NEWNET);
      closeSync(own);
    }
    transactOne(connection, deleteLinkRequest(findLink(connection, "only-here")?.index ?? 0));
  });

  test("reads every one of thousands of failures in one go", () => {
    using connection = openNetlink("route");
    const requests = Array.from({ length: 4000 }, (_, index) =>
      deleteAddressRequest(1, `10.0.${index >> 8}.${index & 255}`),
    );
    const codes = connection.transact(requests).map(({ error }) => error?.code);
    expect(codes).toEqual(requests.map(() => "not-found"));
  });

  test("leaves no descriptor behind", () => {
    const before = readdirSync("/proc/self/fd");
    for (let count = 0; count < 10; count++) openNetlink("generic")[Symbol.dispose]();
    expect(readdirSync("/proc/self/fd")).toEqual(before);
  });
});

describe("dump()", () => {
  test("is told of a change meanwhile, and listAddresses() repeats it", async () => {
    using connection = openNetlink("route");
    const addresses = Array.from({ length: 2000 }, (_, index) => `10.80.${index >> 8}.${index & 255}`);
    connection.transact(addresses.map((address) => addAddressRequest(1, address)));
    let visits = 0;
    const dump = connection.dump(
      { operation: "list addresses", type: addressMessages.get, payload: new Uint8Array(8) },
      () => {
        visits++;
        if (visits === 1) transactOne(connection, addAddressRequest(1, "10.81.0.1"));
      },
    );
    await expect(dump).rejects.toMatchObject({ code: "busy", operation: "list addresses" });
    expect(visits).toBeGreaterThan(1000);
    expect(await listAddresses(connection, { interfaceIndex: 1 })).toHaveLength(2001);
    connection.transact([...addresses, "10.81.0.1"].map((address) => deleteAddressRequest(1, address)));
  });
});

describe("generic netlink", () => {
  test("findFamily() finds the controller and its group, and not what the kernel lacks", () => {
    using connection = openNetlink("generic");
    expect(findFamily(connection, "nlctrl")).toMatchObject({ id: 16, name: "nlctrl" });
    expect(findFamily(connection, "nlctrl").groups.get("notify")).toBe(16);
    expect(() => findFamily(connection, "no-such-family")).toThrow(
      expect.objectContaining({ code: "unsupported", errno: 2 }),
    );
  });
});

describe("ipset", () => {
  test.each(sampleSets)("the ipset program shows a set as it was meant: %o", (definition, entries) => {
    using connection = openNetlink("netfilter");
    transactOne(connection, createSetRequest(definition));
    for (const entry of entries) transactOne(connection, addEntryRequest(definition.name, entry));
    const lines = run("ipset", "save", "-sorted", definition.name).trimEnd().split("\n");
    transactOne(connection, destroySetRequest(definition.name));
    const [create, ...adds] = savedAs[definition.name] ?? [];
    expect(lines.map(withoutParameters)).toEqual([
      `create ${definition.name} ${create}`,
      ...adds.map((entry) => `add ${definition.name} ${entry}`),
    ]);
  });

  test("the ipset program's own sets are read, and take the place of ours", async () => {
    using connection = openNetlink("netfilter");
    run("ipset", "create", "theirs", "hash:ip,port,net", "timeout", "600", "maxelem", "99");
    run("ipset", "add", "theirs", "10.0.0.1,udp:53,10.1.0.0/16");
    run("ipset", "create", "list", "list:set");
    run("ipset", "add", "list", "theirs");
    expect(await readSet(connection, "theirs")).toMatchObject({
      type: "hash:ip,port,net",
      family: "IPv4",
      maximumElements: 99,
      timeoutSeconds: 600,
      references: 1,
      entries: [{ address: "10.0.0.1", protocol: 17, port: 53, network: "10.1.0.0", prefixLength: 16 }],
    });
    expect(await readSet(connection, "list")).toMatchObject({ type: "list:set", entries: undefined });
    const [refused] = connection.transact([destroySetRequest("theirs")]);
    expect(refused?.error).toMatchObject({
      code: "busy",
      message: "Cannot destroy set theirs: IPSET_ERR_BUSY",
    });
    run("ipset", "destroy", "list");
    run("ipset", "destroy", "theirs");
  });

  test("the program accepts a set of ours as the one it would create", () => {
    using connection = openNetlink("netfilter");
    transactOne(connection, createSetRequest({ name: "ours", type: "hash:ip,port", family: "IPv4" }));
    run("ipset", "create", "ours", "hash:ip,port", "-exist");
    transactOne(connection, destroySetRequest("ours"));
  });
});

describe("conntrack", () => {
  test("20,000 flows, or half of what the kernel takes, do not hold up the event loop", async () => {
    using connection = openNetlink("netfilter");
    const { limit = 8000 } = readFlowTableSize(connection);
    const tenth = Math.min(2000, Math.floor(limit / 20));
    const flows = Array.from({ length: tenth * 10 }, (_, index) =>
      fakeFlow(
        {
          ...client,
          source: `10.1.${index >> 8}.${index & 255}`,
          destinationPort: index % 10 === 0 ? 80 : 53,
        },
        { address: "10.244.1.6", port: 5353 },
      ),
    );
    await connection.transactEach(flows.map(createFlowRequest), ({ error }) => expect(error).toBeUndefined());
    try {
      let turns = 0;
      let reading = true;
      const countTurns = (): void => {
        turns++;
        if (reading) setImmediate(countTurns);
      };
      setImmediate(countTurns);
      const keys: FlowKey[] = [];
      await dumpFlows(connection, {
        family: "IPv4",
        protocol: 17,
        onFlow: (flow) => {
          if (flow.originalDestinationPort === 80) keys.push(flow.key());
        },
      });
      reading = false;
      expect(keys).toHaveLength(tenth);
      expect(turns).toBeGreaterThan(1);
      expect(await deleteFlows(connection, keys)).toEqual({ deleted: tenth, gone: 0, failures: [] });
      expect(readFlowTableSize(connection).flows).toBe(tenth * 9);
    } finally {
      run("conntrack", "-F");
    }
  });

  test("flows of the conntrack program are read with counters and mark", async () => {
    using connection = openNetlink("netfilter");
    writeFileSync("/proc/sys/net/netfilter/nf_conntrack_acct", "1");
    const tuple = ["-s", "10.0.0.1", "-d", "10.96.0.10", "-p", "udp", "--sport", "4000", "--dport", "53"];
    run("conntrack", "-I", ...tuple, "-t", "60", "-m", "17");
    const seen: unknown[] = [];
    await dumpFlows(connection, {
      family: "IPv4",
      onFlow: (flow) => seen.push([flow.mark, flow.counters(), flow.key().original.destination]),
    });
    expect(seen).toEqual([
      [17, { original: { packets: 0n, bytes: 0n }, reply: { packets: 0n, bytes: 0n } }, "10.96.0.10"],
    ]);
    run("conntrack", "-D", ...tuple);
  });

  test("events tell of new and ended flows", async () => {
    using connection = openNetlink("netfilter");
    const view = new FlowView();
    const events: unknown[] = [];
    const groups = [nfGroups.flowNew, nfGroups.flowUpdate, nfGroups.flowDestroy];
    using _subscription = subscribe(
      { protocol: "netfilter", groups },
      handing((message) => events.push([readFlowEvent(message, view), view.originalSourcePort])),
    );
    const flow = fakeFlow(client);
    transactOne(connection, createFlowRequest(flow));
    await deleteFlows(connection, [flow]);
    await until(() => events.length === 2);
    expect(events).toEqual([
      ["new", 4000],
      ["destroy", 4000],
    ]);
  });
});

describe("nftables generation", () => {
  test("is raised by a change that iptables-nft makes, and the event names the process", async ({ skip }) => {
    using connection = openNetlink("netfilter");
    const commits: (string | undefined)[] = [];
    using _subscription = subscribe(
      { protocol: "netfilter", groups: [nfGroups.nftables] },
      handing((message) => {
        const generation = decodeNftGeneration(message);
        if (generation !== undefined) commits.push(generation.process?.name);
      }),
    );
    const before = readNftGeneration(connection);
    // The kernel's "process" is the thread.
    expect(before.process?.id).toBe(Number(basename(readlinkSync("/proc/thread-self"))));
    expect(readNftGeneration(connection)).toEqual(before);
    const nft = spawnSync("iptables-nft", ["-t", "nat", "-N", "KUBE-TEST"], { encoding: "utf8" });
    if (nft.status !== 0) skip(`this kernel has no nftables for IPv4: ${nft.stderr}`);
    expect(readNftGeneration(connection).id).toBeGreaterThan(before.id);
    await until(() => commits.length > 0);
    expect(commits.at(-1)).toBe("iptables-nft");
  });
});

describe("subscribe()", () => {
  test("delivers a burst of 2,000 addresses, and links", async () => {
    using connection = openNetlink("route");
    const events: RouteEvent[] = [];
    using _subscription = subscribe(
      { protocol: "route", groups: [routeGroups.link, routeGroups.ipv4Address, routeGroups.ipv6Address] },
      handing((message) => events.push(decodeRouteEvent(message) ?? expect.unreachable())),
    );
    const addresses = Array.from({ length: 2000 }, (_, index) => `10.70.${index >> 8}.${index & 255}`);
    connection.transact(addresses.map((address) => addAddressRequest(1, address)));
    await until(() => events.length >= addresses.length);
    expect(
      events.map((event) => "address" in event && event.kind === "address-added" && event.address.address),
    ).toEqual(addresses);

    events.length = 0;
    transactOne(connection, createLinkRequest("burst0", "bridge"));
    transactOne(connection, deleteLinkRequest(findLink(connection, "burst0")?.index ?? 0));
    await until(() => events.some(({ kind }) => kind === "link-removed"));
    expect(events[0]).toMatchObject({ kind: "link-added", link: { name: "burst0", kind: "bridge" } });
    connection.transact(addresses.map((address) => deleteAddressRequest(1, address)));
  });

  test("says when notifications were lost, and goes on", async () => {
    using connection = openNetlink("route");
    let delivered = 0;
    let losses = 0;
    using _subscription = subscribe(
      { protocol: "route", groups: [routeGroups.ipv4Address], receiveBytes: 16 * 1024 },
      {
        onMessage: () => delivered++,
        onLost: () => losses++,
        onError: (error) => expect.unreachable(error.message),
      },
    );
    const addresses = Array.from({ length: 1000 }, (_, index) => `10.71.${index >> 8}.${index & 255}`);
    connection.transact(addresses.map((address) => addAddressRequest(1, address)));
    await until(() => losses > 0);
    expect(delivered).toBeLessThan(addresses.length);
    const before = delivered;
    transactOne(connection, deleteAddressRequest(1, "10.71.0.0"));
    await until(() => delivered > before);
    connection.transact(addresses.slice(1).map((address) => deleteAddressRequest(1, address)));
  });

  test("refuses a group that does not exist", () => {
    const handlers = { onMessage: () => undefined, onLost: () => undefined, onError: () => undefined };
    expect(() => subscribe({ protocol: "route", groups: [9999] }, handlers)).toThrow(
      "Cannot join netlink group 9999 of protocol route: EINVAL",
    );
  });

  test("lets the process exit when it is disposed of, and leaves no descriptor behind", () => {
    const script = `
      import { readdirSync } from "node:fs";
      import { subscribe } from ${JSON.stringify(new URL("../src/netlink/notifications.ts", import.meta.url).href)};
      const handlers = { onMessage: () => {}, onLost: () => {}, onError: () => {} };
      const open = () => subscribe({ protocol: "route", groups: [1] }, handlers);
      open()[Symbol.dispose]();
      setTimeout(() => {
        const before = readdirSync("/proc/self/fd").length;
        for (let count = 0; count < 10; count++) open()[Symbol.dispose]();
        setTimeout(() => process.stdout.write(String(readdirSync("/proc/self/fd").length - before)), 10);
      }, 10);`;
    const { status, stdout } = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", script], {
      encoding: "utf8",
      timeout: 20_000,
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: "0" });
  });
});

const client = {
  protocol: 17,
  source: "10.0.0.6",
  sourcePort: 4000,
  destination: "10.96.0.10",
  destinationPort: 53,
} as const;

/** Handlers for a subscription that must neither lose anything nor end. */
function handing(onMessage: (message: NetlinkMessage) => void): SubscriptionHandlers {
  return {
    onMessage,
    onLost: () => expect.unreachable(),
    onError: (error) => expect.unreachable(error.message),
  };
}

/** What `ipset save` must print for the sample sets behind "create" or "add" and the name. */
const savedAs: Readonly<Record<string, readonly string[]>> = {
  "contract-ip": ["hash:ip family inet maxelem 65536", "10.96.0.10", "10.96.0.11", "10.96.0.12"],
  "contract-ip6": ["hash:ip family inet6 maxelem 1000", "fd00:10:96::a"],
  "contract-net": ["hash:net family inet maxelem 65536", "10.0.0.0/8", "192.0.2.7"],
  "contract-ip-port": [
    "hash:ip,port family inet maxelem 65536",
    ...["10.96.0.10,tcp:80", "10.96.0.10,udp:53", "10.96.0.10,sctp:36412"],
  ],
  "contract-ip-port-ip": [
    "hash:ip,port,ip family inet6 maxelem 65536",
    "fd00:10:244::5,tcp:8080,fd00:10:244::5",
  ],
  "contract-ip-port-net": [
    "hash:ip,port,net family inet maxelem 65536",
    "203.0.113.1,tcp:443,198.51.100.0/24",
  ],
  "contract-port": ["bitmap:port range 0-65535", "30080"],
};

/** Parameters that the kernel chooses, and that differ between its versions. */
function withoutParameters(line: string): string {
  return line.replace(/ (hashsize|bucketsize|initval) \S+/g, "");
}

function run(program: string, ...options: readonly string[]): string {
  return execFileSync(program, options, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Waits, looking again and again, until something is so; the test's own time limit ends it otherwise. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(1);
}
