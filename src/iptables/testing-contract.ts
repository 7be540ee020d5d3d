/**
 * What the iptables backend relies on of a kernel, whether it is the real one behind the iptables programs or the fake one
 * in memory.
 *
 * The suite is run beside the code against the fake and end to end, in a network namespace, against both variants and
 * families. A fake that drifts from the kernel fails here, and so does a belief about the kernel that is wrong.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { scanSave } from "./builder/scan.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { IptablesKernel } from "./kernel.ts";
import { RestoreError } from "./restore-error.ts";
import { linesOfChain } from "./testing.ts";
import { type WantedChain, type WantedTable, wantedChain } from "./wanted-chain.ts";

/** A kernel without a chain or rule that is not built in, and another way to look at it. */
export interface ContractKernel {
  readonly kernel: IptablesKernel;
  /** Some or all tables in the words of iptables-save. */
  readonly save: () => string | Promise<string>;
}

/** Makes a test of each thing that holds, on a kernel of its own that is closed afterwards. */
export function testKernelContract(name: string, open: () => ContractKernel | Promise<ContractKernel>): void {
  describe(name, () => {
    test.each(contract)("$name", async ({ run }) => {
      const opened = await open();
      try {
        await run(opened);
      } finally {
        await opened.kernel.close();
      }
    });
  });
}

interface ContractCase {
  readonly name: string;
  readonly run: (opened: ContractKernel) => Promise<void>;
}

/** A chain whose rules are given by what follows its name. */
function chain(table: WantedTable, name: string, ...rules: readonly string[]): WantedChain {
  const lines = rules.map((rule) => `-A ${name} ${rule}`);
  return wantedChain(table, name, lines, "");
}

/** A table of restore text. */
function block(table: string, ...lines: readonly (string | WantedChain)[]): string {
  const text = lines.flatMap((one) =>
    typeof one === "string" ? [one] : [`:${one.name} - [0:0]`, ...linesOfChain(one)],
  );
  return `${[`*${table}`, ...text, "COMMIT"].join("\n")}\n`;
}

const back = "-p tcp -m tcp --dport 80 -j RETURN";
const target = chain("nat", "KUBE-SVC-A", back);
const caller = chain("nat", "KUBE-SERVICES", "-j KUBE-SVC-A");

async function expectHeld({ kernel }: ContractKernel, ...chains: readonly WantedChain[]): Promise<void> {
  const known = await kernel.read();
  for (const one of chains) {
    expect(known.get(one.table, one.name), one.name).toEqual({
      fingerprint: fingerprintOf(one.text),
      rules: one.rules,
    });
  }
}

async function expectAbsent({ kernel }: ContractKernel, table: WantedTable, name: string): Promise<void> {
  const known = await kernel.read();
  expect(known.get(table, name)).toBeUndefined();
  expect(await kernel.hasChain(table, name)).toBe(false);
}

/** The refusal of a text, with the line that it is about. */
async function refusedLine({ kernel }: ContractKernel, ...pieces: readonly string[]): Promise<string> {
  const error = await kernel.write(pieces).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof RestoreError)) {
    throw error ?? new Error(`Nothing refused ${pieces.join("")}`);
  }
  expect(error.code).toBe("rejected");
  return pieces.join("").split("\n")[(error.line ?? 0) - 1] ?? "no line";
}

/** The rules of a chain as they are printed. */
async function printed({ save }: ContractKernel, table: string, name: string): Promise<readonly string[]> {
  const lines: string[] = [];
  let open = "";
  scanSave([await save()], {
    table: (one) => {
      open = one;
    },
    rule: (one, line) => {
      if (open === table && one === name) {
        lines.push(line);
      }
    },
  });
  return lines;
}

