/**
 * Random rules for property tests and for tests against a real kernel, and a sample packet and node. Imported by tests only.
 *
 * What is generated is canonical (parsing its text gives the same object) and loads into a kernel: options stand together
 * as the modules demand, targets fit the table, jumps go forward only, so that there are no circles.
 *
 * @module
 */
import fc from "fast-check";
import type { Family } from "./address.ts";
import { sourceEqualsDestination } from "./bpf.ts";
import {
  bpf,
  comment,
  ctstate,
  destination,
  destinationType,
  inInterface,
  inSet,
  mark,
  multiport,
  nfacct,
  not,
  oneIn,
  outInterface,
  ports,
  probability,
  protocol,
  raw,
  recentCheck,
  recentRemove,
  recentSet,
  recentUpdate,
  source,
  sourceType,
} from "./matches.ts";
import type { Packet, TracedNode } from "./packet.ts";
import { hasRecentSetClash } from "./render.ts";
import {
  type AddressType,
  addressTypes,
  type Chain,
  connectionStates,
  type Match,
  type Negatable,
  type PortRange,
  type RejectReason,
  type Rule,
  type Ruleset,
  type SetDirection,
  type Table,
  type TableName,
  type Target,
  type TransportProtocol,
} from "./rule.ts";
import {
  accept,
  addToSet,
  deleteFromSet,
  dnat,
  drop,
  goTo,
  jump,
  masquerade,
  rawTarget,
  rejectWith,
  returnToCaller,
  setXmark,
} from "./targets.ts";
import { commentProblem } from "./text.ts";

/** What exists outside of the rules, so that a kernel accepts them. */
export interface World {
  readonly family: Family;
  readonly table: TableName;
  /** Chains that rules may jump to. */
  readonly chains?: readonly string[];
  /** ipsets by name, with the number of their dimensions; they have timeouts. */
  readonly sets?: Readonly<Record<string, number>>;
  /** nfacct counters. */
  readonly counters?: readonly string[];
}

const transports: readonly TransportProtocol[] = ["tcp", "udp", "sctp"];

const rejectReasonsOf: Readonly<Record<Family, readonly RejectReason[]>> = {
  IPv4: [
    "icmp-net-unreachable",
    "icmp-host-unreachable",
    "icmp-proto-unreachable",
    "icmp-port-unreachable",
    "icmp-net-prohibited",
    "icmp-host-prohibited",
    "icmp-admin-prohibited",
  ],
  IPv6: ["icmp6-no-route", "icmp6-adm-prohibited", "icmp6-addr-unreachable", "icmp6-port-unreachable"],
};

/** Types that the kernel refuses to match in IPv6 (net/netfilter/xt_addrtype.c). */
const ipv4OnlyTypes: ReadonlySet<AddressType> = new Set([
  "BROADCAST",
  "BLACKHOLE",
  "PROHIBIT",
  "THROW",
  "NAT",
  "XRESOLVE",
]);

/** The value or its negation. */
function maybeNot<T extends Negatable>(part: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.tuple(part, fc.boolean()).map(([value, negated]) => (negated ? not(value) : value));
}

/** An address of the family as text, not necessarily canonical. */
export function anyAddress(family: Family): fc.Arbitrary<string> {
  return family === "IPv4" ? fc.ipV4() : fc.ipV6();
}

/** A network with prefix 1 or longer, now and then with a mask that is no prefix; host bits may be set. */
export function anyNetwork(family: Family): fc.Arbitrary<string> {
  const bits = family === "IPv4" ? 32 : 128;
  const oddMasks = family === "IPv4" ? ["255.0.255.0", "0.0.0.1"] : ["ffff::ffff", "::1"];
  return fc.oneof(
    { weight: 4, arbitrary: anyAddress(family) },
    {
      weight: 4,
      arbitrary: fc
        .tuple(anyAddress(family), fc.integer({ min: 1, max: bits }))
        .map((parts) => parts.join("/")),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(anyAddress(family), fc.constantFrom(...oddMasks)).map((parts) => parts.join("/")),
    },
  );
}

