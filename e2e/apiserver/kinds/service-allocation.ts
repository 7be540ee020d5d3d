/**
 * Cluster addresses and node ports: what a new Service is given, and what is taken.
 *
 * Dynamic allocation goes upwards from the first address behind the part of the range that Kubernetes keeps for
 * addresses chosen by hand ("Service ClusterIP allocation", "Avoiding Collisions Assigning Ports to NodePort
 * Services"). It is sequential, not random, so that a test or a demo gets the same addresses in every run.
 *
 * Claims change only through {@link ServiceAllocator.claim} and {@link ServiceAllocator.release}: a dry run or a
 * write that fails later leaves no trace.
 *
 * @module
 */
import type { FieldError } from "../field-errors.ts";
import { invalidField } from "../field-errors.ts";
import type { Json, JsonObject } from "../json.ts";
import { numberAt, objectsAt, stringAt, stringsAt } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import type { AddressRange, IpFamily } from "./addresses.ts";
import { addressFamily, canonicalAddress, formatAddress } from "./addresses.ts";
import {
  allocatesNodePorts,
  clusterAddresses,
  headless,
  isHeadless,
  needsClusterIp,
  needsHealthCheckNodePort,
  serviceSpec,
  withSpec,
} from "./service-model.ts";

/** The node ports of a cluster, both ends included. */
export const nodePortRange = { first: 30_000, last: 32_767 } as const;

/** Node ports below this one are left for explicit choice, as in the real allocator. */
const firstDynamicNodePort = 30_086;

/** The allocated Service, or why it cannot be given what it asks for. */
export interface Allocation {
  readonly service: KubeObject;
  readonly errors: readonly FieldError[];
}

/** Remembers which Service (by key) holds which address and node port. */
export class ServiceAllocator {
  readonly #ranges: readonly AddressRange[];
  readonly #addresses = new Map<string, string>();
  readonly #nodePorts = new Map<string, string>();
  readonly #nextOffset = new Map<IpFamily, bigint>();
  #nextNodePort: number = firstDynamicNodePort;

  /** @param ranges the cluster's Service ranges, the first of them for single-stack Services */
  constructor(ranges: readonly AddressRange[]) {
    this.#ranges = ranges;
    for (const range of ranges) this.#nextOffset.set(range.family, firstDynamicOffset(range.size));
  }

  /** Completes a defaulted Service; `key` is its own, so that it may keep what it holds. */
  allocate(service: KubeObject, key: string): Allocation {
    const spec = serviceSpec(service);
    if (!needsClusterIp(spec)) return { service, errors: [] };
    const errors: FieldError[] = [];
    const families = this.#families(spec, errors);
    const addressed = isHeadless(spec)
      ? { ...spec, clusterIPs: [headless] }
      : this.#withAddresses(spec, families, key, errors);
    const ported = this.#withNodePorts(addressed, key, errors);
    const completed: JsonObject = {
      ...ported,
      ipFamilies: families,
      ipFamilyPolicy:
        stringAt(spec, "ipFamilyPolicy") || (families.length > 1 ? "RequireDualStack" : "SingleStack"),
    };
    return { service: withSpec(service, completed), errors };
  }

  /** Books everything that a stored Service holds. */
  claim(service: KubeObject, key: string): void {
    const spec = serviceSpec(service);
    for (const address of clusterAddresses(spec)) this.#addresses.set(canonicalAddress(address), key);
    for (const port of heldNodePorts(spec)) this.#nodePorts.set(port, key);
  }

  /** Gives back what {@link claim} booked for the same Service. */
  release(service: KubeObject): void {
    const spec = serviceSpec(service);
    for (const address of clusterAddresses(spec)) this.#addresses.delete(canonicalAddress(address));
    for (const port of heldNodePorts(spec)) this.#nodePorts.delete(port);
  }

  /** Forgets all claims. */
  clear(): void {
    this.#addresses.clear();
    this.#nodePorts.clear();
  }