const contract: readonly ContractCase[] = [
  {
    name: "read() finds nothing of ours in tables that nobody has used",
    run: async ({ kernel }) => {
      const known = await kernel.read();
      expect([...known.names("nat"), ...known.names("filter")]).toEqual([]);
      expect(known.hasMangleCanary).toBe(false);
    },
  },
  {
    name: "read() finds what write() wrote, under the fingerprint of its text",
    run: async (opened) => {
      const refusal = chain("filter", "KUBE-SERVICES", "-p udp -m udp --dport 53 -j DROP");
      const empty = chain("filter", "KUBE-NODEPORTS");
      await opened.kernel.write([block("nat", target, caller), block("filter", refusal, empty)]);
      await expectHeld(opened, target, caller, refusal, empty);
      expect(await printed(opened, "nat", target.name)).toEqual(linesOfChain(target));
    },
  },
  {
    name: "read() knows rules of built-in chains, and the canary",
    run: async ({ kernel }) => {
      const jump = "PREROUTING -j KUBE-SERVICES";
      await kernel.write([
        block("nat", target, caller, `-I ${jump}`),
        block("mangle", ":KUBE-PROXY-CANARY - [0:0]"),
      ]);
      const known = await kernel.read();
      expect(known.hasBuiltIn("nat", `-A ${jump}`)).toBe(true);
      expect(known.hasBuiltIn("filter", `-A ${jump}`)).toBe(false);
      expect(known.hasMangleCanary).toBe(true);
      expect([...known.names("nat")].sort()).toEqual(["KUBE-SERVICES", "KUBE-SVC-A"]);
    },
  },
  {
    name: "write() replaces a chain that is declared, also one that others jump to, and leaves the rest",
    run: async (opened) => {
      await opened.kernel.write([block("nat", target, caller)]);
      const other = chain("nat", target.name, "-p udp -m udp --dport 53 -j RETURN", back);
      await opened.kernel.write([block("nat", other)]);
      await expectHeld(opened, other, caller);
    },
  },
  {
    name: "write() does without anything to write, and passes over comments and empty tables",
    run: async (opened) => {
      await opened.kernel.write([block("nat", target)]);
      await opened.kernel.write([]);
      await opened.kernel.write(["# nothing\n", block("filter"), "# at all\n"]);
      await expectHeld(opened, target);
    },
  },
  {
    name: "write() inserts at the head of a chain",
    run: async (opened) => {
      await opened.kernel.write([block("nat", target, "-I OUTPUT -j KUBE-SVC-A")]);
      await opened.kernel.write([block("nat", "-I OUTPUT -p tcp -j KUBE-SVC-A")]);
      expect(await printed(opened, "nat", "OUTPUT")).toEqual([
        "-A OUTPUT -p tcp -j KUBE-SVC-A",
        "-A OUTPUT -j KUBE-SVC-A",
      ]);
    },
  },
  {
    name: "write() deletes the first of two equal rules, and refuses to delete what is not there",
    run: async (opened) => {
      const lines = ["-A OUTPUT -j KUBE-SVC-A", "-A OUTPUT -p tcp -j KUBE-SVC-A", "-A OUTPUT -j KUBE-SVC-A"];
      await opened.kernel.write([block("nat", target, ...lines)]);
      await opened.kernel.write([block("nat", "-D OUTPUT -j KUBE-SVC-A")]);
      expect(await printed(opened, "nat", "OUTPUT")).toEqual(lines.slice(1));
      const missing = "-D OUTPUT -p udp -j KUBE-SVC-A";
      expect(await refusedLine(opened, block("nat", missing))).toBe(missing);
    },
  },
  {
    name: "write() deletes a chain that is emptied and referred to no more in the same table",
    run: async (opened) => {
      await opened.kernel.write([block("nat", target, caller)]);
      const idle = chain("nat", caller.name);
      await opened.kernel.write([block("nat", idle, `:${target.name} - [0:0]`, `-X ${target.name}`)]);
      await expectAbsent(opened, "nat", target.name);
      await expectHeld(opened, idle);
    },
  },
  {
    name: "write() deletes chains that refer to each other, whatever their order",
    run: async (opened) => {
      await opened.kernel.write([block("nat", target, caller)]);
      const names = [target.name, caller.name];
      const lines = [...names.map((name) => `:${name} - [0:0]`), ...names.map((name) => `-X ${name}`)];
      await opened.kernel.write([block("nat", ...lines)]);
      await expectAbsent(opened, "nat", target.name);
    },
  },
  {
    name: "write() refuses to delete a chain that a rule jumps to, and names the line",
    run: async (opened) => {
      await opened.kernel.write([block("nat", target, caller)]);
      const removal = `-X ${target.name}`;
      expect(await refusedLine(opened, block("nat", `:${target.name} - [0:0]`, removal))).toBe(removal);
      await expectHeld(opened, target, caller);
    },
  },
  {
    name: "write() refuses to delete a chain that has rules or is not there, and names the line",
    run: async (opened) => {
      await opened.kernel.write([block("nat", target)]);
      expect(await refusedLine(opened, block("nat", `-X ${target.name}`))).toBe(`-X ${target.name}`);
      expect(await refusedLine(opened, block("nat", "-X KUBE-SVC-NONE"))).toBe("-X KUBE-SVC-NONE");
    },
  },
  {
    name: "write() refuses a rule for a chain that does not exist, and names the line",
    run: async (opened) => {
      const line = "-A KUBE-SVC-NONE -j RETURN";
      expect(await refusedLine(opened, block("nat", target, line))).toBe(line);
      await expectAbsent(opened, "nat", target.name);
    },
  },
  {
    name: "write() refuses a jump to a chain that does not exist, and names the rule or its COMMIT",
    run: async (opened) => {
      expect(["-A KUBE-SERVICES -j KUBE-SVC-A", "COMMIT"]).toContain(
        await refusedLine(opened, block("nat", caller)),
      );
      await expectAbsent(opened, "nat", caller.name);
    },
  },
  {
    name: "write() refuses a table that does not exist, and names the line",
    run: async (opened) => {
      expect(await refusedLine(opened, block("nat", target), block("bogus"))).toBe("*bogus");
      await expectHeld(opened, target);
    },
  },
  {
    name: "write() refuses a rule outside of a table, and names the line",
    run: async (opened) => {
      expect(await refusedLine(opened, block("nat", target), "-A KUBE-SVC-A -j RETURN\n")).toBe(
        "-A KUBE-SVC-A -j RETURN",
      );
    },
  },
  {
    name: "write() applies a table as a whole or not at all, and keeps the tables before it",
    run: async (opened) => {
      const before = chain("nat", "KUBE-SVC-A", "-p udp -m udp --dport 53 -j RETURN");
      await opened.kernel.write([block("nat", before)]);
      const refusal = chain("filter", "KUBE-SERVICES", "-j DROP");
      const broken = block("nat", target, chain("nat", "KUBE-SVC-B"), "-A KUBE-SVC-NONE -j RETURN");
      await refusedLine(opened, block("filter", refusal), broken);
      await expectHeld(opened, refusal, before);
      await expectAbsent(opened, "nat", "KUBE-SVC-B");
    },
  },
  {
    name: "write() keeps the blocks of a table that were committed before the refused one",
    run: async (opened) => {
      await refusedLine(
        opened,
        block("nat", target),
        block("nat", chain("nat", target.name), "-A KUBE-SVC-NONE -j RETURN"),
      );
      await expectHeld(opened, target);
    },
  },
  {
    name: "write() goes on after a refusal, and counts lines from the start of each text",
    run: async (opened) => {
      const line = "-A KUBE-SVC-NONE -j RETURN";
      await opened.kernel.write([block("nat", target)]);
      expect(await refusedLine(opened, block("filter"), block("nat", line))).toBe(line);
      await opened.kernel.write([block("nat", target, caller)]);
      await opened.kernel.write([block("nat", caller)]);
      expect(await refusedLine(opened, block("nat", target, line))).toBe(line);
      await expectHeld(opened, target, caller);
    },
  },
  {
    name: "write() passes on what the making of the text throws, and leaves the open table out",
    run: async (opened) => {
      const broken = function* (): Iterable<string> {
        yield block("filter", chain("filter", "KUBE-FORWARD", "-j ACCEPT"));
        yield "*nat\n:KUBE-SVC-A - [0:0]\n";
        throw new RangeError("no such rule");
      };
      await expect(opened.kernel.write(broken())).rejects.toThrow("no such rule");
      await expectAbsent(opened, "nat", "KUBE-SVC-A");
      await opened.kernel.write([block("nat", target)]);
      await expectHeld(opened, target);
    },
  },
  {
    name: "hasChain() tells a chain that is there from one that is not, table by table",
    run: async ({ kernel }) => {
      await kernel.write([block("nat", target), block("mangle", ":KUBE-PROXY-CANARY - [0:0]")]);
      expect(await kernel.hasChain("nat", target.name)).toBe(true);
      expect(await kernel.hasChain("filter", target.name)).toBe(false);
      expect(await kernel.hasChain("nat", "KUBE-SVC-B")).toBe(false);
      expect(await kernel.hasChain("mangle", "KUBE-PROXY-CANARY")).toBe(true);
      expect(await kernel.hasChain("mangle", "OUTPUT")).toBe(true);
    },
  },
  {
    name: "hasChain() takes an answer that cannot be had for yes",
    run: async ({ kernel }) => {
      expect(await kernel.hasChain("bogus", target.name)).toBe(true);
    },
  },
];