/** Text that a comment may hold, up to the greatest length. */
export const anyComment: fc.Arbitrary<string> = fc
  .oneof(
    { weight: 6, arbitrary: fc.string({ unit: "grapheme", maxLength: 40 }) },
    { weight: 2, arbitrary: fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/) },
    {
      weight: 1,
      arbitrary: fc.constantFrom("", "-j", "!", " x ", "--comment", "-j ACCEPT", "x".repeat(255)),
    },
  )
  .filter((text) => commentProblem(text) === undefined);

const anyInterface: fc.Arbitrary<string> = fc.stringMatching(/^[a-z][a-z0-9._-]{0,13}\+?$/);

const anyName: fc.Arbitrary<string> = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,20}$/);

const anyMask32: fc.Arbitrary<number> = fc.oneof(
  fc.constantFrom(0, 0x4000, 0x8000_0000, 0xffff_ffff),
  fc.nat({ max: 0xffff_ffff }),
);

/** A range other than 0:65535. Negated ones do not begin at 0 unless they are port 0 alone. */
export const anyPortRange: fc.Arbitrary<PortRange> = fc
  .tuple(fc.nat({ max: 65_535 }), fc.nat({ max: 65_535 }), fc.integer({ min: 0, max: 3 }))
  .map(([one, other, shape]): PortRange => {
    const first = Math.min(one, other);
    const last = shape < 2 ? first : Math.max(one, other);
    return shape % 2 === 1 && !(first === 0 && last > 0) ? { first, last, negated: true } : { first, last };
  })
  .filter(({ first, last }) => !(first === 0 && last === 65_535));

const anyPlainRange: fc.Arbitrary<PortRange> = anyPortRange.map(({ first, last }) => ({ first, last }));

/** Up to seven ranges, which fill 14 of the 15 slots. */
const anyMultiport: fc.Arbitrary<Match> = maybeNot(
  fc
    .tuple(
      fc.constantFrom("source" as const, "destination" as const, "either" as const),
      fc.array(anyPlainRange, { minLength: 1, maxLength: 7 }),
    )
    .map(([side, ranges]) => multiport(side, ...ranges)),
);

/** The matches on protocol and ports, and the protocol that a port of NAT may rely on. */
function anyProtocol(
  family: Family,
): fc.Arbitrary<{ readonly matches: readonly Match[]; readonly transport?: TransportProtocol }> {
  const others = ["esp", "ah", "udplite", "gre", "99", family === "IPv4" ? "icmp" : "ipv6-icmp"];
  return fc.oneof(
    fc.constant({ matches: [] }),
    maybeNot(fc.constantFrom(...others, ...transports).map(protocol)).map((match) => ({ matches: [match] })),
    fc
      .record(
        { transport: fc.constantFrom(...transports), source: anyPortRange, destination: anyPortRange },
        { requiredKeys: ["transport"] },
      )
      .map(({ transport, ...ranges }) => ({ matches: [ports(transport, ranges)], transport })),
    fc
      .tuple(fc.constantFrom(...transports), anyMultiport)
      .map(([transport, match]) => ({ matches: [protocol(transport), match], transport })),
  );
}

function anyRecent(family: Family): fc.Arbitrary<Match> {
  const lookup = fc
    .record(
      {
        seconds: fc.integer({ min: 1, max: 86_400 }),
        reap: fc.constant(true as const),
        hitCount: fc.integer({ min: 1, max: 20 }),
        sameTtl: fc.constant(true as const),
      },
      { requiredKeys: [] },
    )
    .map(({ reap, ...rest }) => (reap === true && rest.seconds !== undefined ? { ...rest, reap } : rest));
  return maybeNot(
    fc.oneof(
      anyName.map((list) => recentSet(family, list)),
      anyName.map((list) => recentRemove(family, list)),
      fc.tuple(anyName, lookup).map(([list, asked]) => recentCheck(family, list, asked)),
      fc.tuple(anyName, lookup).map(([list, asked]) => recentUpdate(family, list, asked)),
      anyName.map((list) => ({ ...recentSet(family, list), side: "destination" as const })),
      anyName.map((list) => ({
        ...recentCheck(family, list),
        mask: family === "IPv4" ? "255.255.0.0" : "ffff:ffff::",
      })),
    ),
  );
}

