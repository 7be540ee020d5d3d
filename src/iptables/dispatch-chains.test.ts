/**
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Family } from "../proxier/address.ts";
import type { Protocol } from "../proxier/objects.ts";
import type { NodePlan } from "../proxier/plan.ts";
import { address } from "../proxier/testing.ts";
import { comment, destination, dport } from "./builder/matches.ts";
import { accept, jump } from "./builder/targets.ts";
import { isServiceChain, maxChainNameLength } from "./chain-names.ts";
import type { DispatchName, ServiceEntry } from "./chain-set.ts";
import { DispatchChains } from "./dispatch-chains.ts";
import { addressKey, portKey } from "./service-rules.ts";
import { rootChains } from "./static-rules.ts";
import { linesOfChain } from "./testing.ts";
import { numberedAddress } from "./testing-cluster.ts";
import { ownerOfLine, type WantedChain } from "./wanted-chain.ts";

function node(family: Family): NodePlan {
  return {
    family,
    detector: undefined,
    masqueradeMark: 1,
    nodePorts: { kind: "all", loopback: false },
    localhostNodePorts: false,
  };
}

function chains(family: Family = "IPv4", dispatchLimit?: number): DispatchChains {
  const settings = { layout: "lean", dropInvalid: true } as const;
  return new DispatchChains(
    node(family),
    dispatchLimit === undefined ? settings : { ...settings, dispatchLimit },
  );
}

function atAddress(dispatch: DispatchName, ip: string, id = "a"): ServiceEntry {
  return {
    dispatch,
    key: addressKey(address(ip)),
    id,
    rule: { matches: [destination(ip), comment(id)], target: accept },
  };
}

function atPort(dispatch: DispatchName, protocol: Protocol, port: number): ServiceEntry {
  const transport = ({ TCP: "tcp", UDP: "udp", SCTP: "sctp" } as const)[protocol];
  return {
    dispatch,
    key: portKey(protocol, port),
    id: "a",
    rule: { matches: [dport(transport, port)], target: accept },
  };
}

function withEntries(entries: readonly ServiceEntry[], made: DispatchChains = chains()): DispatchChains {
  for (const entry of entries) {
    made.set(entry, `owner of ${entry.key} ${entry.id}`);
  }
  return made;
}

/** Lines by table and chain, without those of empty chains. */
function linesOf(all: readonly WantedChain[]): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    all
      .filter(({ rules }) => rules > 0)
      .map((chain) => [`${chain.table} ${chain.name}`, linesOfChain(chain)]),
  );
}

