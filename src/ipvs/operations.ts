/**
 * Operations: single changes of the kernel's state, each with the request that makes it and what is known once it is made.
 *
 * @module
 */
import { addAddressRequest, deleteAddressRequest } from "../netlink/address.ts";
import type { NetlinkRequest } from "../netlink/connection.ts";
import { addEntryRequest, deleteEntryRequest } from "../netlink/ipset.ts";
import { entryText } from "../netlink/ipset-entry.ts";
import type { KernelErrorCode } from "../netlink/kernel-error.ts";
import { type Address, type Family, parseAddress } from "../proxier/address.ts";
import type { FormerState, KnownState } from "./known-state.ts";
import type { RealServer } from "./netlink/real-server.ts";
import {
  addRealServerRequest,
  addVirtualServerRequest,
  deleteRealServerRequest,
  deleteVirtualServerRequest,
  editRealServerRequest,
  editVirtualServerRequest,
} from "./netlink/requests.ts";
import { sameVirtualServer, type VirtualServer, type VirtualServerKey } from "./netlink/virtual-server.ts";
import type { IpvsFamily } from "./netlink/wire.ts";
import type { WantedEntry, WantedRealServer, WantedServer } from "./service-tables.ts";
import { setName } from "./sets.ts";
import { addressKey, entryKey, type Owner, serverKey } from "./wanted-state.ts";

/** By which door a request goes to the kernel. */
export type Door = "ipvs" | "sets" | "route";

/** Which virtual server. */
export interface ServerRef {
  readonly name: string;
  readonly server: VirtualServerKey;
}

/** One change. */
export interface Operation {
  readonly door: Door;
  readonly request: NetlinkRequest;
  /** Refusals that mean "already so". */
  readonly forgiven: readonly KernelErrorCode[];
  /** Whom it is done for. */
  readonly owner: Owner;
  /** The virtual server that it is about, to be read again when it fails. */
  readonly server: ServerRef | undefined;
  /** Whether it takes something away. */
  readonly removes: boolean;
  /** Whether it only restores what was so already when the kernel was read last. */
  readonly repairs: boolean;
  /** Notes that the kernel has carried it out. */
  readonly done: () => void;
}

/** Makes the operations of one family. */
export class Operations {
  readonly #family: Family;
  readonly #ipvs: IpvsFamily;
  readonly #known: KnownState;
  readonly #before: FormerState | undefined;

  constructor(family: Family, ipvs: IpvsFamily, known: KnownState, before: FormerState | undefined) {
    this.#family = family;
    this.#ipvs = ipvs;
    this.#known = known;
    this.#before = before;
  }

