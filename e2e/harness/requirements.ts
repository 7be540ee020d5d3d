/**
 * Tests that need more of a machine than a desk has: root, programs, a second kernel.
 *
 * Where something is missing they are skipped, with what is missing in their name. Under CI nothing is skipped, so a
 * machine that lost a program fails there and is noticed.
 *
 * @module
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { describe } from "vitest";
import { cniDirectory } from "./cni.ts";
import { unpackedProgram } from "./unpacked.ts";

/** What a group of tests cannot do without. */
export interface Requirements {
  /** Names of programs in PATH. */
  readonly programs?: readonly string[];
  /** Names of CNI plugins. */
  readonly plugins?: readonly string[];
  /** Names of programs that scripts/setup.sh unpacks. */
  readonly unpacked?: readonly string[];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function lacking({ programs = [], plugins = [], unpacked = [] }: Requirements): readonly string[] {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return [
    ...(process.getuid?.() === 0 ? [] : ["root"]),
    ...programs.filter((program) => !folders.some((folder) => isExecutable(join(folder, program)))),
    ...plugins.filter((plugin) => !isExecutable(join(cniDirectory, plugin))),
    ...unpacked.filter((program) => !isExecutable(unpackedProgram(program))),
  ];
}

/** A group of tests that needs root and, in addition, `requirements`. */
export function describeOnKernel(name: string, requirements: Requirements, tests: () => void): void {
  const missing = lacking({ ...requirements, programs: ["ip", ...(requirements.programs ?? [])] });
  if (missing.length === 0 || process.env["CI"] !== undefined) describe(name, tests);
  else describe.skip(`${name} (skipped: needs ${missing.join(", ")})`, tests);
}
