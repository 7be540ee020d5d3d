/**
 * @module
 */
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { KnownChains } from "./known-chains.ts";
import { type BatchInput, type BatchOptions, type LineOwner, RestoreBatch } from "./restore-batch.ts";
import { FakeKernel } from "./testing.ts";
import { type WantedChain, type WantedTable, wantedChain } from "./wanted-chain.ts";
import type { UnwantedChain } from "./wanted-rules.ts";

/** A chain whose rules are given by what follows the chain's name. */
function chain(
  table: WantedTable,
  name: string,
  rules: readonly string[] = [],
  owners: WantedChain["owners"] = "",
): WantedChain {
  const lines = rules.map((rule) => `-A ${name} ${rule}`);
  return wantedChain(table, name, lines, owners);
}

interface Parts {
  readonly first: readonly WantedChain[];
  readonly service: readonly WantedChain[];
  readonly changed: readonly WantedChain[];
  readonly removed: readonly UnwantedChain[];
  readonly edits: Partial<BatchInput["edits"]>;
  readonly mangleChain: string;
  readonly bulk: boolean;
}

function input(parts: Partial<Parts>): BatchInput {
  return {
    first: parts.first ?? [],
    serviceChains: parts.service ?? [],
    shared: () => ({ changed: parts.changed ?? [], removed: parts.removed ?? [] }),
    edits: { nat: [], filter: [], ...parts.edits },
    mangleChain: parts.mangleChain,
    bulk: parts.bulk ?? false,
  };
}

let known: KnownChains;

beforeEach(() => {
  known = new KnownChains();
});

function batch(options: Partial<BatchOptions> = {}): RestoreBatch {
  return new RestoreBatch(known, {
    rulesPerCommit: Number.POSITIVE_INFINITY,
    undeletable: new Set(),
    before: undefined,
    ...options,
  });
}

function textOf(parts: Partial<Parts>, options: Partial<BatchOptions> = {}): string {
  return [...batch(options).text(input(parts))].join("");
}

/** The order in which tables, and within them lines that match, are written. */
function order(text: string, pattern: RegExp): readonly string[] {
  return text.split("\n").filter((line) => pattern.test(line));
}

const forward = chain("filter", "KUBE-FORWARD", ["-j ACCEPT"]);
const refusals = (...rules: readonly string[]): WantedChain => chain("filter", "KUBE-SERVICES", rules);
const serviceChain = chain("nat", "KUBE-SVC-A", ["-j DNAT"], "ns/a");
const root = chain("nat", "KUBE-SERVICES", ["-j KUBE-SVC-A"], ["ns/a"]);

