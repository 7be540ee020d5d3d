/**
 * Answers for whoever looks into a running program: its flags and state as text, and profiles.
 *
 * `/flagz` and `/statusz` are for people, as in every Kubernetes component. Profiles have the
 * paths of Go's and the formats of V8's.
 *
 * @module
 */
import { type HttpReply, jsonReply, textReply } from "./http-message.ts";
import type { Profiler } from "./profiler.ts";
import { formatTimestamp } from "./timestamp.ts";

const warning =
  "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for " +
  "debugging purposes only.";

/** What `/statusz` tells. */
export interface ProcessStatus {
  /** Wall time of the start and of now, in milliseconds. */
  readonly startedMs: number;
  readonly nowMs: number;
  /** The program's version and Node's. */
  readonly version: string;
  readonly nodeVersion: string;
}

/** `/flagz`: every flag with its value. */
export function flagsReply(flags: readonly (readonly [name: string, text: string])[]): HttpReply {
  const lines = flags.map(([name, text]) => `${name}=${text}`);
  return textReply(200, ["kube-proxy flagz", warning, "", ...lines, ""].join("\n"));
}

/** `/statusz`: since when it runs, what it is, where else to look. */
export function statusReply(status: ProcessStatus, paths: readonly string[]): HttpReply {
  const seconds = Math.floor((status.nowMs - status.startedMs) / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const lines = [
    `Started: ${formatTimestamp(status.startedMs)}`,
    `Up: ${hours} hr ${twoDigits(minutes)} min ${twoDigits(seconds % 60)} sec`,
    `Node.js version: ${status.nodeVersion}`,
    `Binary version: ${status.version}`,
    `Paths: ${paths.join(" ")}`,
  ];
  return textReply(200, ["kube-proxy statusz", warning, "", ...lines, ""].join("\n"));
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}

/** `/debug/pprof/`: which profiles there are. */
export function profileIndex(): HttpReply {
  const lines = [
    "profile?seconds=30  what the program computes (*.cpuprofile)",
    "heap                what is in its memory (*.heapsnapshot)",
    "Chrome's developer tools open both.",
  ];
  return textReply(200, `${lines.join("\n")}\n`);
}

const longestSeconds = 300;

/** Takes one profile at a time. */
export class Profiles {
  readonly #profiler: Profiler;
  readonly #sleep: (ms: number) => Promise<void>;
  #isBusy = false;

  constructor(profiler: Profiler, sleep: (ms: number) => Promise<void>) {
    this.#profiler = profiler;
    this.#sleep = sleep;
  }

  /** `/debug/pprof/profile`, for so many `seconds`, 30 unless said otherwise. */
  async cpu(query: URLSearchParams): Promise<HttpReply> {
    const seconds = Number(query.get("seconds") ?? 30);
    if (!(seconds > 0 && seconds <= longestSeconds)) {
      return textReply(400, `Cannot take a profile: seconds must be above 0 and at most ${longestSeconds}\n`);
    }
    if (this.#isBusy) {
      return textReply(503, "Cannot take a profile: another one is being taken\n");
    }
    this.#isBusy = true;
    try {
      return jsonReply(200, await this.#profiler.cpu(() => this.#sleep(seconds * 1000)), named("cpuprofile"));
    } finally {
      this.#isBusy = false;
    }
  }

  /** `/debug/pprof/heap`. */
  heap(): HttpReply {
    return { ...jsonReply(200, "", named("heapsnapshot")), body: this.#profiler.heap() };
  }
}

function named(kind: string): Readonly<Record<string, string>> {
  return { "Content-Disposition": `attachment; filename="kube-sluice.${kind}"` };
}
