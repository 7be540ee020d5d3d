/**
 * What holds for the real kernel's ipset and for the fake one alike; see `testing-contract.ts`.
 *
 * @module
 */
import { expect } from "vitest";
import { transactOne } from "./connection.ts";
import {
  addEntryRequest,
  createSetRequest,
  deleteEntryRequest,
  destroySetRequest,
  flushSetRequest,
  hasEntry,
  renameSetRequest,
  type SetDefinition,
  swapSetsRequest,
} from "./ipset.ts";
import { addEntries, deleteEntries } from "./ipset-bulk.ts";
import { entryText, normalEntries, normalEntry, type SetEntry } from "./ipset-entry.ts";
import { listSets, readSet } from "./ipset-list.ts";
import { type ContractCase, codeOf } from "./testing-contract.ts";

/** One set of every type, and entries for it. */
export const sampleSets: readonly (readonly [SetDefinition, readonly SetEntry[]])[] = [
  [
    { name: "contract-ip", type: "hash:ip", family: "IPv4" },
    [
      { type: "hash:ip", address: "10.96.0.10" },
      { type: "hash:ip", address: "10.96.0.11" },
      { type: "hash:ip", address: "10.96.0.12" },
    ],
  ],
  [
    { name: "contract-ip6", type: "hash:ip", family: "IPv6", hashSize: 2048, maximumElements: 1000 },
    [{ type: "hash:ip", address: "fd00:10:96::a" }],
  ],
  [
    { name: "contract-net", type: "hash:net", family: "IPv4" },
    [
      { type: "hash:net", network: "10.0.0.0", prefixLength: 8 },
      { type: "hash:net", network: "192.0.2.7", prefixLength: 32 },
    ],
  ],
  [
    { name: "contract-ip-port", type: "hash:ip,port", family: "IPv4" },
    [
      { type: "hash:ip,port", address: "10.96.0.10", protocol: 6, port: 80 },
      { type: "hash:ip,port", address: "10.96.0.10", protocol: 17, port: 53 },
      { type: "hash:ip,port", address: "10.96.0.10", protocol: 132, port: 36412 },
    ],
  ],
  [
    { name: "contract-ip-port-ip", type: "hash:ip,port,ip", family: "IPv6" },
    [
      {
        type: "hash:ip,port,ip",
        address: "fd00:10:244::5",
        protocol: 6,
        port: 8080,
        address2: "fd00:10:244::5",
      },
    ],
  ],
  [
    { name: "contract-ip-port-net", type: "hash:ip,port,net", family: "IPv4" },
    [
      {
        type: "hash:ip,port,net",
        address: "203.0.113.1",
        protocol: 6,
        port: 443,
        network: "198.51.100.0",
        prefixLength: 24,
      },
    ],
  ],
  [{ name: "contract-port", type: "bitmap:port" }, [{ type: "bitmap:port", port: 30080 }]],
];