describe.each([
  ["small", false],
  ["bulk", true],
])("RestoreBatch.text() of a %s batch", (_, bulk) => {
  test("is nothing when nothing differs", () => {
    const parts = { first: [forward], service: [serviceChain], changed: [root], bulk };
    expect(textOf(parts)).not.toBe("");
    expect([...batch().text(input(parts))]).toEqual([]);
  });

  test("writes every table to its COMMIT, chains behind those that they jump to", () => {
    const text = textOf({
      first: [forward, chain("nat", "KUBE-MARK-MASQ", ["-j MARK"])],
      service: [serviceChain],
      changed: [root, refusals("-j REJECT")],
      edits: { nat: ["-I PREROUTING -j KUBE-SERVICES"], filter: ["-I INPUT -j KUBE-SERVICES"] },
      mangleChain: "KUBE-PROXY-CANARY",
      bulk,
    });
    expect(text.endsWith("COMMIT\n")).toBe(true);
    expect(order(text, /^:/)).toEqual(
      bulk
        ? [
            ":KUBE-MARK-MASQ - [0:0]",
            ":KUBE-SVC-A - [0:0]",
            ":KUBE-SERVICES - [0:0]",
            ":KUBE-FORWARD - [0:0]",
            ":KUBE-SERVICES - [0:0]",
            ":KUBE-PROXY-CANARY - [0:0]",
          ]
        : [
            ":KUBE-FORWARD - [0:0]",
            ":KUBE-SERVICES - [0:0]",
            ":KUBE-MARK-MASQ - [0:0]",
            ":KUBE-SVC-A - [0:0]",
            ":KUBE-SERVICES - [0:0]",
            ":KUBE-PROXY-CANARY - [0:0]",
          ],
    );
    const jumps = ["-I INPUT -j KUBE-SERVICES", "-I PREROUTING -j KUBE-SERVICES"];
    expect(order(text, /^-I/)).toEqual(bulk ? jumps.toReversed() : jumps);
  });

  test("refuses before it stops translating, and translates before it stops refusing", () => {
    const translated = { service: [serviceChain], changed: [root, refusals()], bulk };
    const refused = {
      changed: [chain("nat", "KUBE-SERVICES"), refusals("-j REJECT")],
      removed: [{ table: "nat", name: "KUBE-SVC-A" }] as const,
      bulk,
    };
    const gone = /^\*|^-A KUBE-SERVICES|^:KUBE-SERVICES/;
    textOf(translated);
    const toRefused = order(textOf(refused), gone);
    expect(toRefused.indexOf("-A KUBE-SERVICES -j REJECT")).toBeLessThan(
      toRefused.lastIndexOf(":KUBE-SERVICES - [0:0]"),
    );
    expect(toRefused.lastIndexOf("*filter")).toBeLessThan(toRefused.lastIndexOf("*nat"));
    const toTranslated = order(textOf(translated), gone);
    expect(toTranslated.at(-2)).toBe("*filter");
    expect(toTranslated.at(-1)).toBe(":KUBE-SERVICES - [0:0]");
  });

  test("takes a refusal in the place of another one for a gain", () => {
    textOf({ changed: [refusals("-j REJECT"), root] });
    const text = textOf({ changed: [refusals("-j DROP"), chain("nat", "KUBE-SERVICES")], bulk });
    expect(order(text, /^\*/)).toEqual(["*filter", "*nat"]);
  });

  test("empties what goes before it deletes it, behind what refers to it", () => {
    textOf({ service: [serviceChain], changed: [root] });
    const text = textOf({
      changed: [chain("nat", "KUBE-SERVICES")],
      removed: [{ table: "nat", name: "KUBE-SVC-A" }],
      bulk,
    });
    expect(order(text, /^[:-]/)).toEqual([":KUBE-SERVICES - [0:0]", ":KUBE-SVC-A - [0:0]", "-X KUBE-SVC-A"]);
    expect(known.get("nat", "KUBE-SVC-A")).toBeUndefined();
  });

  test("only empties what cannot be deleted", () => {
    textOf({ service: [serviceChain] });
    const removed = [{ table: "nat", name: "KUBE-SVC-A" }] as const;
    const text = textOf({ removed, bulk }, { undeletable: new Set(["nat KUBE-SVC-A"]) });
    expect(text).toBe("*nat\n:KUBE-SVC-A - [0:0]\nCOMMIT\n");
    expect(known.get("nat", "KUBE-SVC-A")?.rules).toBe(0);
  });

  test("gives pieces that end with a line", () => {
    const services = Array.from({ length: 50 }, (__, index) =>
      chain(
        "nat",
        `KUBE-SVC-${index}`,
        Array.from({ length: 200 }, () => "-j DNAT"),
      ),
    );
    for (const piece of batch({ rulesPerCommit: 1_000 }).text(input({ service: services, bulk }))) {
      expect(piece.endsWith("\n")).toBe(true);
    }
  });

  test("counts what it writes", () => {
    textOf({ service: [serviceChain] });
    const counted = batch();
    const text = [
      ...counted.text(
        input({
          first: [forward],
          service: [chain("nat", "KUBE-SVC-B", ["-j DNAT", "-j DNAT"], "ns/b")],
          changed: [chain("nat", "KUBE-SERVICES", ["-j KUBE-SVC-B"])],
          removed: [{ table: "nat", name: "KUBE-SVC-A" }],
          edits: { nat: ["-I OUTPUT -j KUBE-SERVICES"] },
          bulk,
        }),
      ),
    ].join("");
    expect(counted.counts).toEqual({
      written: 3,
      removed: 1,
      repaired: 0,
      bytes: text.length,
      rules: { nat: 3, filter: 1 },
    });
  });

  test("tells what was right before from what is new", () => {
    textOf({ first: [forward], service: [serviceChain], changed: [root] });
    const before = known;
    known = new KnownChains();
    known.set("nat", "KUBE-SVC-A", before.get("nat", "KUBE-SVC-A") ?? { fingerprint: 0, rules: 0 });
    known.set("nat", "KUBE-SVC-STRAY", { fingerprint: 1, rules: 1 });
    const repairing = batch({ before });
    Array.from(
      repairing.text(
        input({
          first: [forward],
          service: [serviceChain, chain("nat", "KUBE-SVC-NEW", ["-j DNAT"])],
          changed: [root],
          removed: [{ table: "nat", name: "KUBE-SVC-STRAY" }],
          edits: { filter: ["-I INPUT -j KUBE-SERVICES"] },
          bulk,
        }),
      ),
    );
    // The flushed chain and root, the stray chain and the jump; neither what was untouched nor what nobody had before.
    expect(repairing.counts).toMatchObject({ written: 3, removed: 1, repaired: 4 });
  });
});

