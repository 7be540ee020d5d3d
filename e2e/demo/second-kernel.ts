/**
 * The demo on a second kernel: where the machine's own has no IPVS, it runs again inside User Mode Linux.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DemoOptions } from "../../src/cli/demo-command.ts";
import { openIpvs } from "../../src/ipvs/netlink/open.ts";
import { inGuest } from "../harness/tested-mode.ts";
import { guestPreparation } from "../uml/preparation.ts";

const run = fileURLToPath(new URL("../uml/run.sh", import.meta.url));
const launcher = fileURLToPath(new URL("../../bin/kube-sluice", import.meta.url));

/** A second kernel has a fraction of a processor. */
const seconds = 900;

/** Whether the kernel has IPVS. Asking makes it load the module. */
export function kernelHasIpvs(): boolean {
  try {
    openIpvs()[Symbol.dispose]();
    return true;
  } catch {
    return false;
  }
}

/** Why the demo in ipvs mode can run on neither kernel, in a line; undefined if it can on a second one. */
export function whyNoSecondKernel({ keep }: DemoOptions): string | undefined {
  if (inGuest) return "The second kernel has no IPVS either";
  const missing = ["linux.uml", "busybox"].filter((program) => !isInPath(program));
  if (missing.length > 0) {
    return [
      "ipvs mode needs a kernel with IPVS (modprobe ip_vs), or User Mode Linux for a second one",
      "(apt-get install user-mode-linux busybox-static)",
    ].join(" ");
  }
  if (keep) return "--keep needs a kernel with IPVS: nobody can look into the second one";
  return undefined;
}

/** Runs the demo on a second kernel, with its output here. @returns its exit status */
export function runOnSecondKernel({ mode, variant, network }: DemoOptions): Promise<number> {
  const demo = [launcher, "demo", "--mode", mode, "--variant", variant, "--network", network];
  const argv = ["-t", String(seconds), "sh", "-c", `${guestPreparation}; exec "$@"`, "sh", ...demo];
  const child = spawn(run, argv, { stdio: ["ignore", "inherit", "inherit"] });
  // Ctrl-C reaches the script too, which takes the guest down.
  const ignore = (): void => undefined;
  process.on("SIGINT", ignore);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => {
      process.off("SIGINT", ignore);
      resolve(status ?? 1);
    });
  });
}

function isInPath(program: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
