/**
 * Runs a program the way a container runtime would: few capabilities, a read-only root file system, `/proc/sys` read-only, no
 * new privileges, and the system calls refused that the runtimes' default seccomp profile refuses.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { nodeProgram } from "./remote-agent.ts";

const seccompExec = fileURLToPath(new URL("seccomp-exec.ts", import.meta.url));

/** What the container may do. */
export interface Containment {
  /** All that is left of the capabilities, e.g. `NET_ADMIN`. */
  readonly capabilities: readonly string[];
  /** Files that stay writable, as a mount of their own. They must exist. */
  readonly writable: readonly string[];
}

/**
 * Everything that is mounted becomes read-only, but devices, and `/proc` without `/proc/sys`. In a mount namespace of its own,
 * which the kernel takes away with the program.
 */
const readOnly = `set -e
for file in $WRITABLE; do mount --bind "$file" "$file"; done
mount --bind /proc/sys /proc/sys
while read -r _ _ _ _ place _; do
  case " $WRITABLE " in *" $place "*) continue;; esac
  case $place in /proc|/dev|/dev/*) ;; *) mount -o remount,bind,ro "$place" 2>/dev/null || true;; esac
done </proc/self/mountinfo
exec "$@"
`;

/** The command line that runs `argv` contained; its process becomes that of `argv`. */
export function contained(
  argv: readonly string[],
  { capabilities, writable }: Containment,
): readonly string[] {
  const bounding = ["-all", ...capabilities.map((name) => `+${name.toLowerCase()}`)].join(",");
  return [
    ...["env", `WRITABLE=${writable.join(" ")}`],
    ...["unshare", "--mount", "--propagation", "private", "sh", "-c", readOnly, "contained"],
    ...["setpriv", `--bounding-set=${bounding}`, "--inh-caps=-all", "--no-new-privs"],
    ...[nodeProgram, "--no-warnings", seccompExec, ...argv],
  ];
}