/** IP sets. */
export const ipsetContract: readonly ContractCase[] = [
  ...sampleSets.map(([definition, entries]) => setLifeCase(definition, entries)),

  {
    name: "a network is kept without its host bits, and everything is two halves",
    run: async (connection) => {
      const set = "contract-halves";
      transactOne(connection, createSetRequest({ name: set, type: "hash:net", family: "IPv4" }));
      const given: SetEntry[] = [
        { type: "hash:net", network: "10.1.2.3", prefixLength: 8 },
        ...normalEntries({ type: "hash:net", network: "0.0.0.0", prefixLength: 0 }),
      ];
      for (const entry of given) transactOne(connection, addEntryRequest(set, entry));
      const observed = await readSet(connection, set);
      expect(sorted(observed?.entries)).toEqual(sorted(given.map(normalEntry)));
      transactOne(connection, destroySetRequest(set));
    },
  },

  {
    name: "entries of a set with a timeout have what they were given, or the set's",
    run: async (connection) => {
      const set = "contract-timeout";
      transactOne(
        connection,
        createSetRequest({ name: set, type: "hash:ip", family: "IPv4", timeoutSeconds: 3600 }),
      );
      transactOne(connection, addEntryRequest(set, { type: "hash:ip", address: "10.0.0.1" }));
      transactOne(
        connection,
        addEntryRequest(set, { type: "hash:ip", address: "10.0.0.2", timeoutSeconds: 7200 }),
      );
      const observed = await readSet(connection, set);
      expect(observed?.timeoutSeconds).toBe(3600);
      const timeouts = new Map(
        observed?.entries?.map((entry) => [entryText(entry), entry.timeoutSeconds ?? 0]),
      );
      // The kernel counts down in whole seconds and begins at once.
      expect(timeouts.get("10.0.0.1")).toBeGreaterThan(3500);
      expect(timeouts.get("10.0.0.1")).toBeLessThanOrEqual(3600);
      expect(timeouts.get("10.0.0.2")).toBeGreaterThan(7100);
      transactOne(connection, destroySetRequest(set));
    },
  },

  {
    name: "entries of a set with marks have what they were given, or none",
    run: async (connection) => {
      const name = "contract-marks";
      const entry = { type: "hash:ip,port", address: "10.96.0.10", protocol: 6, port: 80 } as const;
      transactOne(connection, createSetRequest({ name, type: "hash:ip,port", family: "IPv4", marks: true }));
      transactOne(connection, addEntryRequest(name, { ...entry, mark: 1 }));
      transactOne(connection, addEntryRequest(name, { ...entry, mark: 0x5012_3034 }));
      transactOne(connection, addEntryRequest(name, { ...entry, port: 81 }));
      const observed = await readSet(connection, name);
      expect(observed?.marks).toBe(true);
      expect(observed?.entries?.toSorted((a, b) => entryText(a).localeCompare(entryText(b)))).toEqual([
        { ...entry, mark: 0x5012_3034 },
        { ...entry, port: 81 },
      ]);
      transactOne(connection, destroySetRequest(name));
    },
  },

  {
    name: "entries with a mark are refused by a set without",
    run: (connection) => {
      const name = "contract-no-marks";
      const entry = { type: "hash:ip,port", address: "10.96.0.10", protocol: 6, port: 80, mark: 1 } as const;
      transactOne(connection, createSetRequest({ name, type: "hash:ip,port", family: "IPv4" }));
      expect(codeOf(connection.transact([addEntryRequest(name, entry)])[0])).toBe("rejected");
      transactOne(connection, destroySetRequest(name));
    },
  },

  {
    name: "a set with other parameters is not created over one that exists",
    run: (connection) => {
      const definition = { name: "contract-other", type: "hash:ip", family: "IPv4" } as const;
      transactOne(connection, createSetRequest(definition));
      const larger = createSetRequest({ ...definition, maximumElements: 131_072 });
      expect(codeOf(connection.transact([larger])[0])).toBe("exists");
      transactOne(connection, destroySetRequest(definition.name));
    },
  },

  {
    name: "swap, rename and flush act on whole sets",
    run: async (connection) => {
      const entry: SetEntry = { type: "hash:ip", address: "10.0.0.1" };
      for (const set of ["contract-a", "contract-b"]) {
        transactOne(connection, createSetRequest({ name: set, type: "hash:ip", family: "IPv4" }));
      }
      transactOne(connection, addEntryRequest("contract-a", entry));
      transactOne(connection, swapSetsRequest("contract-a", "contract-b"));
      expect((await readSet(connection, "contract-a"))?.entries).toEqual([]);
      expect((await readSet(connection, "contract-b"))?.entries).toEqual([entry]);
      expect(codeOf(connection.transact([renameSetRequest("contract-b", "contract-a")])[0])).toBe("exists");
      transactOne(connection, renameSetRequest("contract-b", "contract-c"));
      const listed = (await listSets(connection, { entries: false })).filter((set) =>
        set.name.startsWith("contract-"),
      );
      expect(listed.map((set) => set.name).toSorted()).toEqual(["contract-a", "contract-c"]);
      expect(listed.every((set) => set.entries === undefined)).toBe(true);
      transactOne(connection, flushSetRequest("contract-c"));
      expect((await readSet(connection, "contract-c"))?.entries).toEqual([]);
      for (const set of ["contract-a", "contract-c"]) transactOne(connection, destroySetRequest(set));
    },
  },

  {
    name: "commands about a set that is not there say so",
    run: (connection) => {
      const absent = "contract-absent";
      const entry: SetEntry = { type: "hash:ip", address: "10.0.0.1" };
      transactOne(connection, createSetRequest({ name: "contract-one", type: "hash:ip", family: "IPv4" }));
      transactOne(connection, createSetRequest({ name: "contract-two", type: "bitmap:port" }));
      const outcomes = connection.transact([
        flushSetRequest(absent),
        addEntryRequest(absent, entry),
        renameSetRequest(absent, "contract-new"),
        swapSetsRequest(absent, "contract-one"),
        swapSetsRequest("contract-one", absent),
        swapSetsRequest("contract-one", "contract-two"),
      ]);
      expect(outcomes.map(codeOf)).toEqual([
        "not-found",
        "not-found",
        "not-found",
        "not-found",
        "not-found",
        "rejected",
      ]);
      expect(() => hasEntry(connection, absent, entry)).toThrow(
        expect.objectContaining({ code: "not-found" }),
      );
      for (const set of ["contract-one", "contract-two"]) transactOne(connection, destroySetRequest(set));
    },
  },

  {
    name: "addEntries() and deleteEntries() take more entries than fit a message",
    run: async (connection) => {
      const set = "contract-bulk";
      transactOne(connection, createSetRequest({ name: set, type: "hash:ip,port", family: "IPv4" }));
      const entries = Array.from({ length: 2500 }, (_, index): SetEntry => {
        return { type: "hash:ip,port", address: `10.0.${index >> 8}.${index & 255}`, protocol: 6, port: 80 };
      });
      expect(await addEntries(connection, set, entries)).toEqual([]);
      expect(sorted((await readSet(connection, set))?.entries)).toEqual(sorted(entries));
      expect(await addEntries(connection, set, entries)).toEqual([]);
      expect(await deleteEntries(connection, set, entries.slice(1))).toEqual([]);
      expect((await readSet(connection, set))?.entries).toEqual(entries.slice(0, 1));
      expect(await deleteEntries(connection, set, entries.slice(1, 3))).toEqual([]);
      transactOne(connection, destroySetRequest(set));
    },
  },

  {
    name: "addEntries() names the entry that fails, and goes on behind it",
    run: async (connection) => {
      const set = "contract-bad";
      transactOne(connection, createSetRequest({ name: set, type: "hash:ip", family: "IPv4" }));
      const good = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(
        (address): SetEntry => ({ type: "hash:ip", address }),
      );
      const bad = ["fd00::1", "fd00::2"].map((address): SetEntry => ({ type: "hash:ip", address }));
      const mixed = [good[0], bad[0], good[1], bad[1], good[2]].filter((entry) => entry !== undefined);
      const failures = await addEntries(connection, set, mixed);
      expect(failures.map(({ entry }) => entry)).toEqual(bad);
      expect(failures.map(({ error }) => error.message)).toEqual([
        "Cannot add fd00::1 to set contract-bad: IPSET_ERR_PROTOCOL",
        "Cannot add fd00::2 to set contract-bad: IPSET_ERR_PROTOCOL",
      ]);
      expect(sorted((await readSet(connection, set))?.entries)).toEqual(sorted(good));
      transactOne(connection, destroySetRequest(set));
    },
  },

  {
    name: "addEntries() reports every entry of a set that is not there",
    run: async (connection) => {
      const entries = [1, 2].map((last): SetEntry => ({ type: "hash:ip", address: `10.0.0.${last}` }));
      const failures = await addEntries(connection, "contract-absent", entries);
      expect(failures.map(({ entry, error }) => [entry, error.code])).toEqual(
        entries.map((entry) => [entry, "not-found"]),
      );
    },
  },
];

