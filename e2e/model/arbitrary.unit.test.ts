/**
 * Random clusters reach every verdict, and the model obeys laws on them that no example can show.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAddress } from "./address.ts";
import { clusters, edits, packetChoices, packetIn } from "./arbitrary.ts";
import type { Cluster, Packet, Verdict } from "./cluster.ts";
import { applyEdit, keyOf, keyText } from "./edits.ts";
import { endpointsOf } from "./endpoints.ts";
import type { ServiceObject } from "./objects.ts";
import {
  ADDRESSES,
  HEALTH_CHECK_PORTS,
  NODE_NAME,
  NODE_PORTS,
  SERVICE_PORTS,
  TARGET_PORTS,
} from "./pools.ts";
import { cluster, elsewhere, fate, onNode, service, slice } from "./testing.ts";
import { oracle } from "./verdict.ts";
import { readWorld } from "./world.ts";

const choices = fc.array(packetChoices(), { minLength: 10, maxLength: 10 });

/** Runs `check` on the packets of random choices in random clusters. */
function forAllPackets(check: (world: Cluster, packets: readonly Packet[]) => void): void {
  fc.assert(
    fc.property(clusters(), choices, (world, chosen) => {
      check(
        world,
        chosen.map((choice) => packetIn(world, choice)),
      );
    }),
  );
}

/** The verdict, with what tells apart the ways to masquerade. */
function kindOf(verdict: Verdict): string {
  if (verdict.kind !== "endpoints") return verdict.kind;
  return `endpoints ${[...new Set(verdict.masquerade.values())].toSorted().join(" and ")}`;
}

describe("clusters() and packetIn()", () => {
  test("reach every verdict in either family, and both from outside and from the node", () => {
    const sample = fc.sample(fc.tuple(clusters(), choices), { numRuns: 1500, seed: 1 });
    const reached = new Set<string>();
    for (const [world, chosen] of sample) {
      const judge = oracle(world);
      for (const choice of chosen) {
        const packet = packetIn(world, choice);
        const origin = packet.inputInterface === undefined ? "node" : "outside";
        const kind = kindOf(judge(packet));
        reached.add(`${world.config.ipFamily}: ${kind}`).add(`${origin}: ${kind}`);
      }
    }
    const kinds = [
      "accept",
      "drop",
      "endpoints false",
      "endpoints false and true",
      "endpoints true",
      "none",
      "reject",
    ];
    const all = ["IPv4", "IPv6", "node", "outside"].flatMap((where) =>
      kinds.map((kind) => `${where}: ${kind}`),
    );
    expect([...reached].toSorted()).toEqual(all);
  });

  test("let destinations be claimed twice, duplicates meet and hints decide", () => {
    const sample = fc.sample(clusters(), { numRuns: 500, seed: 1 });
    const owned = (world: Cluster) => readWorld(world).frontends.length;
    const alone = (world: Cluster) =>
      world.services.reduce((sum, one) => sum + owned({ ...world, services: [one] }), 0);
    expect(sample.some((world) => alone(world) > owned(world))).toBe(true);

    const endpoints = (world: Cluster) =>
      readWorld(world).servicePorts.flatMap((servicePort) =>
        endpointsOf(servicePort, world.endpointSlices, world.config.ipFamily, NODE_NAME),
      ).length;
    const bySlice = (world: Cluster) =>
      world.endpointSlices.reduce((sum, one) => sum + endpoints({ ...world, endpointSlices: [one] }), 0);
    expect(sample.some((world) => bySlice(world) > endpoints(world))).toBe(true);

    const reach = (world: Cluster) =>
      readWorld(world).frontends.map(({ selection }) => selection.cluster.map(({ text }) => text));
    const withoutHints = (world: Cluster): Cluster => ({
      ...world,
      endpointSlices: world.endpointSlices.map((one) => ({
        ...one,
        endpoints: one.endpoints?.map((endpoint) => ({ ...endpoint, hints: null })) ?? null,
      })),
    });
    expect(sample.some((world) => String(reach(withoutHints(world))) !== String(reach(world)))).toBe(true);
  });

  test("use node ports as service ports only when asked to", () => {
    const overlaps = (world: Cluster) =>
      readWorld(world).servicePorts.some(({ port }) => NODE_PORTS.includes(port));
    const options = { numRuns: 50, seed: 1 };
    expect(fc.sample(clusters({ overlappingPorts: true }), options).some(overlaps)).toBe(true);
    expect(fc.sample(clusters(), options).some(overlaps)).toBe(false);
  });

  test("make no packet for loopback outside the node", () => {
    forAllPackets((_, packets) => {
      for (const { destIP, inputInterface } of packets) {
        if (destIP === "127.0.0.1" || destIP === "::1") expect(inputInterface).toBeUndefined();
      }
    });
  });

  test("draw on canonical addresses, and on target ports that are nothing else", () => {
    const texts = Object.values(ADDRESSES).flatMap(({ clusterCIDR, podCIDR, sourceRanges, ...pool }) =>
      Object.values(pool).flat(),
    );
    expect(texts.map((text) => parseAddress(text)?.text)).toEqual(texts);
    const others = new Set([...SERVICE_PORTS, ...NODE_PORTS, ...HEALTH_CHECK_PORTS]);
    expect(TARGET_PORTS.filter((port) => others.has(port))).toEqual([]);
  });
});