function addresses(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}.${index + 1}`);
}

const tail =
  '-A KUBE-SERVICES ! -d 127.0.0.0/8 -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS';

describe("DispatchChains.all()", () => {
  test("keeps few entries in the shared chains, the node ports behind all of them", () => {
    const made = withEntries([
      atAddress("services", "10.96.0.10"),
      atAddress("services", "10.96.0.9"),
      atPort("node-ports", "TCP", 30_000),
      atAddress("no-internal", "10.96.0.11"),
      atAddress("no-external", "1.2.3.4"),
      atPort("no-external", "UDP", 30_001),
      atAddress("firewall", "1.2.3.5"),
      atPort("health", "TCP", 32_000),
    ]);
    expect(linesOf(made.all())).toEqual({
      "nat KUBE-SERVICES": [
        "-A KUBE-SERVICES -d 10.96.0.9/32 -m comment --comment a -j ACCEPT",
        "-A KUBE-SERVICES -d 10.96.0.10/32 -m comment --comment a -j ACCEPT",
        tail,
      ],
      "nat KUBE-NODEPORTS": ["-A KUBE-NODEPORTS -p tcp -m tcp --dport 30000 -j ACCEPT"],
      "filter KUBE-SERVICES": ["-A KUBE-SERVICES -d 10.96.0.11/32 -m comment --comment a -j ACCEPT"],
      "filter KUBE-EXTERNAL-SERVICES": [
        "-A KUBE-EXTERNAL-SERVICES -d 1.2.3.4/32 -m comment --comment a -j ACCEPT",
        "-A KUBE-EXTERNAL-SERVICES -p udp -m udp --dport 30001 -j ACCEPT",
      ],
      "filter KUBE-PROXY-FIREWALL": ["-A KUBE-PROXY-FIREWALL -d 1.2.3.5/32 -m comment --comment a -j ACCEPT"],
      "filter KUBE-NODEPORTS": ["-A KUBE-NODEPORTS -p tcp -m tcp --dport 32000 -j ACCEPT"],
    });
  });

  test("always has the six roots, in an order in which each finds what it jumps to", () => {
    expect(
      chains()
        .all()
        .map(({ table, name }) => `${table} ${name}`),
    ).toEqual([
      "filter KUBE-NODEPORTS",
      "filter KUBE-PROXY-FIREWALL",
      "filter KUBE-EXTERNAL-SERVICES",
      "filter KUBE-SERVICES",
      "nat KUBE-NODEPORTS",
      "nat KUBE-SERVICES",
    ]);
  });

  test("branches by networks that are named by what they are", () => {
    const made = withEntries(
      [...addresses("10.96.16", 17), "10.96.33.1", "10.112.0.1", "10.112.0.2"].map((ip) =>
        atAddress("services", ip),
      ),
    );
    const lines = linesOf(made.all());
    expect(lines["nat KUBE-SERVICES"]).toEqual([
      "-A KUBE-SERVICES -d 10.0.0.0/8 -j KUBE-SVC-10.0.0.0/8",
      tail,
    ]);
    expect(lines["nat KUBE-SVC-10.0.0.0/8"]).toEqual([
      "-A KUBE-SVC-10.0.0.0/8 -d 10.96.0.0/16 -j KUBE-SVC-10.96.0.0/16",
      "-A KUBE-SVC-10.0.0.0/8 -d 10.112.0.0/28 -j KUBE-SVC-10.112.0.0/28",
    ]);
    expect(lines["nat KUBE-SVC-10.96.0.0/16"]).toEqual([
      "-A KUBE-SVC-10.96.0.0/16 -d 10.96.16.0/24 -j KUBE-SVC-10.96.16.0/24",
      "-A KUBE-SVC-10.96.0.0/16 -d 10.96.33.1/32 -m comment --comment a -j ACCEPT",
    ]);
    expect(lines["nat KUBE-SVC-10.96.16.0/24"]).toEqual([
      "-A KUBE-SVC-10.96.16.0/24 -d 10.96.16.0/28 -j KUBE-SVC-10.96.16.0/28",
      "-A KUBE-SVC-10.96.16.0/24 -d 10.96.16.16/28 -j KUBE-SVC-10.96.16.16/28",
    ]);
    expect(lines["nat KUBE-SVC-10.96.16.16/28"]).toHaveLength(2);
  });

  test("needs no match where branches have no digit in common", () => {
    const made = withEntries(
      [...addresses("10.96.0", 9), ...addresses("176.1.0", 9)].map((ip) => atAddress("firewall", ip)),
    );
    expect(linesOf(made.all())["filter KUBE-PROXY-FIREWALL"]).toEqual([
      "-A KUBE-PROXY-FIREWALL -j KUBE-FW-0.0.0.0/0",
    ]);
  });

  test("keeps all ports of one address together, however many", () => {
    const made = withEntries(
      Array.from({ length: 40 }, (_, index) => atAddress("no-internal", "10.96.0.10", `port ${100 + index}`)),
    );
    const lines = linesOf(made.all());
    expect(lines["filter KUBE-SERVICES"]).toEqual([
      "-A KUBE-SERVICES -d 10.96.0.10/32 -j KUBE-SVC-10.96.0.10/32",
    ]);
    expect(lines["filter KUBE-SVC-10.96.0.10/32"]).toHaveLength(40);
  });

  test("branches by ranges of ports of a protocol", () => {
    const ports = Array.from({ length: 17 }, (_, index) => atPort("node-ports", "TCP", 30_208 + index));
    const more = [atPort("node-ports", "UDP", 53), atPort("node-ports", "UDP", 40_000)];
    const lines = linesOf(withEntries([...ports, ...more]).all());
    expect(lines["nat KUBE-NODEPORTS"]).toEqual(["-A KUBE-NODEPORTS -j KUBE-EXT-node-ports"]);
    expect(lines["nat KUBE-EXT-node-ports"]).toEqual([
      "-A KUBE-EXT-node-ports -p tcp -m tcp --dport 30208:30463 -j KUBE-EXT-tcp-30208-30463",
      "-A KUBE-EXT-node-ports -p udp -j KUBE-EXT-udp",
    ]);
    expect(lines["nat KUBE-EXT-tcp-30208-30463"]).toEqual([
      "-A KUBE-EXT-tcp-30208-30463 -p tcp -m tcp --dport 30208:30223 -j KUBE-EXT-tcp-30208-30223",
      "-A KUBE-EXT-tcp-30208-30463 -p tcp -m tcp --dport 30224 -j ACCEPT",
    ]);
    expect(lines["nat KUBE-EXT-udp"]).toHaveLength(2);
  });

  test("branches refused node ports on addresses of the node only", () => {
    const ports = Array.from({ length: 10 }, (_, index) => [
      atPort("no-external", "TCP", 30_000 + index),
      atPort("no-external", "SCTP", 30_000 + index),
    ]).flat();
    const lines = linesOf(withEntries([...ports, atAddress("no-external", "1.2.3.4")]).all());
    expect(lines["filter KUBE-EXTERNAL-SERVICES"]).toEqual([
      "-A KUBE-EXTERNAL-SERVICES -d 1.2.3.4/32 -m comment --comment a -j ACCEPT",
      "-A KUBE-EXTERNAL-SERVICES -m addrtype --dst-type LOCAL -j KUBE-EXT-node-ports",
    ]);
    expect(lines["filter KUBE-EXT-node-ports"]).toEqual([
      "-A KUBE-EXT-node-ports -p sctp -m addrtype --dst-type LOCAL -m sctp --dport 30000:30015 -j KUBE-EXT-sctp-30000-30015",
      "-A KUBE-EXT-node-ports -p tcp -m addrtype --dst-type LOCAL -m tcp --dport 30000:30015 -j KUBE-EXT-tcp-30000-30015",
    ]);
  });

  test("hashes names that are too long for the kernel", () => {
    const six = Array.from(
      { length: 17 },
      (_, index) => `fd00:10:96:1234:5678:9abc:0:${(index + 1).toString(16)}`,
    );
    const made = withEntries(
      [...six, "fd00:10:96::1"].map((ip) => atAddress("services", ip)),
      chains("IPv6"),
    );
    const lines = linesOf(made.all());
    expect(lines["nat KUBE-SERVICES"]?.[0]).toBe(
      "-A KUBE-SERVICES -d fd00:10:96::/48 -j KUBE-SVC-fd00:10:96::/48",
    );
    expect(lines["nat KUBE-SVC-fd00:10:96::/48"]?.[1]).toMatch(
      /^-A KUBE-SVC-fd00:10:96::\/48 -d fd00:10:96:1234:5678:9abc::\/120 -j KUBE-SVC-[A-Z2-7]{16}$/,
    );
  });

  test("is one list where the limit is infinite", () => {
    const made = withEntries(
      addresses("10.96.0", 200).map((ip) => atAddress("services", ip)),
      chains("IPv4", Number.POSITIVE_INFINITY),
    );
    expect(linesOf(made.all())["nat KUBE-SERVICES"]).toHaveLength(201);
  });

  test("knows whose each line is", () => {
    const made = withEntries(addresses("10.96.0", 17).map((ip) => atAddress("services", ip)));
    for (const chain of made.all()) {
      for (const [index, line] of linesOfChain(chain).entries()) {
        const isEntry = / -d \S+\/32 /.test(line);
        expect(ownerOfLine(chain, index)).toMatch(isEntry ? /^owner of a0a6000/ : /^$/);
      }
    }
  });
});

describe("DispatchChains.flush()", () => {
  test("tells the roots at first, then nothing until something differs", () => {
    const made = chains();
    expect(made.flush().changed).toHaveLength(6);
    expect(made.flush()).toEqual({ changed: [], removed: [] });
    made.set(atAddress("services", "10.96.0.1"), "ns/a");
    expect(made.flush().changed.map(({ name }) => name)).toEqual(["KUBE-SERVICES"]);
    made.set(atAddress("services", "10.96.0.1"), "ns/a");
    expect(made.flush().changed).toEqual([]);
  });

  test("counts all() as a flush", () => {
    const made = withEntries([atAddress("services", "10.96.0.1")]);
    made.all();
    expect(made.flush()).toEqual({ changed: [], removed: [] });
  });

  test("names branches that are gone by table and chain", () => {
    const entries = addresses("10.96.0", 17).map((ip) => atAddress("no-internal", ip));
    const made = withEntries(entries);
    made.flush();
    for (const entry of entries.slice(0, 2)) {
      made.delete(entry);
    }
    const { changed, removed } = made.flush();
    expect(changed.map(({ name }) => name)).toEqual(["KUBE-SERVICES"]);
    expect(removed.map(({ table, name }) => `${table} ${name}`)).toEqual([
      "filter KUBE-SVC-10.96.0.0/24",
      "filter KUBE-SVC-10.96.0.0/28",
      "filter KUBE-SVC-10.96.0.16/28",
    ]);
  });

  test("replaces a rule whose text differs", () => {
    const made = withEntries([atAddress("services", "10.96.0.1")]);
    made.flush();
    made.set(
      { ...atAddress("services", "10.96.0.1"), rule: { matches: [], target: jump("KUBE-SVC-X") } },
      "ns/a",
    );
    expect(linesOfChain(made.flush().changed[0])[0]).toBe("-A KUBE-SERVICES -j KUBE-SVC-X");
  });
});

test("DispatchChains.servicesRoot() follows the node", () => {
  const made = withEntries([atAddress("services", "10.96.0.1")]);
  made.setNode({ ...node("IPv4"), nodePorts: { kind: "listed", addresses: [address("192.168.0.2")] } });
  const root = made.servicesRoot();
  expect(root?.name).toBe("KUBE-SERVICES");
  expect(linesOfChain(root)).toHaveLength(2);
  expect(linesOfChain(root)[1]).toContain("-d 192.168.0.2/32");
});

test("a tree that does not exist is refused", () => {
  const entry = { ...atAddress("services", "10.96.0.1"), dispatch: "nowhere" as DispatchName };
  expect(() => chains().set(entry, "ns/a")).toThrow('Cannot find dispatch tree "nowhere"');
});

/** Entries of any tree: at addresses in few networks, so that prefixes are shared, and at ports. */
function anyEntry(family: Family): fc.Arbitrary<ServiceEntry> {
  const anyAddress = fc
    .tuple(fc.constantFrom(10, 11, 172, 203), fc.constantFrom(0, 1, 255, 0xffff, 0x60_0000), fc.nat(20))
    .map(([high, base, low]) => numberedAddress(family, high, base + low));
  const anyPort = fc.oneof(fc.integer({ min: 30_000, max: 30_040 }), fc.constantFrom(1, 80, 65_535));
  const byAddress = fc
    .tuple(
      fc.constantFrom<DispatchName>("services", "no-internal", "no-external", "firewall"),
      anyAddress,
      fc.nat(2),
    )
    .map(([dispatch, ip, id]) => atAddress(dispatch, ip, `id ${id}`));
  const byPort = fc
    .tuple(
      fc.constantFrom<DispatchName>("node-ports", "no-external", "health"),
      fc.constantFrom<Protocol>("TCP", "UDP", "SCTP"),
      anyPort,
    )
    .map(([dispatch, protocol, port]) => atPort(dispatch, protocol, port));
  return fc.oneof(byAddress, byPort);
}

describe.each(["IPv4", "IPv6"] as const)("DispatchChains of %s", (family) => {
  const anyEdit = fc.record({ entry: anyEntry(family), isGone: fc.boolean() });

  test("give every chain a name of its own, and name none before it is there", () => {
    fc.assert(
      fc.property(
        fc.array(anyEntry(family), { maxLength: 150, size: "max" }),
        fc.constantFrom(1, 2, 16),
        (entries, limit) => {
          const names = new Set<string>();
          for (const chain of withEntries(entries, chains(family, limit)).all()) {
            const { table, name } = chain;
            expect(names, `${table} ${name}`).not.toContain(`${table} ${name}`);
            expect(name.length).toBeLessThanOrEqual(maxChainNameLength);
            const isRoot = Object.values(rootChains).some(
              (root) => root.table === table && root.chain === name,
            );
            expect(isRoot || isServiceChain(name), name).toBe(true);
            for (const line of linesOfChain(chain)) {
              const [, target = ""] = / -j (KUBE-\S+)$/.exec(line) ?? [];
              if (target !== "") {
                expect(names).toContain(`${table} ${target}`);
              }
            }
            names.add(`${table} ${name}`);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test("end in the same chains by any road of changes", () => {
    fc.assert(
      fc.property(fc.array(fc.array(anyEdit, { maxLength: 30, size: "max" }), { maxLength: 5 }), (rounds) => {
        const winding = chains(family, 3);
        const held = new Map<string, WantedChain>();
        const entries = new Map<string, ServiceEntry>();
        for (const round of rounds) {
          for (const { entry, isGone } of round) {
            const identity = `${entry.dispatch} ${entry.key} ${entry.id}`;
            if (isGone) {
              winding.delete(entry);
              entries.delete(identity);
            } else {
              winding.set(entry, `owner of ${entry.key} ${entry.id}`);
              entries.set(identity, entry);
            }
          }
          const { changed, removed } = winding.flush();
          for (const { table, name } of removed) {
            expect(held.delete(`${table} ${name}`)).toBe(true);
          }
          for (const chain of changed) {
            held.set(`${chain.table} ${chain.name}`, chain);
          }
        }
        if (rounds.length > 0) {
          const straight = withEntries([...entries.values()], chains(family, 3)).all();
          expect([...held.values()].sort(byName)).toEqual([...straight].sort(byName));
          expect([...winding.all()].sort(byName)).toEqual([...straight].sort(byName));
        }
      }),
      { numRuns: 40 },
    );
  });
});

function byName(a: WantedChain, b: WantedChain): number {
  return `${a.table} ${a.name}` < `${b.table} ${b.name}` ? -1 : 1;
}