function sorted(entries: readonly SetEntry[] | undefined): string[] | undefined {
  return entries?.map(entryText).toSorted();
}

/** The whole life of one set. */
function setLifeCase(definition: SetDefinition, entries: readonly SetEntry[]): ContractCase {
  return {
    name: `a set of type ${definition.type} is created, filled, read back and destroyed (${definition.name})`,
    run: async (connection) => {
      transactOne(connection, createSetRequest(definition, { strict: true }));
      expect(codeOf(connection.transact([createSetRequest(definition, { strict: true })])[0])).toBe("exists");
      expect(codeOf(connection.transact([createSetRequest(definition)])[0])).toBe("done");
      for (const entry of entries) {
        expect(hasEntry(connection, definition.name, entry)).toBe(false);
        const strictly = addEntryRequest(definition.name, entry, { strict: true });
        expect(connection.transact([strictly, strictly]).map(codeOf)).toEqual(["done", "exists"]);
        expect(codeOf(connection.transact([addEntryRequest(definition.name, entry)])[0])).toBe("done");
        expect(hasEntry(connection, definition.name, entry)).toBe(true);
      }
      const set = await readSet(connection, definition.name);
      expect(set).toMatchObject({ name: definition.name, type: definition.type, references: 0 });
      expect(set?.family).toBe(definition.family);
      expect(set?.elements).toBe(entries.length);
      expect(sorted(set?.entries)).toEqual(sorted(entries));
      for (const entry of entries) {
        const strictly = deleteEntryRequest(definition.name, entry, { strict: true });
        expect(connection.transact([strictly, strictly]).map(codeOf)).toEqual(["done", "not-found"]);
        expect(codeOf(connection.transact([deleteEntryRequest(definition.name, entry)])[0])).toBe("done");
      }
      expect((await readSet(connection, definition.name))?.entries).toEqual([]);
      transactOne(connection, destroySetRequest(definition.name));
      await expect(readSet(connection, definition.name)).rejects.toMatchObject({ code: "not-found" });
      expect(codeOf(connection.transact([destroySetRequest(definition.name)])[0])).toBe("done");
    },
  };
}