  addEntry(owner: Owner, wanted: WantedEntry): Operation {
    const { role, entry } = wanted;
    return {
      door: "sets",
      request: addEntryRequest(setName(role, this.#family), entry),
      forgiven: [],
      owner,
      server: undefined,
      removes: false,
      repairs: this.#before?.hasEntry(wanted) === true,
      done: () => {
        this.#known.entries(role).set(entryText(entry), entry);
        this.#known.note(entryKey(wanted));
      },
    };
  }

  deleteEntry(owner: Owner, wanted: WantedEntry): Operation {
    const { role, entry } = wanted;
    return {
      door: "sets",
      request: deleteEntryRequest(setName(role, this.#family), entry),
      forgiven: [],
      owner,
      server: undefined,
      removes: true,
      repairs: this.#before !== undefined && !this.#before.hasEntry(wanted),
      done: () => {
        this.#known.entries(role).delete(entryText(entry));
        this.#known.note(entryKey(wanted));
      },
    };
  }

  /** Adds a virtual server; its real servers are operations of their own. */
  addServer(owner: Owner, { name, server, protocol, addresses }: WantedServer): Operation {
    return {
      ...this.#about(owner, { name, server }, this.#had(name) === true),
      request: addVirtualServerRequest(this.#ipvs, server),
      done: () => {
        this.#known.servers.set(name, { server, protocol, real: new Map(), addresses });
        this.#known.note(serverKey(name));
      },
    };
  }

  editServer(owner: Owner, { name, server }: WantedServer): Operation {
    return {
      ...this.#about(owner, { name, server }, this.#wasSetUp(name, server)),
      request: editVirtualServerRequest(this.#ipvs, server),
      done: () => {
        const known = this.#known.servers.get(name);
        if (known !== undefined) {
          known.server = server;
        }
        this.#known.note(serverKey(name));
      },
    };
  }

  /** Deletes a virtual server and its real servers at once. */
  deleteServer(owner: Owner, { name, server }: ServerRef): Operation {
    return {
      ...this.#about(owner, { name, server }, this.#had(name) === false),
      request: deleteVirtualServerRequest(this.#ipvs, server),
      forgiven: ["not-found"],
      removes: true,
      done: () => {
        this.#known.servers.delete(name);
        this.#known.note(serverKey(name));
      },
    };
  }

  addReal(owner: Owner, { name, server }: ServerRef, wanted: WantedRealServer): Operation {
    const { target, weight } = wanted;
    return {
      ...this.#about(owner, { name, server }, this.#before?.server(name)?.real.has(target) === true),
      request: addRealServerRequest(this.#ipvs, server, realServer(wanted, weight)),
      done: () => {
        this.#known.servers.get(name)?.real.set(target, weight);
        this.#known.note(serverKey(name));
      },
    };
  }

  /** Gives a real server another weight. Its connections go on. */
  weighReal(owner: Owner, { name, server }: ServerRef, target: string, weight: number): Operation {
    return {
      ...this.#about(owner, { name, server }, this.#before?.server(name)?.real.get(target) === weight),
      request: editRealServerRequest(this.#ipvs, server, realServer(splitTarget(target), weight)),
      done: () => {
        this.#known.servers.get(name)?.real.set(target, weight);
        this.#known.note(serverKey(name));
      },
    };
  }

  deleteReal(owner: Owner, { name, server }: ServerRef, target: string): Operation {
    return {
      ...this.#about(owner, { name, server }, this.#before?.server(name)?.real.has(target) === false),
      request: deleteRealServerRequest(this.#ipvs, server, splitTarget(target)),
      forgiven: ["not-found"],
      removes: true,
      done: () => {
        this.#known.servers.get(name)?.real.delete(target);
        this.#known.note(serverKey(name));
      },
    };
  }

  /** @param link index of kube-ipvs0 */
  bind(owner: Owner, link: number, address: Address): Operation {
    return {
      door: "route",
      request: addAddressRequest(link, address),
      forgiven: ["exists"],
      owner,
      server: undefined,
      removes: false,
      repairs: this.#before?.hasAddress(address) === true,
      done: () => {
        this.#known.addresses.add(address);
        this.#known.note(addressKey(address));
      },
    };
  }

  /** @param link index of kube-ipvs0 */
  unbind(owner: Owner, link: number, address: Address): Operation {
    return {
      door: "route",
      request: deleteAddressRequest(link, address),
      forgiven: ["not-found"],
      owner,
      server: undefined,
      removes: true,
      repairs: this.#before?.hasAddress(address) === false,
      done: () => {
        this.#known.addresses.delete(address);
        this.#known.note(addressKey(address));
      },
    };
  }

  /** Undefined where nothing was known before. */
  #had(name: string): boolean | undefined {
    return this.#before === undefined ? undefined : this.#before.server(name) !== undefined;
  }

  #wasSetUp(name: string, server: VirtualServer): boolean {
    const before = this.#before?.server(name);
    return before !== undefined && sameVirtualServer(before.server, server);
  }

  #about(owner: Owner, { name, server }: ServerRef, repairs: boolean): Omit<Operation, "request" | "done"> {
    return { door: "ipvs", forgiven: [], owner, server: { name, server }, removes: false, repairs };
  }
}

function realServer({ address, port }: { address: string; port: number }, weight: number): RealServer {
  return { address, port, forwarding: "masquerade", weight };
}

/** The address and port of `ip:port` or `[ip]:port`, which was joined here or read from the kernel. */
function splitTarget(target: string): { readonly address: Address; readonly port: number } {
  const colon = target.lastIndexOf(":");
  const address = parseAddress(target.slice(0, colon).replace(/^\[|\]$/g, ""));
  if (address === undefined) {
    throw new RangeError(`Cannot read real server ${JSON.stringify(target)}: no address`);
  }
  return { address, port: Number(target.slice(colon + 1)) };
}