describe("verdict() on random clusters", () => {
  test("does not depend on the order of objects", () => {
    forAllPackets((world, packets) => {
      const reversed = {
        ...world,
        services: world.services.toReversed(),
        endpointSlices: world.endpointSlices.toReversed(),
      };
      expect(packets.map(oracle(reversed))).toEqual(packets.map(oracle(world)));
    });
  });

  test("names endpoints once, in order, and tells for each whether to masquerade", () => {
    forAllPackets((world, packets) => {
      for (const verdict of packets.map(oracle(world))) {
        if (verdict.kind !== "endpoints") continue;
        expect(verdict.endpoints.length).toBeGreaterThan(0);
        expect([...new Set(verdict.endpoints)].toSorted()).toEqual(verdict.endpoints);
        expect([...verdict.masquerade.keys()]).toEqual(verdict.endpoints);
      }
    });
  });

  test("is not changed by Services that are not ours", () => {
    const labels = { "service.kubernetes.io/service-proxy-name": "" };
    const disowned = (one: ServiceObject): ServiceObject => ({
      ...one,
      metadata: { ...keyOf(one), namespace: "ns0", labels },
    });
    forAllPackets((world, packets) => {
      const more = { ...world, services: [...world.services, ...world.services.map(disowned)] };
      expect(packets.map(oracle(more))).toEqual(packets.map(oracle(world)));
    });
  });

  test("is not changed by session affinity", () => {
    forAllPackets((world, packets) => {
      const sticky = world.services.map((one) => ({
        ...one,
        spec: one.spec ? { ...one.spec, sessionAffinity: "ClientIP", sessionAffinityConfig: null } : null,
      }));
      expect(packets.map(oracle({ ...world, services: sticky }))).toEqual(packets.map(oracle(world)));
    });
  });

  test("masquerades everything at external destinations alike, with masqueradeAll and without", () => {
    forAllPackets((world, packets) => {
      const clusterIPs = readWorld(world).servicePorts.map(({ clusterIP }) => clusterIP.text);
      const external = packets.filter(({ destIP }) => !clusterIPs.includes(destIP));
      const other = { ...world, config: { ...world.config, masqueradeAll: !world.config.masqueradeAll } };
      expect(external.map(oracle(other))).toEqual(external.map(oracle(world)));
    });
  });
});

describe("applyEdit()", () => {
  test("58 re-evaluates every Service when the node's zone changes", () => {
    const hinted = (zone: string) => ({ hints: { forZones: [{ name: zone }] } });
    const world = cluster({ slices: [slice([onNode(hinted("zone-a")), elsewhere(hinted("zone-b"))])] });
    const inZone = (zone: string) =>
      fate(applyEdit(world, { kind: "setZone", zone }), "pod", "172.30.0.41:80");
    expect(inZone("zone-a")).toBe("10.0.1.1:8080");
    expect(inZone("zone-b")).toBe("10.0.2.1:8080");
    expect(inZone("")).toBe("10.0.1.1:8080 | 10.0.2.1:8080");
  });

  test("replaces the object with the same key, or adds it", () => {
    const world = cluster({});
    const replaced = applyEdit(world, { kind: "upsertService", service: service({ type: "ExternalName" }) });
    expect(replaced.services).toEqual([service({ type: "ExternalName" })]);
    const added = applyEdit(world, { kind: "upsertService", service: service({}, { namespace: "ns2" }) });
    expect(added.services).toEqual([service(), service({}, { namespace: "ns2" })]);
    const emptied = applyEdit(world, { kind: "upsertSlice", slice: slice([]) });
    expect(emptied.endpointSlices).toEqual([slice([])]);
  });

  test("removes the object with the key, and nothing without one", () => {
    const world = cluster({});
    const key = { namespace: "ns1", name: "svc" };
    expect(applyEdit(world, { kind: "deleteService", key }).services).toEqual([]);
    expect(applyEdit(world, { kind: "deleteSlice", key })).toEqual(world);
    expect(applyEdit(world, { kind: "deleteSlice", key: { ...key, name: "svc-1" } }).endpointSlices).toEqual(
      [],
    );
  });

  test("keeps keys unique and often changes what packets meet", () => {
    let changes = 0;
    fc.assert(
      fc.property(clusters(), edits(), choices, (before, events, chosen) => {
        const after = events.reduce(applyEdit, before);
        for (const objects of [after.services, after.endpointSlices]) {
          const keys = objects.map((object) => keyText(keyOf(object)));
          expect(new Set(keys).size).toBe(keys.length);
        }
        const packets = chosen.map((choice) => packetIn(after, choice));
        const kinds = (world: Cluster) => packets.map(oracle(world)).map(kindOf).join();
        if (kinds(after) !== kinds(before)) changes += 1;
      }),
      { seed: 1 },
    );
    expect(changes).toBeGreaterThan(10);
  });
});
