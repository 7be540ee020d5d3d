/**
 * @module
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  acceptsRule,
  DumpReader,
  detectVariant,
  isInstalled,
  isUsable,
  readKernel,
  restoreCommand,
  runIptables,
  saveText,
  ToolError,
  type Variant,
} from "./tools.ts";

/** A folder that stands for the whole of PATH, with stand-ins for the programs. */
let folder: string;
let path: string | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-tools-"));
  path = process.env["PATH"];
  process.env["PATH"] = folder;
});

afterEach(() => {
  process.env["PATH"] = path;
  rmSync(folder, { recursive: true });
});

/**
 * Installs a variant.
 *
 * @param script shell, with the words after the program's name in `$*`
 */
function install(variant: Variant, script: string): void {
  const file = join(folder, `xtables-${variant}-multi`);
  writeFileSync(file, `#!/bin/sh\necho "${variant} $*" >>${folder}/calls\n${script}\n`);
  chmodSync(file, 0o755);
}

/** What was called, in order. */
function calls(): readonly string[] {
  return readFileSync(join(folder, "calls"), "utf8").trim().split("\n");
}

/** A script that prints a text. */
function printing(text: string): string {
  writeFileSync(join(folder, "text"), text);
  return `/bin/cat ${folder}/text`;
}

const nat = "*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SVC-A - [0:0]\n-A KUBE-SVC-A -j RETURN\nCOMMIT\n";

describe("readKernel()", () => {
  test("reads all tables with the program of the family", async () => {
    install("nft", printing(`# Generated\n${nat}# Completed\n*filter\n:KUBE-FORWARD - [0:0]\nCOMMIT\n`));
    const known = await readKernel("nft", "IPv6");
    expect(known.get("nat", "KUBE-SVC-A")?.rules).toBe(1);
    expect(known.get("filter", "KUBE-FORWARD")?.rules).toBe(0);
    expect(calls()).toEqual(["nft ip6tables-save"]);
  });

  test("says what the program said when it fails, or how it ended", async () => {
    install("legacy", `echo "no permission" >&2; exit 4`);
    await expect(readKernel("legacy", "IPv4")).rejects.toThrow(
      new ToolError("Cannot read the IPv4 rules: no permission"),
    );
    install("legacy", "exit 3");
    await expect(readKernel("legacy", "IPv4")).rejects.toThrow("exit code 3");
  });

  test("fails when the program is not there", async () => {
    await expect(readKernel("nft", "IPv4")).rejects.toThrow(/^Cannot read the IPv4 rules: .*ENOENT/);
  });

  test("fails when what was printed is no dump", async () => {
    install("nft", printing(`${nat}what is this?\n`));
    const failure = readKernel("nft", "IPv4");
    await expect(failure).rejects.toThrow(ToolError);
    await expect(failure).rejects.toThrow(/^Cannot read the IPv4 rules: Cannot read line 6 of the dump/);
  });
});

describe("DumpReader", () => {
  function read(...pieces: readonly string[]): ReturnType<DumpReader["finish"]> {
    const reader = new DumpReader("IPv4");
    for (const piece of pieces) {
      reader.push(piece);
    }
    return reader.finish();
  }

  test("finish() finds the same wherever the pieces are cut", () => {
    for (let at = 0; at <= nat.length; at++) {
      expect(read(nat.slice(0, at), nat.slice(at)).get("nat", "KUBE-SVC-A")).toEqual(
        read(nat).get("nat", "KUBE-SVC-A"),
      );
    }
  });

  const complaint = "# Table `nat' is incompatible, use 'nft' tool.\n";

  test.each([
    ["at once", [complaint]],
    ["in two pieces", [complaint.slice(0, 10), complaint.slice(10)]],
    ["behind others", [`# Table \`mangle' is incompatible, use 'nft' tool.\n${complaint}`]],
    ["behind a table", [nat, complaint]],
  ])("finish() refuses a table that iptables cannot express, told %s", (_, pieces) => {
    expect(() => read(...pieces)).toThrow(
      new ToolError("Cannot read the IPv4 rules: table nat holds what iptables cannot express"),
    );
  });

  test("finish() does not mind what others have in tables of their own", () => {
    const text = `# Table \`raw' is incompatible, use 'nft' tool.\n${nat}`;
    expect(read(text).get("nat", "KUBE-SVC-A")?.rules).toBe(1);
  });

  test.each([
    ["cut short", [nat.slice(0, -8)], "no COMMIT"],
    ["no dump", ["segmentation fault\n", nat], "line 1"],
  ])("finish() refuses what is %s", (_, pieces, words) => {
    expect(() => read(...pieces)).toThrow(ToolError);
    expect(() => read(...pieces)).toThrow(words);
  });
});