describe("RestoreBatch.text() in bulk", () => {
  const services = Array.from({ length: 40 }, (_, index) =>
    chain(
      "nat",
      `KUBE-SVC-${index}`,
      Array.from({ length: (index % 7) + 1 }, () => "-j DNAT"),
      `ns/s${index}`,
    ),
  );

  test("cuts COMMITs of the nat table at the number of rules that is asked for", () => {
    const text = textOf({ service: services, bulk: true }, { rulesPerCommit: 20 });
    const blocks = text.split("COMMIT\n").slice(0, -1);
    expect(blocks.length).toBeGreaterThan(5);
    for (const block of blocks) {
      expect(order(block, /^-A/).length).toBeLessThanOrEqual(20);
      expect(block.startsWith("*nat\n:")).toBe(true);
    }
  });

  test("fills an empty nat table in one COMMIT where it may be large, jumps from built-in chains included", () => {
    const edits = { nat: ["-I PREROUTING -j KUBE-SERVICES"] };
    const changed = [root, refusals("-j REJECT")];
    const text = textOf({ service: services, changed, edits, bulk: true });
    expect(order(text, /^\*|^-I/)).toEqual(["*nat", ...edits.nat, "*filter"]);
    known = new KnownChains();
    expect(textOf({ edits, bulk: true })).toBe(`*nat\n${edits.nat.join()}\nCOMMIT\n`);
  });

  test("keeps a chain that is longer than that in one COMMIT", () => {
    const long = chain(
      "nat",
      "KUBE-SVC-L",
      Array.from({ length: 30 }, () => "-j DNAT"),
    );
    const text = textOf({ service: [serviceChain, long], bulk: true }, { rulesPerCommit: 20 });
    expect(text.split("COMMIT\n")).toHaveLength(3);
  });

  test("asks for chains of Services no sooner than it writes them", () => {
    let asked = 0;
    const lazily = function* (): Iterable<WantedChain> {
      for (const one of services) {
        asked += 1;
        yield one;
      }
    };
    const pieces = batch({ rulesPerCommit: 10 }).text({ ...input({ bulk: true }), serviceChains: lazily() });
    const [first] = pieces;
    expect(first).toContain("KUBE-SVC-0");
    expect(asked).toBeLessThan(10);
  });

  test("empties all chains before it deletes the first when they do not fit into one COMMIT", () => {
    textOf({ service: services });
    const removed = services.map(({ table, name }) => ({ table, name }));
    const text = textOf({ removed, bulk: true }, { rulesPerCommit: 15 });
    const lines = order(text, /^[:-]/);
    expect(lines.findIndex((line) => line.startsWith("-X"))).toBeGreaterThanOrEqual(services.length);
    expect(order(text, /^-X/)).toHaveLength(services.length);
  });
});

