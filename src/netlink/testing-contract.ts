/**
 * What holds for the real kernel and for the fake ones alike.
 *
 * Each suite is run twice: beside the code against the fakes, and end to end in a network namespace against the
 * kernel. A fake that drifts from the kernel fails here, and so does a belief about the kernel that is wrong. Every
 * test leaves behind what it found.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import {
  addAddressRequest,
  addressMessages,
  decodeAddress,
  deleteAddressRequest,
  listAddresses,
} from "./address.ts";
import { collectDump, type NetlinkConnection, type NetlinkOutcome, transactOne } from "./connection.ts";
import { isKernelError, KernelError, type KernelErrorCode } from "./kernel-error.ts";
import { createLinkRequest, deleteLinkRequest, findLink, listLinks, setLinkUpRequest } from "./link.ts";
import type { NetlinkMessage } from "./message.ts";

/** Opens a connection to the kernel under test, always the same one. */
export type Open = () => NetlinkConnection;

/** One thing that holds. */
export interface ContractCase {
  readonly name: string;
  readonly run: (connection: NetlinkConnection, open: Open) => void | Promise<void>;
}

/** Makes a test of each case, on a connection of its own. */
export function testContract(kernel: string, contract: readonly ContractCase[], open: Open): void {
  describe(kernel, () => {
    test.each(contract)("$name", async ({ run }) => {
      using connection = open();
      await run(connection, open);
    });
  });
}

