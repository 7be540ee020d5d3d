/**
 * A fake IPVS for tests: virtual servers, real servers, connections and counters with a memory.
 *
 * It stores the attributes that it is given and answers as the kernel does where that was seen (see the contract
 * suite); it decides nothing but to which real server a connection goes. It reads and writes attributes by itself, so
 * that a mistake of the codecs is not made twice. Unlike the kernel it forgets a real server that is deleted while
 * connections refer to it.
 *
 * @module
 */
import { AttributeReader } from "../../netlink/attribute-reader.ts";
import type { NetlinkConnection } from "../../netlink/connection.ts";
import { genericHeaderLength } from "../../netlink/generic.ts";
import { familyNumbers } from "../../netlink/ip-address.ts";
import { viewOf } from "../../netlink/message.ts";
import { type FakeKernel, type FakeReply, type FakeRequest, fakeConnection } from "../../netlink/testing.ts";
import { infoAttribute } from "./info.ts";
import { daemonAttribute } from "./sync-daemon.ts";
import {
  type Attributes,
  answerPayload,
  copyAttributes,
  hostNumber,
  newCounters,
  numberIn,
  readAttributes,
  sixteenBytes,
  textIn,
} from "./testing-attributes.ts";
import {
  type Answer,
  changeDestination,
  destinationAnswer,
  done,
  type FakeService,
  leastLoaded,
  nameOfDestination,
  nameOfKey,
  nameOfService,
  serviceAnswer,
  setFlags,
  zeroCounters,
} from "./testing-entries.ts";
import { tableTitle, textOfService } from "./testing-text.ts";
import { schedulerNames, type VirtualServerKey } from "./virtual-server.ts";
import { serviceAttribute as service, serviceFlag } from "./virtual-server-codec.ts";
import { commands, familyName, messageAttribute } from "./wire.ts";

const ENOENT = 2;
const ESRCH = 3;
const EEXIST = 17;
const ENODEV = 19;
const EINVAL = 22;
const EOPNOTSUPP = 95;

/** Message type of the controller that tells families' numbers. */
const controllerType = 16;
const controllerAttribute = { familyId: 1, familyName: 2, version: 3 } as const;

/** The kernel counts in hundredths of a second here, in a signed number. */
const longestTimeout = 21_474_836;

/** What the fake kernel has. */
export interface FakeIpvsOptions {
  readonly schedulers?: readonly string[];
  readonly engines?: readonly string[];
  readonly interfaces?: readonly string[];
  /** Number of the generic netlink family. */
  readonly familyId?: number;
}

/** A client's connection through a virtual server. */
export interface FakeClientConnection {
  /** The real server's address and port. */
  readonly realServer: string;
  /** Ends the connection: the kernel remembers it for a while as inactive. */
  close(): void;
  /** Lets the kernel's memory of it run out. */
  expire(): void;
}

