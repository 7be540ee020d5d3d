/**
 * What ipvs mode sets for the host as a whole: IPVS's timeouts and settings of the kernel. Remembers what was there before, for a
 * mode that does not come to serve.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { Timeouts } from "./netlink/timeouts.ts";
import type { Sysctl } from "./sysctls.ts";

/** A kernel setting that could not be made. */
export interface FailedSysctl {
  readonly path: string;
  readonly wanted: number;
  readonly reason: string;
}

/** Switches that are set. */
export interface HostSwitches {
  /** Settings that could not be made. */
  readonly failures: readonly FailedSysctl[];
  /** Sets back what was changed. What cannot be set back stays. */
  restore(): void;
}

/** Reads and sets the timeouts of IPVS. @throws KernelError */
export interface TimeoutsDoor {
  getTimeouts(): Timeouts;
  setTimeouts(timeouts: Timeouts): void;
}

/** Reads and sets a sysctl. */
export interface SysctlDoor {
  /** @throws Error when it does not exist */
  read(path: string): number;
  /** @throws Error when it cannot be written */
  write(path: string, value: number): void;
}

/** Those of this host. */
export const hostSysctls: SysctlDoor = {
  read: (path) => Number.parseInt(readFileSync(path, "utf8"), 10),
  write: (path, value) => writeFileSync(path, String(value)),
};

/**
 * Sets timeouts and sysctls that are not as they should be.
 *
 * @param timeouts in seconds; those that are 0 stay as they are
 * @throws KernelError when the timeouts cannot be set
 */
export function setHostSwitches(
  client: TimeoutsDoor,
  timeouts: Timeouts,
  sysctls: readonly Sysctl[],
  door: SysctlDoor = hostSysctls,
): HostSwitches {
  const { tcp, tcpFin, udp } = timeouts;
  const formerTimeouts = tcp + tcpFin + udp > 0 ? client.getTimeouts() : undefined;
  if (formerTimeouts !== undefined) {
    client.setTimeouts(timeouts);
  }
  const set = setSysctls(sysctls, door);
  return {
    failures: set.failures,
    restore: () => {
      set.restore();
      if (formerTimeouts !== undefined) {
        attempt(() => client.setTimeouts(formerTimeouts));
      }
    },
  };
}

/** Sets sysctls that are not as they should be. */
export function setSysctls(sysctls: readonly Sysctl[], door: SysctlDoor = hostSysctls): HostSwitches {
  const former: (readonly [path: string, value: number])[] = [];
  const failures: FailedSysctl[] = [];
  for (const { name, value } of sysctls) {
    const path = `/proc/sys/${name}`;
    try {
      const present = door.read(path);
      if (present !== value) {
        door.write(path, value);
        former.push([path, present]);
      }
    } catch (error) {
      failures.push({ path, wanted: value, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  return {
    failures,
    restore: () => {
      for (const [path, value] of former.splice(0)) {
        attempt(() => door.write(path, value));
      }
    },
  };
}

/**
 * The switches, if all of them could be made.
 *
 * @param unable makes the error, of the first that could not be made; the others are set back before
 */
export function allOrNone(switches: HostSwitches, unable: (failed: FailedSysctl) => Error): HostSwitches {
  const [failed] = switches.failures;
  if (failed === undefined) {
    return switches;
  }
  switches.restore();
  throw unable(failed);
}

function attempt(job: () => void): void {
  try {
    job();
  } catch {
    // The mode that serves on does without.
  }
}
