/**
 * What is open while the mode changes.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { ProxyMode } from "../config/proxy-config.ts";
import { ClusterState } from "../proxier/cluster-state.ts";
import { daemonTable } from "./daemon-table.ts";
import type { LiveTable } from "./live-table.ts";

/** Tables by mode, with what happened to them. */
class Tables {
  mode: ProxyMode = "ipvs";
  readonly events: string[] = [];
  /** The next ones cannot be opened. */
  isBroken = false;
  readonly read: ReturnType<typeof daemonTable> = daemonTable(
    () => ({ mode: this.mode }),
    new ClusterState(),
    (mode) => this.#open(mode),
  );

  async #open(mode: ProxyMode): Promise<LiveTable> {
    await Promise.resolve();
    if (this.isBroken) {
      throw new Error("not here");
    }
    this.events.push(`open ${mode}`);
    return {
      read: async () => {
        this.events.push(`read ${mode}`);
        await Promise.resolve();
        this.events.push(`done ${mode}`);
        return { source: "ipvs", virtualServers: [] };
      },
      [Symbol.dispose]: () => void this.events.push(`close ${mode}`),
    };
  }
}

test("daemonTable() closes the table of a mode that was left", async () => {
  const tables = new Tables();
  await tables.read();
  await tables.read();
  tables.mode = "iptables";
  await tables.read();
  tables.mode = "ipvs";
  await tables.read();
  expect(tables.events.filter((one) => /open|close/.test(one))).toEqual([
    "open ipvs",
    "close ipvs",
    "open iptables",
    "close iptables",
    "open ipvs",
  ]);
});

test("daemonTable() opens once for many who ask, and closes nothing that is being read", async () => {
  const tables = new Tables();
  const first = [tables.read(), tables.read()];
  await Promise.resolve();
  tables.mode = "iptables";
  await Promise.all([...first, tables.read()]);
  expect(tables.events.filter((one) => one.startsWith("open"))).toHaveLength(2);
  expect(tables.events.join(", ")).toMatch(/done ipvs, close ipvs, open iptables/);
});

test("daemonTable() tries again after it could not open", async () => {
  const tables = new Tables();
  tables.isBroken = true;
  await expect(tables.read()).rejects.toThrow("not here");
  tables.isBroken = false;
  await expect(tables.read()).resolves.toMatchObject({ source: "ipvs" });
});