function anySetDirections(dimensions: number): fc.Arbitrary<readonly SetDirection[]> {
  return fc.array(fc.constantFrom("src" as const, "dst" as const), {
    minLength: dimensions,
    maxLength: dimensions,
  });
}

/** A match that is written as a module and needs nothing beside it. */
function anyModule({ family, sets = {}, counters = [] }: World): fc.Arbitrary<Match> {
  const someStates = fc.subarray([...connectionStates], { minLength: 1 });
  const knownTypes = addressTypes.filter((type) => family === "IPv4" || !ipv4OnlyTypes.has(type));
  const someTypes = fc.subarray(knownTypes, { minLength: 1 });
  return fc.oneof(
    anyComment.map(comment),
    maybeNot(fc.tuple(anyMask32, anyMask32).map(([value, mask]) => mark(value, mask))),
    maybeNot(someStates.map((states) => ctstate(...states))),
    maybeNot(
      fc.oneof(
        someTypes.map((types) => sourceType(...types)),
        someTypes.map((types) => destinationType(...types)),
      ),
    ),
    maybeNot(
      fc.oneof(
        fc.integer({ min: 1, max: 200_000 }).map(oneIn),
        fc.nat({ max: 4096 }).map((n) => probability(n / 4096)),
      ),
    ),
    anyRecent(family),
    fc.constantFrom(bpf(sourceEqualsDestination(family)), bpf([[6, 0, 0, 0xffff_ffff]])),
    fc.constantFrom(
      raw("-m limit --limit 5/min --limit-burst 7"),
      raw("-m pkttype ! --pkt-type broadcast"),
      raw('-m string --string "a \\"b c" --algo bm'),
    ),
    ...counters.map((counter) => fc.constant(nfacct(counter))),
    ...Object.entries(sets).map(([set, dimensions]) =>
      maybeNot(anySetDirections(dimensions).map((directions) => inSet(set, ...directions))),
    ),
  );
}

function anyNatTarget(family: Family, transport: TransportProtocol | undefined): fc.Arbitrary<Target> {
  const portless = fc.oneof(
    fc.constant(masquerade({ randomFully: true })),
    fc.constant(masquerade()),
    anyAddress(family).map((address) => dnat(address)),
    fc.constant(rawTarget("REDIRECT")),
  );
  if (transport === undefined) {
    return portless;
  }
  return fc.oneof(
    portless,
    anyPlainRange.map((ports) => masquerade({ ports })),
    fc
      .tuple(anyAddress(family), fc.integer({ min: 1, max: 65_535 }))
      .map(([address, port]) => dnat(address, port)),
    fc.constant(rawTarget("REDIRECT --to-ports 80-90 --random")),
  );
}

function anyTarget(world: World, transport: TransportProtocol | undefined): fc.Arbitrary<Target> {
  const { family, table, chains = [], sets = {} } = world;
  const inFilter: readonly fc.Arbitrary<Target>[] = [
    fc.constantFrom(drop, ...rejectReasonsOf[family].map(rejectWith)),
    fc.constantFrom(
      ...(transport === "tcp" ? [rejectWith("tcp-reset")] : []),
      rawTarget('LOG --log-prefix "x y: "'),
    ),
  ];
  return fc.oneof(
    fc.constantFrom<Target>(accept, returnToCaller),
    fc.tuple(anyMask32, anyMask32).map(([value, mask]) => setXmark(value, mask)),
    ...chains.map((name) => fc.constantFrom(jump(name), goTo(name))),
    ...Object.entries(sets).flatMap(([set, dimensions]) => [
      anySetDirections(dimensions).map((directions) => addToSet(set, directions)),
      anySetDirections(dimensions).map((directions) => addToSet(set, directions, { timeoutSeconds: 600 })),
      anySetDirections(dimensions).map((directions) => deleteFromSet(set, directions)),
    ]),
    ...(table === "filter" ? inFilter : []),
    ...(table === "nat" ? [anyNatTarget(family, transport)] : []),
  );
}