  #families(spec: JsonObject, errors: FieldError[]): readonly IpFamily[] {
    const policy = stringAt(spec, "ipFamilyPolicy");
    const named = stringsAt(spec, "ipFamilies") as readonly IpFamily[];
    const addressed = clusterAddresses(spec).flatMap((address) => addressFamily(address) ?? []);
    const primary = this.#ranges[0]?.family ?? "IPv4";
    const families = [named, addressed].find((list) => list.length > 0) ?? [primary];
    if (families.length > 1 || policy === "" || policy === "SingleStack") return families;
    const second = this.#ranges.find((range) => range.family !== families[0]);
    if (second !== undefined) return [...families, second.family];
    if (policy === "RequireDualStack") {
      errors.push(
        invalidField("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services"),
      );
    }
    return families;
  }

  #withAddresses(
    spec: JsonObject,
    families: readonly IpFamily[],
    key: string,
    errors: FieldError[],
  ): JsonObject {
    const given = clusterAddresses(spec);
    const addresses = families.flatMap((family, index) => {
      const address = given[index] ?? this.#freeAddress(family);
      const problem = this.#addressProblem(address, family, key);
      if (problem === undefined) return address ?? [];
      errors.push(
        invalidField("spec.clusterIPs", [...given], `failed to allocate IP ${address}: ${problem}`),
      );
      return [];
    });
    return { ...spec, clusterIP: addresses[0], clusterIPs: addresses };
  }

  #addressProblem(address: string | undefined, family: IpFamily, key: string): string | undefined {
    if (address === undefined) return `the range of family ${family} is full or not configured`;
    const holder = this.#addresses.get(canonicalAddress(address));
    return holder === undefined || holder === key ? undefined : "provided IP is already allocated";
  }

  #freeAddress(family: IpFamily): string | undefined {
    const range = this.#ranges.find((one) => one.family === family);
    if (range === undefined) return undefined;
    const start = this.#nextOffset.get(family) ?? 1n;
    for (let step = 0n; step < range.size; step++) {
      const offset = (start + step) % range.size;
      const address = formatAddress(family, range.first + offset);
      if (!isUsableOffset(range, offset) || this.#addresses.has(address)) continue;
      this.#nextOffset.set(family, offset + 1n);
      return address;
    }
    return undefined;
  }

  #withNodePorts(spec: JsonObject, key: string, errors: FieldError[]): JsonObject {
    const allocates = allocatesNodePorts(spec);
    const byNumber = new Map<number, number>();
    const ports = objectsAt(spec, "ports").map((port, index) => {
      const number = numberAt(port, "port") ?? 0;
      const given = numberAt(port, "nodePort") || (allocates ? byNumber.get(number) : undefined);
      const nodePort = given ?? (allocates ? this.#freeNodePort(new Set(byNumber.values())) : undefined);
      if (nodePort === undefined) return port;
      byNumber.set(number, nodePort);
      const claim = `${stringAt(port, "protocol")}/${nodePort}`;
      if (this.#isHeldByOther(claim, key)) {
        errors.push(
          invalidField(`spec.ports[${index}].nodePort`, nodePort, "provided port is already allocated"),
        );
      }
      return { ...port, nodePort };
    });
    return {
      ...spec,
      ports: spec["ports"] === undefined ? undefined : ports,
      ...this.#healthCheck(spec, ports),
    };
  }

  #healthCheck(spec: JsonObject, ports: readonly JsonObject[]): JsonObject {
    if (!needsHealthCheckNodePort(spec)) return {};
    const taken = new Set(ports.flatMap((port) => numberAt(port, "nodePort") ?? []));
    return { healthCheckNodePort: numberAt(spec, "healthCheckNodePort") || this.#freeNodePort(taken) };
  }

  #isHeldByOther(claim: string, key: string): boolean {
    const holder = this.#nodePorts.get(claim);
    return holder !== undefined && holder !== key;
  }

  /** A port free in every protocol: Services may later add another protocol on the same number. */
  #freeNodePort(taken: ReadonlySet<number>): number | undefined {
    const size = nodePortRange.last - nodePortRange.first + 1;
    for (let step = 0; step < size; step++) {
      const port = nodePortRange.first + ((this.#nextNodePort - nodePortRange.first + step) % size);
      const held = ["TCP", "UDP", "SCTP"].some((protocol) => this.#nodePorts.has(`${protocol}/${port}`));
      if (held || taken.has(port)) continue;
      this.#nextNodePort = port + 1;
      return port;
    }
    return undefined;
  }
}

/** The lower sixteenth of a range, but 16 to 256 addresses, is for addresses chosen by hand. */
function firstDynamicOffset(size: bigint): bigint {
  const sixteenth = size / 16n;
  const band = sixteenth < 16n ? 16n : sixteenth;
  return band > 256n ? 256n : band;
}

/** Neither the network's own address nor, for IPv4, the broadcast address. */
function isUsableOffset(range: AddressRange, offset: bigint): boolean {
  if (offset === 0n) return false;
  return range.family === "IPv6" || offset !== range.size - 1n;
}

function heldNodePorts(spec: JsonObject): readonly string[] {
  const claims = objectsAt(spec, "ports").flatMap((port) =>
    claimOf(stringAt(port, "protocol"), port["nodePort"]),
  );
  return [...claims, ...claimOf("TCP", spec["healthCheckNodePort"])];
}

function claimOf(protocol: string, port: Json | undefined): readonly string[] {
  return typeof port === "number" && port > 0 ? [`${protocol}/${port}`] : [];
}
