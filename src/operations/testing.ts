/**
 * Helpers of this folder's tests: clocks that are turned by hand, Plans, a reader of the Prometheus text format, and
 * HTTP down to the bytes. Imported by tests only.
 *
 * @module
 */
import { connect } from "node:net";
import type { ObjectKey } from "../proxier/objects.ts";
import type { Plan, PlanChange, ServicePlan, ServicePortPlan } from "../proxier/plan.ts";
import type { SyncOutcome } from "../proxier/proxier.ts";
import type { Clock } from "./clock.ts";

/** Saturday, 2026-11-21T10:00:00.1Z. */
export const someWallMs: number = Date.UTC(2026, 10, 21, 10, 0, 0, 100);

/** Clocks that go on together, from {@link someWallMs}. */
export class HandClock implements Clock {
  #elapsedMs = 0;
  #wallStepMs = 0;

  now(): number {
    return 5000 + this.#elapsedMs;
  }

  wallMs(): number {
    return someWallMs + this.#elapsedMs + this.#wallStepMs;
  }

  advance(ms: number): void {
    this.#elapsedMs += ms;
  }

  /** A time server corrects the date. */
  stepWall(ms: number): void {
    this.#wallStepMs += ms;
  }
}

/** Timers that fire when told. */
export class HandTimers {
  readonly #pending = new Map<object, { readonly delayMs: number; readonly callback: () => void }>();

  after(delayMs: number, callback: () => void): () => void {
    const key = {};
    this.#pending.set(key, { delayMs, callback });
    return () => void this.#pending.delete(key);
  }

  /** Delays of the timers that run. */
  get delays(): number[] {
    return [...this.#pending.values()].map((one) => one.delayMs);
  }

  /** Fires all that run. */
  fire(): void {
    const due = [...this.#pending.values()];
    this.#pending.clear();
    for (const { callback } of due) {
      callback();
    }
  }
}

/** A Service port that forwards to one local endpoint, unless said otherwise. */
export function portPlan(part: Partial<ServicePortPlan> = {}): ServicePortPlan {
  return {
    displayName: "ns/web:http",
    protocol: "TCP",
    frontends: [],
    internal: [{ from: "any", verdict: { kind: "forward", pool: "cluster", masquerade: "never" } }],
    external: [],
    cluster: [],
    local: [],
    affinity: undefined,
    serving: [],
    ...part,
  };
}

/** A Service with one such port. */
export function servicePlan(key: ObjectKey, part: Partial<ServicePlan> = {}): ServicePlan {
  return { key, ports: [portPlan()], health: undefined, ...part };
}

/** An IPv4 Plan of these Services. */
export function planOf(services: readonly ServicePlan[]): Plan {
  return {
    node: {
      family: "IPv4",
      detector: undefined,
      masqueradeMark: 0x4000,
      nodePorts: { kind: "all", loopback: false },
      localhostNodePorts: false,
    },
    services: new Map(services.map((one) => [one.key, one])),
  };
}

/** A change that names these Services. */
export function changeOf(...services: readonly ObjectKey[]): PlanChange {
  return { services: new Set(services), before: new Map(), node: false };
}

/** A successful IPv4 sync that wrote nothing, unless said otherwise. */
export function outcomeOf(part: Partial<SyncOutcome> = {}): SyncOutcome {
  return {
    family: "IPv4",
    scope: "changes",
    plan: planOf([]),
    change: changeOf(),
    report: {
      family: "IPv4",
      full: false,
      written: 0,
      removed: 0,
      bytes: 0,
      repaired: 0,
      quarantined: [],
      tables: {},
    },
    planMs: 1,
    totalMs: 4,
    triggerTimes: [],
    ...part,
  };
}

/** A metric as read back from the text format. */
export interface ReadMetric {
  readonly type: string;
  readonly help: string;
  /** Value by sample name and labels, e.g. `name_bucket{ip_family="IPv4",le="1"}`, labels sorted and unescaped. */
  readonly samples: ReadonlyMap<string, number>;
}

const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s;
/** Letters in any case, as Prometheus reads them: the library writes `Nan`. */
const numberText = /^(?:-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|[+-]Inf|NaN)$/i;
const labelPair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/gy;

/**
 * Reads the text format 0.0.4 strictly, independently of the library that writes it.
 *
 * @throws SyntaxError at the first line that breaks the format, or that belongs to no or to another metric
 */
export function readExposition(text: string): Map<string, ReadMetric> {
  const metrics = new Map<string, { type: string; help: string; samples: Map<string, number> }>();
  if (!text.endsWith("\n")) {
    throw new SyntaxError("The text does not end with a newline");
  }
  let current = "";
  for (const line of text.split("\n").filter((one) => one !== "")) {
    const [, keyword, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === "HELP") {
      if (metrics.has(name)) {
        throw new SyntaxError(`Metric ${name} comes twice`);
      }
      current = name;
      metrics.set(name, { type: "", help: rest, samples: new Map() });
      continue;
    }
    const metric = metrics.get(current);
    if (keyword === "TYPE" && metric !== undefined && name === current) {
      metric.type = rest;
      continue;
    }
    const [, sample = "", labels = "", value = ""] = sampleLine.exec(line) ?? [];
    const suffixes = metric?.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    if (metric === undefined || !suffixes.some((suffix) => sample === current + suffix)) {
      throw new SyntaxError(`Line ${JSON.stringify(line)} does not belong to metric ${current}`);
    }
    const key = `${sample}${readLabels(labels)}`;
    if (metric.samples.has(key) || !numberText.test(value)) {
      throw new SyntaxError(`Line ${JSON.stringify(line)} repeats a series or has no number`);
    }
    metric.samples.set(key, value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value));
  }
  return metrics;
}

function readLabels(text: string): string {
  if (text === "") {
    return "";
  }
  const pairs: string[] = [];
  labelPair.lastIndex = 0;
  while (labelPair.lastIndex < text.length) {
    const match = labelPair.exec(text);
    if (match === null) {
      throw new SyntaxError(`Labels ${JSON.stringify(text)} are not well-formed`);
    }
    const value = (match[2] ?? "").replace(/\\(.)/g, (_, escaped) => (escaped === "n" ? "\n" : escaped));
    pairs.push(`${match[1]}=${JSON.stringify(value)}`);
  }
  return `{${pairs.sort().join(",")}}`;
}

/** Sends one HTTP/1.1 request over a connection of its own and returns the bytes of the answer as text. */
export function rawRequest(
  port: number,
  target: string,
  options: { method?: string; host?: string } = {},
): Promise<string> {
  const { method = "GET", host = "127.0.0.1" } = options;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, host, () => {
      socket.write(`${method} ${target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n`);
    });
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("close", () => resolve(Buffer.concat(chunks).toString("latin1")));
  });
}