/** A rule for the table. Its header matches stand first and in iptables' order, as the parser returns them. */
export function anyRule(world: World): fc.Arbitrary<Rule> {
  const { family } = world;
  const header = fc
    .record(
      {
        source: maybeNot(anyNetwork(family).map(source)),
        destination: maybeNot(anyNetwork(family).map(destination)),
        inInterface: maybeNot(anyInterface.map(inInterface)),
        outInterface: maybeNot(anyInterface.map(outInterface)),
      },
      { requiredKeys: [] },
    )
    .map((parts): readonly Match[] =>
      [parts.source, parts.destination, parts.inInterface, parts.outInterface].filter(
        (match) => match !== undefined,
      ),
    );
  return fc
    .tuple(header, anyProtocol(family), fc.array(anyModule(world), { maxLength: 3 }))
    .chain(([first, { matches, transport }, modules]) =>
      fc.option(anyTarget(world, transport), { nil: undefined, freq: 6 }).map((target): Rule => {
        const all = [...first, ...matches, ...modules];
        return target === undefined ? { matches: all } : { matches: all, target };
      }),
    )
    .filter(({ matches }) => !hasRecentSetClash(matches));
}

/** A table of `size` chains that jump forward only, sorted by name. */
export function anyTable(world: World, size = 4): fc.Arbitrary<Table> {
  const names = Array.from({ length: size }, (_, index) => `CHAIN-${index}`);
  const chains = names.map((name, index) =>
    fc
      .array(anyRule({ ...world, chains: names.slice(index + 1) }), { maxLength: 10 })
      .map((rules): Chain => ({ name, rules })),
  );
  return fc.tuple(...chains).map((all) => ({ name: world.table, chains: all }));
}

/** A ruleset of filter, mangle and nat, in this order, which is that of the renderer. */
export function anyRuleset(world: Omit<World, "table">): fc.Arbitrary<Ruleset> {
  const tables = (["filter", "mangle", "nat"] as const).map((table) => anyTable({ ...world, table }));
  return fc.tuple(...tables).map((all) => ({ tables: all }));
}

/** A packet for the tracer. */
export const samplePacket: Packet = {
  source: "10.0.0.2",
  destination: "10.96.0.1",
  protocol: "tcp",
  sourcePort: 40_000,
  destinationPort: 80,
  mark: 0x4001,
};

/** A node for the tracer that knows a `recent` list L and ipsets of every shape. */
export const sampleNode: TracedNode = {
  origin: "network",
  localAddresses: new Set(["192.168.0.2"]),
  inInterface: "cbr0",
  outInterface: "eth0",
  recent: new Map([["L", new Map([["10.0.0.2", 100]])]]),
  sets: new Map([
    ["ADDRESSES", { type: "hash:ip", entries: new Set(["10.0.0.2"]) }],
    ["FRONTENDS", { type: "hash:ip,port", entries: new Set(["10.96.0.1,tcp:80"]) }],
    ["PORTS", { type: "bitmap:port", entries: new Set(["80"]) }],
    ["NETS", { type: "hash:ip,port,net", entries: new Set(["10.96.0.1,tcp:80,10.0.0.0/8"]) }],
    ["MACS", { type: "hash:mac", entries: new Set<string>() }],
  ]),
};