/** A table as it may be wanted: service chains that jump to earlier ones, a root that jumps to them, refusals. */
const anyWanted = fc.uniqueArray(fc.nat(11), { maxLength: 8 }).chain((numbers) =>
  fc.record({
    services: fc.tuple(
      ...numbers.map((number, index) =>
        fc
          .array(fc.constantFrom("-j DNAT", ...numbers.slice(0, index).map((one) => `-j KUBE-SVC-${one}`)), {
            maxLength: 4,
          })
          .map((rules) => chain("nat", `KUBE-SVC-${number}`, rules, `ns/s${number}`)),
      ),
    ),
    root: fc.subarray([...numbers]).map((some) =>
      chain(
        "nat",
        "KUBE-SERVICES",
        some.map((one) => `-j KUBE-SVC-${one}`),
        some.map((one) => `ns/s${one}`),
      ),
    ),
    refusals: fc
      .uniqueArray(fc.nat(5), { maxLength: 5 })
      .map((some) => refusals(...some.map((one) => `-d 10.0.0.${one}/32 -j REJECT`))),
    isMangled: fc.boolean(),
  }),
);

const anyStep = fc.record({
  wanted: anyWanted,
  bulk: fc.boolean(),
  rulesPerCommit: fc.constantFrom(1, 3, Number.POSITIVE_INFINITY),
});

/** What the owner of each line must be, worked out from the line and the chain that it stands in. */
function expectedOwner(
  line: string,
  wanted: readonly WantedChain[],
  table: string,
  index: number,
): LineOwner {
  if (line.startsWith("-X ")) {
    return { kind: "removal", table: table as WantedTable, chain: line.slice(3) };
  }
  const name =
    line.startsWith(":") || line.startsWith("-A") ? (line.match(/^(?::|-A )(\S+)/)?.[1] ?? "") : "";
  const owners = wanted.find((one) => one.table === table && one.name === name)?.owners ?? "";
  const service = typeof owners === "string" ? owners : line.startsWith(":") ? "" : (owners[index] ?? "");
  return service === "" ? { kind: "shared" } : { kind: "service", service };
}

describe("RestoreBatch", () => {
  test("text() leads any kernel to what is wanted, refused nowhere, and ownerOf() knows whose every line is", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 6 }), async (steps) => {
        const kernel = new FakeKernel();
        const kept = new KnownChains();
        known = kept;
        for (const { wanted, bulk, rulesPerCommit } of steps) {
          const all = [...wanted.services, wanted.root, wanted.refusals];
          const names = new Set(all.map((one) => `${one.table} ${one.name}`));
          const removed = (["nat", "filter"] as const).flatMap((table) =>
            [...kept.names(table)]
              .filter((name) => !names.has(`${table} ${name}`))
              .map((name) => ({ table, name })),
          );
          const step = batch({ rulesPerCommit });
          const changed = [wanted.root, wanted.refusals];
          const text = [
            ...step.text(
              input({
                service: wanted.services,
                changed,
                removed,
                bulk,
                ...(wanted.isMangled ? { mangleChain: "KUBE-PROXY-CANARY" } : {}),
              }),
            ),
          ].join("");
          let table = "";
          let rule = 0;
          for (const [index, line] of text.split("\n").slice(0, -1).entries()) {
            table = line.startsWith("*") ? line.slice(1) : table;
            rule = line.startsWith("-A") ? rule + 1 : 0;
            expect(step.ownerOf(index + 1), `${index + 1}: ${line}`).toEqual(
              expectedOwner(line, all, table, rule - 1),
            );
          }
          await kernel.write([text]);
          const read = await kernel.read();
          for (const one of all) {
            expect(read.get(one.table, one.name)).toEqual(kept.get(one.table, one.name));
            expect(read.get(one.table, one.name)?.rules).toBe(one.rules);
          }
          expect([...read.names("nat")].sort()).toEqual([...kept.names("nat")].sort());
        }
      }),
      { numRuns: 150 },
    );
  });

  test("ownerOf() takes a line that does not exist for nobody's", () => {
    expect(batch().ownerOf(1)).toEqual({ kind: "shared" });
  });

  test("counts stay valid when the text is not asked for to its end", () => {
    const broken = batch();
    const services = function* (): Iterable<WantedChain> {
      yield chain("nat", "KUBE-SVC-0", ["-j DNAT"], "ns/s0");
      throw new RangeError("no such rule");
    };
    const pieces = broken.text({ ...input({ bulk: true }), serviceChains: services() });
    expect(() => [...pieces]).toThrow("no such rule");
    expect(broken.counts).toMatchObject({ written: 1 });
    expect(broken.ownerOf(3)).toEqual({ kind: "service", service: "ns/s0" });
  });
});
