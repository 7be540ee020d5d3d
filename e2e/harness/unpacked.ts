/**
 * Programs from Debian packages that scripts/setup.sh unpacks and does not install, as installing them would start
 * services on the machine.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../.cache/debian", import.meta.url));

/** What the programs need in their environment, as their libraries are unpacked too. */
export const unpackedEnv: Readonly<Record<string, string>> = {
  LD_LIBRARY_PATH: ["x86_64-linux-gnu", "aarch64-linux-gnu"]
    .map((folder) => join(root, "usr/lib", folder))
    .join(":"),
};

/** Where an unpacked program is, or would be. */
export function unpackedProgram(program: string): string {
  return join(root, "usr/sbin", program);
}
