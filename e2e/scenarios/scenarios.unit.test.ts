/**
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Outcome, Packet } from "../../src/iptables/builder/mod.ts";
import { FakeNode } from "./fake-node.ts";
import { addressesOf, clientGateway, nodeNames, placeOf } from "./places.ts";
import { type ExpectedPacket, readStories, readStory, type Step } from "./story.ts";

type Nodes = ReadonlyMap<string, FakeNode>;

async function bootNodes(): Promise<Nodes> {
  return new Map(
    await Promise.all(nodeNames.map(async (name) => [name, await FakeNode.boot(name)] as const)),
  );
}

async function play(nodes: Nodes, step: Step): Promise<void> {
  await Promise.all([...nodes.values()].map((node) => node.play(step.manifest)));
}

function packetOf({ from, ip, port, protocol }: ExpectedPacket): Packet {
  const place = placeOf(from);
  const source = ip.includes(":") ? place.ip6 : place.ip;
  const transport = { protocol: protocol.toLowerCase(), sourcePort: 50_000, destinationPort: port };
  return { source, destination: ip, ...transport };
}

/** The nodes whose rules a packet meets before somebody translates it, in order. */
function nodesOnTheWay({ from, ip }: ExpectedPacket): readonly string[] {
  const target = nodeNames.find((name) => addressesOf(name).includes(ip));
  const first = placeOf(from).node ?? target ?? clientGateway;
  return target === undefined || target === first ? [first] : [first, target];
}

/** What becomes of the packet, and the node that decided it. */
function fateOf(
  nodes: Nodes,
  packet: ExpectedPacket,
): { readonly node: FakeNode; readonly outcomes: readonly Outcome[] } {
  const way = nodesOnTheWay(packet);
  for (const [index, name] of way.entries()) {
    const node = nodes.get(name);
    const outcomes = node?.trace(packetOf(packet), packet.from === name ? "process" : "network") ?? [];
    const untouched = outcomes.every(({ verdict, dnat }) => verdict === "accept" && dnat === undefined);
    if (node !== undefined && (!untouched || index === way.length - 1)) {
      return { node, outcomes };
    }
  }
  throw new RangeError(`Cannot find a node for ${packet.line}`);
}

/** As in a packets file. */
function written(outcomes: readonly Outcome[], node: FakeNode, packet: ExpectedPacket): string {
  expect(
    outcomes.flatMap(({ skipped }) => skipped),
    packet.line,
  ).toEqual([]);
  const isForNode = addressesOf(node.name).includes(packet.ip);
  const words = outcomes.map(({ verdict, dnat, masquerade }) => {
    if (verdict === "accept") {
      return dnat === undefined ? (isForNode ? "refused" : "none") : `${dnat}${masquerade ? " masq" : ""}`;
    }
    return verdict === "reject" ? "rejected" : "dropped";
  });
  return [...new Set(words)].sort().join(" | ");
}

function expectFate(nodes: Nodes, packet: ExpectedPacket): void {
  const { node, outcomes } = fateOf(nodes, packet);
  const { fate } = packet;
  if (fate.kind !== "endpoints") {
    expect(written(outcomes, node, packet), packet.line).toBe(fate.kind);
    return;
  }
  const expected = [...fate.endpoints].map(([target, masquerade]) => `${target}${masquerade ? " masq" : ""}`);
  expect(written(outcomes, node, packet), packet.line).toBe(expected.sort().join(" | "));
  for (const outcome of outcomes) {
    node.keep(outcome);
    const again = fateOf(nodes, packet).outcomes.map(({ dnat }) => dnat);
    expect(again.length === 1 && again[0] === outcome.dnat, packet.line).toBe(
      fate.sticky || fate.endpoints.size === 1,
    );
    node.forget();
  }
}

describe.each(readStories())("story $name", ({ steps }) => {
  test("sends every packet where the story says", async () => {
    const nodes = await bootNodes();
    for (const step of steps) {
      await play(nodes, step);
      for (const packet of step.packets) {
        expectFate(nodes, packet);
      }
    }
  });

  test("ends in the same rules by every road", async () => {
    const straight = await Promise.all(
      steps.map(async (step) => {
        const nodes = await bootNodes();
        await play(nodes, step);
        return [...nodes.values()].map((node) => node.save());
      }),
    );
    const winding = await bootNodes();
    // Every step comes after every other one, and after itself.
    const road = steps.flatMap((_, from) => steps.flatMap((_, to) => [from, to, to]));
    for (const index of road) {
      const step = steps[index];
      if (step !== undefined) {
        await play(winding, step);
        expect(
          [...winding.values()].map((node) => node.save()),
          step.name,
        ).toEqual(straight[index]);
      }
    }
  });
});

describe("readStory()", () => {
  function folderWith(files: Readonly<Record<string, string>>): string {
    const folder = mkdtempSync(join(tmpdir(), "story-"));
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(folder, name), text);
    }
    return folder;
  }

  const packets = "client 10.96.0.1:80/TCP none\n";

  test.each([
    [
      "a file that no check reads",
      { "01-a.yaml": "", "01-a.packets.txt": packets, "01-a.want": "" },
      "unread files [01-a.want]",
    ],
    [
      "packets without a step",
      { "01-a.yaml": "", "01-a.packets.txt": packets, "02-b.packets.txt": packets },
      "02-b.packets.txt",
    ],
    ["a step without packets", { "01-a.yaml": "" }, "missing files [01-a.packets.txt]"],
    [
      "a file of packets that names none",
      { "01-a.yaml": "", "01-a.packets.txt": "# later\n" },
      "names no packet",
    ],
    [
      "a line that it cannot read",
      { "01-a.yaml": "", "01-a.packets.txt": "client 10.96.0.1:80 none\n" },
      "01-a:1",
    ],
    [
      "an endpoint that it cannot read",
      { "01-a.yaml": "", "01-a.packets.txt": "client 10.96.0.1:80/TCP 10.1.1.1 masq\n" },
      "is no endpoint",
    ],
    ["an empty folder", {}, "0 steps"],
  ] as const)("refuses %s", (_, files, message) => {
    const folder = folderWith(files);
    try {
      expect(() => readStory(folder)).toThrow(message);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