/** Requests and dumps as such, shown with the addresses of `lo`. */
export const connectionContract: readonly ContractCase[] = [
  {
    name: "transact() gives one outcome per request, and a failure does not stop those behind it",
    run: (connection) => {
      const outcomes = connection.transact([
        addAddressRequest(lo, "10.90.0.1"),
        addAddressRequest(lo, "10.90.0.1"),
        addAddressRequest(lo, "10.90.0.2"),
        addAddressRequest(noInterface, "10.90.0.3"),
        deleteAddressRequest(lo, "10.90.0.2"),
        deleteAddressRequest(lo, "10.90.0.2"),
        deleteAddressRequest(lo, "10.90.0.1"),
      ]);
      expect(outcomes.map(codeOf)).toEqual([
        "done",
        "exists",
        "done",
        "not-found",
        "done",
        "not-found",
        "done",
      ]);
    },
  },

  {
    name: "transact() names the request that failed",
    run: (connection) => {
      const outcomes = connection.transact([
        addAddressRequest(lo, "10.90.1.1"),
        addAddressRequest(lo, "10.90.1.1"),
        deleteAddressRequest(lo, "10.90.1.1"),
      ]);
      expect(outcomes[1]?.error).toMatchObject({
        // Newer kernels add words of their own.
        message: expect.stringMatching(/^Cannot add address 10\.90\.1\.1\/32 to interface 1: EEXIST/),
        operation: "add address 10.90.1.1/32 to interface 1",
        errno: 17,
      });
    },
  },

  {
    name: "transact() does nothing for no requests",
    run: (connection) => {
      expect(connection.transact([])).toEqual([]);
    },
  },

  {
    name: "transactEach() tells the outcomes of more requests than fit a batch in order",
    run: async (connection) => {
      const addresses = Array.from({ length: 1000 }, (_, index) => `10.91.${index >> 8}.${index & 255}`);
      // Every address twice: each second outcome is a failure that must be told apart.
      const twice = addresses.flatMap((address) => [
        addAddressRequest(lo, address),
        addAddressRequest(lo, address),
      ]);
      const codes: string[] = [];
      const places: number[] = [];
      await connection.transactEach(twice, (outcome, index) => {
        codes.push(codeOf(outcome));
        places.push(index);
      });
      expect(codes).toEqual(addresses.flatMap(() => ["done", "exists"]));
      expect(places).toEqual([...twice.keys()]);
      const left = connection.transact(addresses.map((address) => deleteAddressRequest(lo, address)));
      expect(left.filter(({ error }) => error !== undefined)).toEqual([]);
    },
  },

  {
    name: "dump() visits every entry of a table that takes many datagrams",
    run: async (connection) => {
      const addresses = Array.from({ length: 600 }, (_, index) => `10.92.${index >> 8}.${index & 255}`);
      connection.transact(addresses.map((address) => addAddressRequest(lo, address)));
      const found = await listAddresses(connection, { interfaceIndex: lo, family: "IPv4" });
      connection.transact(addresses.map((address) => deleteAddressRequest(lo, address)));
      const texts = found.map(({ address }) => address).filter((address) => address.startsWith("10.92."));
      expect(texts.toSorted()).toEqual(addresses.toSorted());
    },
  },

  {
    name: "dump() runs beside another dump, and beside requests from within its visitor",
    run: async (connection) => {
      transactOne(connection, addAddressRequest(lo, "10.93.0.1"));
      const seen: string[] = [];
      const first = connection.dump(dumpAddresses, () => {
        seen.push("first");
        const inside = [addAddressRequest(lo, "10.93.0.2"), deleteAddressRequest(lo, "10.93.0.2")];
        expect(connection.transact(inside).map(codeOf)).toEqual(["done", "done"]);
      });
      const second = connection.dump(dumpLinks, () => seen.push("second"));
      const [firstResult, secondResult] = await Promise.allSettled([first, second]);
      transactOne(connection, deleteAddressRequest(lo, "10.93.0.1"));
      // The visitor changes the table that is being read, so being told so is as good as not.
      expect(firstResult.status === "fulfilled" || isKernelError(firstResult.reason, "busy")).toBe(true);
      expect(secondResult.status).toBe("fulfilled");
      expect(new Set(seen)).toEqual(new Set(["first", "second"]));
      expect(seen.lastIndexOf("first")).toBeLessThan(seen.indexOf("second"));
    },
  },

  {
    name: "dump() hands on what its visitor throws, and the next dump works",
    run: async (connection) => {
      const failing = connection.dump(dumpLinks, () => {
        throw new RangeError("not this one");
      });
      await expect(failing).rejects.toThrow(new RangeError("not this one"));
      expect((await listLinks(connection)).map(({ name: link }) => link)).toContain("lo");
    },
  },

  {
    name: "dump() rejects with the kernel's error when it refuses to begin or ends with one",
    run: async (connection) => {
      await expect(listAddresses(connection, { interfaceIndex: noInterface })).rejects.toMatchObject({
        code: "not-found",
        operation: "list addresses",
      });
    },
  },

  {
    name: "collectDump() leaves out what does not decode to an entry",
    run: async (connection) => {
      const links = await collectDump(connection, dumpLinks, (message: NetlinkMessage) =>
        decodeAddress(message),
      );
      expect(links).toEqual([]);
    },
  },

  {
    name: "a connection that is closed cannot be used",
    run: async (_, open) => {
      const closed = open();
      closed[Symbol.dispose]();
      closed[Symbol.dispose]();
      expect(() => closed.transact([addAddressRequest(lo, "10.94.0.1")])).toThrow(TypeError);
      await expect(closed.dump(dumpLinks, () => undefined)).rejects.toThrow(TypeError);
    },
  },

  {
    name: "a dump whose connection is closed meanwhile ends with an error",
    run: async (connection, open) => {
      const closing = open();
      const addresses = Array.from({ length: 3000 }, (_, index) => `10.95.${index >> 8}.${index & 255}`);
      connection.transact(addresses.map((address) => addAddressRequest(lo, address)));
      const dump = closing.dump(dumpAddresses, () => closing[Symbol.dispose]());
      await expect(dump).rejects.toBeInstanceOf(KernelError);
      connection.transact(addresses.map((address) => deleteAddressRequest(lo, address)));
    },
  },
];

