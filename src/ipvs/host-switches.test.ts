/**
 * @module
 */
import { describe, expect, test } from "vitest";
import {
  allOrNone,
  type SysctlDoor,
  setHostSwitches,
  setSysctls,
  type TimeoutsDoor,
} from "./host-switches.ts";
import type { Timeouts } from "./netlink/timeouts.ts";

const none: Timeouts = { tcp: 0, tcpFin: 0, udp: 0 };

/** A host with these settings; those of `readOnly` cannot be written. */
class Host implements SysctlDoor, TimeoutsDoor {
  timeouts: Timeouts = { tcp: 900, tcpFin: 120, udp: 300 };
  readonly sysctls: Map<string, number>;
  readonly written: string[] = [];
  readonly #readOnly: ReadonlySet<string>;

  constructor(sysctls: Readonly<Record<string, number>>, readOnly: readonly string[] = []) {
    this.sysctls = new Map(Object.entries(sysctls));
    this.#readOnly = new Set(readOnly);
  }

  read(path: string): number {
    const value = this.sysctls.get(path);
    if (value === undefined) {
      throw new Error("ENOENT");
    }
    return value;
  }

  write(path: string, value: number): void {
    if (this.#readOnly.has(path)) {
      throw new Error("EROFS");
    }
    this.written.push(path);
    this.sysctls.set(path, value);
  }

  getTimeouts(): Timeouts {
    return this.timeouts;
  }

  setTimeouts({ tcp, tcpFin, udp }: Timeouts): void {
    this.timeouts = {
      tcp: tcp || this.timeouts.tcp,
      tcpFin: tcpFin || this.timeouts.tcpFin,
      udp: udp || this.timeouts.udp,
    };
  }
}

describe("setHostSwitches()", () => {
  test("writes what differs, and sets it back", () => {
    const host = new Host({ "/proc/sys/a": 0, "/proc/sys/b": 1 });
    const wanted = [
      { name: "a", value: 1 },
      { name: "b", value: 1 },
    ];
    const switches = setHostSwitches(host, { ...none, tcp: 10 }, wanted, host);
    expect(switches.failures).toEqual([]);
    expect(host.written).toEqual(["/proc/sys/a"]);
    expect(host.timeouts).toEqual({ tcp: 10, tcpFin: 120, udp: 300 });
    switches.restore();
    expect(host.sysctls.get("/proc/sys/a")).toBe(0);
    expect(host.timeouts).toEqual({ tcp: 900, tcpFin: 120, udp: 300 });
    switches.restore();
    expect(host.written).toEqual(["/proc/sys/a", "/proc/sys/a"]);
  });

  test("names what it cannot set, and leaves that alone later", () => {
    const host = new Host({ "/proc/sys/a": 0, "/proc/sys/b": 0 }, ["/proc/sys/a"]);
    const wanted = ["a", "absent", "b"].map((name) => ({ name, value: 1 }));
    const switches = setHostSwitches(host, none, wanted, host);
    expect(switches.failures).toEqual([
      { path: "/proc/sys/a", wanted: 1, reason: "EROFS" },
      { path: "/proc/sys/absent", wanted: 1, reason: "ENOENT" },
    ]);
    switches.restore();
    expect(host.written).toEqual(["/proc/sys/b", "/proc/sys/b"]);
    expect(host.timeouts).toEqual({ tcp: 900, tcpFin: 120, udp: 300 });
  });
});

describe("allOrNone()", () => {
  const wanted = ["a", "b"].map((name) => ({ name, value: 1 }));
  const unable = ({ path }: { readonly path: string }): Error => new Error(`Cannot set ${path}`);

  test("hands on what could be set", () => {
    const switches = setSysctls(wanted, new Host({ "/proc/sys/a": 0, "/proc/sys/b": 1 }));
    expect(allOrNone(switches, unable)).toBe(switches);
  });

  test("sets back what could be set when something could not", () => {
    const host = new Host({ "/proc/sys/a": 0, "/proc/sys/b": 0 }, ["/proc/sys/b"]);
    expect(() => allOrNone(setSysctls(wanted, host), unable)).toThrow("Cannot set /proc/sys/b");
    expect(host.sysctls.get("/proc/sys/a")).toBe(0);
  });
});
