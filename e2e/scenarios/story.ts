/**
 * Stories: folders of steps, read and checked. README.md describes their files.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What becomes of a packet. */
export type Fate =
  | {
      readonly kind: "endpoints";
      /** `ip:port` or `[ip]:port`, and whether the packet arrives with an address of the node as its source. */
      readonly endpoints: ReadonlyMap<string, boolean>;
      /** Whether the sender comes back to the endpoint that it was given first. */
      readonly sticky: boolean;
    }
  | { readonly kind: "rejected" | "refused" | "dropped" | "none" };

/** A line of a packets file. */
export interface ExpectedPacket {
  /** Where it stands, for messages. */
  readonly line: string;
  /** A name of places.ts. */
  readonly from: string;
  readonly ip: string;
  readonly port: number;
  readonly protocol: "TCP" | "UDP";
  readonly fate: Fate;
}

/** The state of a cluster and what it means. */
export interface Step {
  /** `01-two-pods` */
  readonly name: string;
  /** YAML of everything that there is. */
  readonly manifest: string;
  readonly packets: readonly ExpectedPacket[];
}

/** Steps in order. */
export interface Story {
  readonly name: string;
  readonly steps: readonly Step[];
}

const here = fileURLToPath(new URL(".", import.meta.url));

/** All stories of this folder, in the order of their names. */
export function readStories(): readonly Story[] {
  return readdirSync(here, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => readStory(join(here, name)))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Reads a story.
 *
 * @throws RangeError for a file that no check would read, a step without one of its files, and a line without sense
 */
export function readStory(folder: string): Story {
  const files = readdirSync(folder).sort();
  const steps = files.filter((file) => /^\d\d-[a-z0-9-]+\.yaml$/.test(file)).map((file) => file.slice(0, -5));
  const expected = steps.flatMap((step) => [`${step}.yaml`, `${step}.packets.txt`]);
  const stray = files.filter((file) => !expected.includes(file));
  const missing = expected.filter((file) => !files.includes(file));
  if (steps.length === 0 || stray.length > 0 || missing.length > 0) {
    throw new RangeError(
      `Cannot read story ${folder}: ${steps.length} steps, unread files [${stray}], missing files [${missing}]`,
    );
  }
  return {
    name: basename(folder),
    steps: steps.map((name) => ({
      name,
      manifest: readFileSync(join(folder, `${name}.yaml`), "utf8"),
      packets: readPackets(
        `${basename(folder)}/${name}`,
        readFileSync(join(folder, `${name}.packets.txt`), "utf8"),
      ),
    })),
  };
}

function readPackets(where: string, text: string): readonly ExpectedPacket[] {
  const lines = text.split("\n").map((line, index) => ({ line: line.trim(), number: index + 1 }));
  const packets = lines
    .filter(({ line }) => line !== "" && !line.startsWith("#"))
    .map(({ line, number }) => readPacket(`${where}:${number}: ${line}`, line));
  if (packets.length === 0) {
    throw new RangeError(`Cannot read ${where}: it names no packet`);
  }
  return packets;
}

function readPacket(where: string, line: string): ExpectedPacket {
  const match = /^(?<from>\S+)\s+(?<to>\S+):(?<port>\d+)\/(?<protocol>TCP|UDP)\s+(?<fate>\S.*)$/.exec(line);
  const { from = "", to = "", port = "", protocol, fate = "" } = match?.groups ?? {};
  if (protocol !== "TCP" && protocol !== "UDP") {
    throw new RangeError(`Cannot read packet: ${where}`);
  }
  const ip = to.replace(/^\[|\]$/g, "");
  return { line: where, from, ip, port: Number(port), protocol, fate: readFate(where, fate) };
}

function readFate(where: string, text: string): Fate {
  if (text === "rejected" || text === "refused" || text === "dropped" || text === "none") {
    return { kind: text };
  }
  const [, sticky, list = ""] = /^(sticky )?(.*)$/.exec(text) ?? [];
  const endpoints = new Map<string, boolean>();
  for (const one of list.split("|")) {
    const match = /^\s*(\S+:\d+)( masq)?\s*$/.exec(one);
    if (match?.[1] === undefined) {
      throw new RangeError(`Cannot read packet: "${one}" is no endpoint: ${where}`);
    }
    endpoints.set(match[1], match[2] !== undefined);
  }
  return { kind: "endpoints", endpoints, sticky: sticky !== undefined };
}