/** IPVS of a network namespace. */
export class FakeIpvs {
  readonly #schedulers: readonly string[];
  readonly #engines: readonly string[];
  readonly #interfaces: readonly string[];
  readonly #familyId: number;
  readonly #services = new Map<string, FakeService>();
  readonly #daemons = new Map<number, Attributes>();
  readonly #timeouts: Attributes = new Map([
    [messageAttribute.timeoutTcp, hostNumber(900, 4)],
    [messageAttribute.timeoutTcpFin, hostNumber(120, 4)],
    [messageAttribute.timeoutUdp, hostNumber(300, 4)],
  ]);

  constructor(options: FakeIpvsOptions = {}) {
    this.#schedulers = options.schedulers ?? schedulerNames;
    this.#engines = options.engines ?? ["sip"];
    this.#interfaces = options.interfaces ?? ["lo"];
    this.#familyId = options.familyId ?? 0x1c;
  }

  /** The function to make a `fakeConnection` of. */
  readonly kernel: FakeKernel = (request) => {
    if (request.type === controllerType) return this.#describeFamily(request);
    if (request.type !== this.#familyId) return [{ errno: ENOENT }];
    const answer = this.#answer(request);
    if (typeof answer === "number") return [{ errno: answer }];
    return answer.map((payload) => ({ type: this.#familyId, payload }));
  };

  /** The table as text, as in /proc/net/ip_vs. */
  table(): string {
    return [...this.#services.values()].reduce((text, one) => text + textOfService(one), tableTitle);
  }

  /** A connection to it, for a client. */
  open(): NetlinkConnection {
    return fakeConnection(this.kernel);
  }

  /**
   * Connects a client, always the same one, through a virtual server: to the real server of weight above 0 with the
   * fewest connections, or the one that persistence has bound it to.
   *
   * @returns Undefined if the connection is refused.
   */
  connect(key: VirtualServerKey): FakeClientConnection | undefined {
    const found = this.#services.get(nameOfKey(key));
    if (found === undefined) return undefined;
    const persistent = (numberIn(found.attributes, service.flags) & serviceFlag.persistent) !== 0;
    const chosen = (persistent ? found.bound : undefined) ?? leastLoaded(found);
    if (chosen === undefined) return undefined;
    if (persistent && found.bound === undefined) {
      found.bound = chosen;
      chosen.persistent++;
    }
    for (const { counters } of [found, chosen]) {
      counters.connections++;
      counters.incomingPackets += 3n;
      counters.incomingBytes += 180n;
      counters.outgoingPackets += 2n;
      counters.outgoingBytes += 120n;
    }
    chosen.active++;
    return {
      realServer: nameOfDestination(found, chosen.attributes),
      close: () => {
        chosen.active--;
        chosen.inactive++;
      },
      expire: () => chosen.inactive--,
    };
  }

  #describeFamily({ payload }: FakeRequest): readonly FakeReply[] {
    const asked = readAttributes(new AttributeReader(viewOf(payload), genericHeaderLength, payload.length));
    if (textIn(asked, controllerAttribute.familyName) !== familyName) return [{ errno: ENOENT }];
    const description = answerPayload(1, (writer) =>
      writer
        .string(controllerAttribute.familyName, familyName)
        .u16(controllerAttribute.familyId, this.#familyId)
        .u32(controllerAttribute.version, 1),
    );
    return [{ type: controllerType, payload: description }];
  }

  #answer({ payload, dump }: FakeRequest): Answer {
    const [command = 0] = payload;
    const reader = new AttributeReader(viewOf(payload), genericHeaderLength, payload.length);
    const given: Given = { timeouts: new Map() };
    while (reader.next()) {
      if (reader.type === messageAttribute.service) given.service = readAttributes(reader.nested());
      else if (reader.type === messageAttribute.destination)
        given.destination = readAttributes(reader.nested());
      else if (reader.type === messageAttribute.daemon) given.daemon = readAttributes(reader.nested());
      else given.timeouts.set(reader.type, reader.bytes().slice());
    }
    switch (command) {
      case commands.getService:
        if (dump) return [...this.#services.values()].map(serviceAnswer);
        break;
      case commands.getDestination:
        return dump ? this.#listDestinations(given) : EOPNOTSUPP;
      case commands.newDaemon:
        return this.#startDaemon(given.daemon);
      case commands.deleteDaemon:
        return this.#stopDaemon(given.daemon);
      case commands.getDaemon:
        return [...this.#daemons.values()].map(daemonAnswer);
      case commands.setConfig:
        return this.#setTimeouts(given.timeouts);
      case commands.getConfig:
        return [
          answerPayload(commands.setConfig, (writer) => copyAttributes(writer, this.#timeouts, timeouts)),
        ];
      case commands.getInfo:
        return [
          answerPayload(commands.setInfo, (writer) =>
            writer.u32(infoAttribute.version, 0x01_02_01).u32(infoAttribute.connectionTableSize, 4096),
          ),
        ];
      case commands.flush:
        this.#services.clear();
        return done;
      case commands.zero:
        if (given.service !== undefined) break;
        for (const each of this.#services.values()) zeroCounters(each);
        return done;
    }
    return this.#changeService(command, given);
  }

  /** Commands that name a service, in the kernel's order of checks. */
  #changeService(command: number, given: Given): Answer {
    const attributes = given.service;
    if (attributes === undefined) return EINVAL;
    const full = command === commands.newService || command === commands.setService;
    const name = nameOfService(attributes, full);
    if (typeof name === "number") return name;
    const found = this.#services.get(name);
    if (command === commands.newService) {
      return found === undefined ? this.#addService(name, attributes) : EEXIST;
    }
    if (found === undefined) return ESRCH;
    switch (command) {
      case commands.setService:
        return this.#editService(found, attributes);
      case commands.deleteService:
        this.#services.delete(name);
        return done;
      case commands.getService:
        return [serviceAnswer(found)];
      case commands.zero:
        zeroCounters(found);
        return done;
      case commands.newDestination:
      case commands.setDestination:
      case commands.deleteDestination:
        return changeDestination(command, found, given.destination);
      default:
        return EOPNOTSUPP;
    }
  }

  #addService(name: string, attributes: Attributes): Answer {
    const refusal = this.#refusal(attributes);
    if (refusal !== 0) return refusal;
    const address = attributes.get(service.address);
    if (address !== undefined) attributes.set(service.address, sixteenBytes(address));
    setFlags(attributes, attributes.get(service.flags) ?? new Uint8Array(8), 0);
    this.#services.set(name, {
      attributes,
      counters: newCounters(),
      destinations: new Map(),
      bound: undefined,
    });
    return done;
  }

  #editService(found: FakeService, attributes: Attributes): Answer {
    const refusal = this.#refusal(attributes);
    if (refusal !== 0) return refusal;
    const flags = attributes.get(service.flags) ?? new Uint8Array(8);
    setFlags(found.attributes, flags, numberIn(found.attributes, service.flags));
    for (const type of [service.scheduler, service.timeout, service.netmask, service.engine]) {
      const value = attributes.get(type);
      if (value === undefined) found.attributes.delete(type);
      else found.attributes.set(type, value);
    }
    return done;
  }

  /** Why the kernel would not set a service up like this; 0 if it would. */
  #refusal(attributes: Attributes): number {
    if (!this.#schedulers.includes(textIn(attributes, service.scheduler))) return ENOENT;
    if (attributes.has(service.engine) && !this.#engines.includes(textIn(attributes, service.engine)))
      return ENOENT;
    const prefix = numberIn(attributes, service.netmask);
    const ipv6 = numberIn(attributes, service.family) === familyNumbers.IPv6;
    return ipv6 && (prefix < 1 || prefix > 128) ? EINVAL : 0;
  }

  #listDestinations(given: Given): Answer {
    const name = given.service === undefined ? EINVAL : nameOfService(given.service, false);
    if (typeof name === "number") return name;
    const found = this.#services.get(name);
    if (found === undefined) return [];
    // Newest first, as the kernel lists them.
    return [...found.destinations.values()].toReversed().map((one) => destinationAnswer(found, one));
  }

  #startDaemon(given: Attributes | undefined): Answer {
    const { state, interface: name, syncId } = daemonAttribute;
    if (given === undefined || ![state, name, syncId].every((type) => given.has(type))) return EINVAL;
    if (!this.#interfaces.includes(textIn(given, name))) return ENODEV;
    const role = numberIn(given, state);
    if (this.#daemons.has(role)) return EEXIST;
    const defaults: Attributes = new Map([
      [daemonAttribute.maximumLength, hostNumber(1472, 2)],
      [daemonAttribute.port, hostNumber(8848, 2)],
      [daemonAttribute.timeToLive, hostNumber(1, 1)],
      ...(given.has(daemonAttribute.group6) ? [] : [[daemonAttribute.group, defaultGroup] as const]),
    ]);
    this.#daemons.set(role, new Map([...defaults, ...given]));
    return done;
  }

  #stopDaemon(given: Attributes | undefined): Answer {
    if (given === undefined) return EINVAL;
    return this.#daemons.delete(numberIn(given, daemonAttribute.state)) ? done : ESRCH;
  }

  #setTimeouts(given: Attributes): Answer {
    const values = timeouts.map((type) => [type, numberIn(given, type)] as const);
    if (values.some(([, value]) => value > longestTimeout)) return EINVAL;
    for (const [type, value] of values) if (value !== 0) this.#timeouts.set(type, hostNumber(value, 4));
    return done;
  }
}

/** The parts of a request. */
interface Given {
  service?: Attributes;
  destination?: Attributes;
  daemon?: Attributes;
  readonly timeouts: Attributes;
}

const timeouts = [
  messageAttribute.timeoutTcp,
  messageAttribute.timeoutTcpFin,
  messageAttribute.timeoutUdp,
] as const;

const defaultGroup = Uint8Array.of(224, 0, 0, 81);

function daemonAnswer(attributes: Attributes): Uint8Array {
  return answerPayload(commands.newDaemon, (writer) =>
    writer.nested(messageAttribute.daemon, () =>
      copyAttributes(writer, attributes, Object.values(daemonAttribute)),
    ),
  );
}