/** Interfaces and addresses. */
export const routeContract: readonly ContractCase[] = [
  {
    name: "findLink() finds lo, and nothing where there is nothing",
    run: (connection) => {
      expect(findLink(connection, "lo")).toMatchObject({
        index: lo,
        name: "lo",
        kind: undefined,
        loopback: true,
      });
      expect(findLink(connection, "absent0")).toBeUndefined();
    },
  },

  {
    name: "an interface is created down, brought up, listed and deleted",
    run: async (connection) => {
      transactOne(connection, createLinkRequest("contract0", "bridge"));
      const created = findLink(connection, "contract0");
      expect(created).toMatchObject({ kind: "bridge", up: false, loopback: false, mtu: 1500 });
      const index = created?.index ?? 0;
      transactOne(connection, setLinkUpRequest(index, true));
      const listed = (await listLinks(connection)).find((link) => link.index === index);
      expect(listed).toMatchObject({ name: "contract0", up: true });
      transactOne(connection, setLinkUpRequest(index, false));
      expect(findLink(connection, "contract0")?.up).toBe(false);
      transactOne(connection, deleteLinkRequest(index));
      expect(findLink(connection, "contract0")).toBeUndefined();
      expect(codeOf(connection.transact([deleteLinkRequest(index)])[0])).toBe("not-found");
      expect(codeOf(connection.transact([setLinkUpRequest(index, true)])[0])).toBe("not-found");
    },
  },

  {
    name: "an interface that exists is not created again",
    run: (connection) => {
      transactOne(connection, createLinkRequest("contract1", "bridge"));
      expect(codeOf(connection.transact([createLinkRequest("contract1", "bridge")])[0])).toBe("exists");
      transactOne(connection, deleteLinkRequest(findLink(connection, "contract1")?.index ?? 0));
    },
  },

  {
    name: "a kind of interface that the kernel lacks is unsupported, in the kernel's words",
    run: (connection) => {
      expect(() => transactOne(connection, createLinkRequest("contract2", "no-such-kind"))).toThrow(
        expect.objectContaining({
          code: "unsupported",
          extendedAck: "Unknown device type",
          message: "Cannot create interface contract2 of kind no-such-kind: EOPNOTSUPP: Unknown device type",
        }),
      );
    },
  },

  {
    name: "addresses of both families are added, listed by interface and family, and deleted",
    run: async (connection) => {
      transactOne(connection, createLinkRequest("contract3", "bridge"));
      const index = findLink(connection, "contract3")?.index ?? 0;
      const texts = ["10.96.0.10", "10.96.0.11", "fd00:10:96::a"];
      const added = connection.transact(texts.map((text) => addAddressRequest(index, text)));
      expect(added.map(codeOf)).toEqual(["done", "done", "done"]);
      expect(codeOf(connection.transact([addAddressRequest(index, "fd00:10:96::a")])[0])).toBe("exists");

      const all = await listAddresses(connection, { interfaceIndex: index });
      expect(all.map(({ address }) => address).toSorted()).toEqual(texts);
      expect(all.every((one) => one.interfaceIndex === index)).toBe(true);
      const [ipv6] = await listAddresses(connection, { interfaceIndex: index, family: "IPv6" });
      expect(ipv6).toMatchObject({ family: "IPv6", address: "fd00:10:96::a", prefixLength: 128, scope: 0 });

      transactOne(connection, deleteAddressRequest(index, "10.96.0.10"));
      transactOne(connection, deleteAddressRequest(index, "fd00:10:96::a"));
      const left = await listAddresses(connection, { interfaceIndex: index });
      expect(left.map(({ address }) => address)).toEqual(["10.96.0.11"]);
      transactOne(connection, deleteLinkRequest(index));
      const ofAll = await listAddresses(connection);
      expect(ofAll.filter((one) => one.interfaceIndex === index)).toEqual([]);
    },
  },
];

/** "done", or the code of what went wrong. */
export function codeOf(outcome: NetlinkOutcome | undefined): KernelErrorCode | "done" | "no outcome" {
  if (outcome === undefined) return "no outcome";
  return outcome.error?.code ?? "done";
}

/** Index of `lo` in every network namespace. */
const lo = 1;
const noInterface = 9999;

const dumpAddresses = {
  operation: "list addresses",
  type: addressMessages.get,
  payload: new Uint8Array(8),
};
const dumpLinks = { operation: "list interfaces", type: 18, payload: new Uint8Array(16) };