describe("detectVariant()", () => {
  const silent = "exit 0";
  const hinting = (when: string, chain: string): string =>
    `case "$*" in "${when}") echo "*mangle"; echo ":${chain} - [0:0]"; echo COMMIT;; esac`;

  test.each([
    ["iptables-save -t mangle", "KUBE-IPTABLES-HINT"],
    ["ip6tables-save -t mangle", "KUBE-KUBELET-CANARY"],
  ])("takes nft when %s shows %s", async (when, chain) => {
    install("nft", hinting(when, chain));
    install("legacy", hinting("iptables-save", chain));
    expect(await detectVariant()).toBe("nft");
  });

  test.each(["iptables-save", "ip6tables-save"])(
    "takes legacy when only its %s shows kubelet's chain",
    async (when) => {
      install("nft", silent);
      install("legacy", hinting(when, "KUBE-IPTABLES-HINT"));
      expect(await detectVariant()).toBe("legacy");
      // Asking legacy for a table would create it.
      expect(calls().filter((call) => call.startsWith("legacy"))).not.toContainEqual(
        expect.stringContaining("-t"),
      );
    },
  );

  test("does not mistake a chain whose name only begins alike", async () => {
    install("nft", silent);
    install("legacy", hinting("iptables-save", "KUBE-IPTABLES-HINT-2"));
    expect(await detectVariant()).toBe("nft");
  });

  test("takes nft when nobody shows anything", async () => {
    install("nft", silent);
    install("legacy", silent);
    expect(await detectVariant()).toBe("nft");
  });

  test("takes the variant that is installed when only one is", async () => {
    install("legacy", silent);
    expect(await detectVariant()).toBe("legacy");
  });

  test("takes the variant that works for IPv6 when none does for IPv4", async () => {
    install("nft", "exit 3");
    install("legacy", `case "$1" in ip6tables*) exit 0;; esac; exit 3`);
    expect(await detectVariant()).toBe("legacy");
  });

  test("fails when there is none", async () => {
    await expect(detectVariant()).rejects.toThrow(ToolError);
  });
});

describe("isInstalled()", () => {
  test("asks for a chain that every nat table has", async () => {
    install("legacy", "exit 0");
    expect(await isInstalled("legacy", "IPv6")).toBe(true);
    expect(calls()).toEqual(["legacy ip6tables -w 5 -t nat -S POSTROUTING"]);
  });
});

describe("isUsable()", () => {
  test("is false where chains are listed but no rule is taken", async () => {
    install("nft", `case "$1" in *-restore) exit 4;; esac`);
    expect(await isInstalled("nft", "IPv4")).toBe(true);
    expect(await isUsable("nft", "IPv4")).toBe(false);
  });

  test("tries a rule in a chain that is gone afterwards", async () => {
    install("nft", "exit 0");
    expect(await isUsable("nft", "IPv4")).toBe(true);
    expect(calls()).toContain("nft iptables-restore -w 5 --noflush");
  });

  test("is false when the program fails or is missing", async () => {
    install("legacy", "exit 3");
    expect(await isUsable("legacy", "IPv4")).toBe(false);
    expect(await isUsable("nft", "IPv4")).toBe(false);
  });
});

describe("acceptsRule()", () => {
  test("tries the rule in a chain that is gone afterwards", async () => {
    install("nft", `/bin/cat >${folder}/input`);
    expect(await acceptsRule("nft", "IPv4", " -m bpf -j ACCEPT")).toBe(true);
    expect(calls()).toEqual(["nft iptables-restore -w 5 --noflush"]);
    expect(readFileSync(join(folder, "input"), "utf8")).toBe(
      [
        "*nat",
        ":KUBE-PROXY-PROBE - [0:0]",
        "-A KUBE-PROXY-PROBE -m bpf -j ACCEPT",
        "-F KUBE-PROXY-PROBE",
        "-X KUBE-PROXY-PROBE",
        "COMMIT\n",
      ].join("\n"),
    );
  });

  test("is false when the rule is refused, also by a program that does not read on", async () => {
    install("nft", "exec <&-; exit 2");
    expect(await acceptsRule("nft", "IPv4", ` -m comment --comment ${"x".repeat(200_000)}`)).toBe(false);
  });
});

describe("runIptables()", () => {
  test("gives what the program printed and how it ended, and waits for the lock", async () => {
    install("nft", "echo out; echo err >&2; exit 1");
    expect(await runIptables("nft", "IPv4", ["-S"])).toEqual({
      exitCode: 1,
      stdout: "out\n",
      stderr: "err\n",
    });
    expect(calls()).toEqual(["nft iptables -w 5 -S"]);
  });

  test("has no exit code of a program that is missing or was killed", async () => {
    expect(await runIptables("nft", "IPv4", [])).toMatchObject({
      exitCode: null,
      stderr: expect.stringContaining("ENOENT"),
    });
    install("nft", "kill -9 $$");
    expect(await runIptables("nft", "IPv4", [])).toMatchObject({ exitCode: null });
  });

  test("keeps the beginning of what a program complains of without end", async () => {
    install(
      "nft",
      `echo first >&2; i=0; while [ $i -lt 2000 ]; do echo "and so on, and so on" >&2; i=$((i+1)); done`,
    );
    const { stderr } = await runIptables("nft", "IPv4", []);
    expect(stderr).toMatch(/^first\n/);
    expect(stderr.length).toBeLessThanOrEqual(8_192);
  });
});

test("saveText() prints one table", async () => {
  install("legacy", printing(nat));
  expect(await saveText("legacy", "IPv4", "nat")).toBe(nat);
  expect(calls()).toEqual(["legacy iptables-save -t nat"]);
});

test("restoreCommand() is verbose, waits for the lock and flushes nothing", () => {
  expect(restoreCommand("nft", "IPv6")).toEqual({
    file: "xtables-nft-multi",
    args: ["ip6tables-restore", "-v", "-w", "--noflush"],
  });
});
