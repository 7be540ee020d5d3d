/**
 * Load balancing: what a Service says about how its connections are to be shared out.
 *
 * Annotations of our own, and those that users of other proxies have already. Only IPVS has schedulers and weights;
 * the other modes carry the choice along and do nothing with it.
 *
 * | annotation | value |
 * | --- | --- |
 * | `sluice.io/ipvs-scheduler`, else `kube-router.io/service.scheduler` | a name of {@link schedulers} |
 * | else `service.cilium.io/lb-algorithm` | `random` (rr) or `maglev` (mh) |
 * | `sluice.io/ipvs-scheduler-flags`, else `kube-router.io/service.schedflags` | `port`, `fallback`, `none`, comma separated |
 * | `sluice.io/weights` | `zone=a:2,node=n1:0`: weights of endpoints by zone and by node; 1 for all others |
 *
 * Pure.
 *
 * @module
 */
import type { Endpoint } from "./endpoint.ts";
import type { ServiceObject } from "./objects.ts";

/** The schedulers of Linux, by the names of their modules (net/netfilter/ipvs/Kconfig). */
export const schedulers = [
  "rr",
  "wrr",
  "lc",
  "wlc",
  "lblc",
  "lblcr",
  "dh",
  "sh",
  "mh",
  "sed",
  "nq",
  "fo",
  "ovf",
  "twos",
] as const;

/** One of {@link schedulers}. */
export type Scheduler = (typeof schedulers)[number];

/** What a Service asks for; everything else is the cluster's default. */
export interface SchedulerChoice {
  readonly name?: Scheduler;
  /** Whether the schedulers that hash the client, sh and mh, hash its port as well as its address. */
  readonly hashPort?: boolean;
}

/** Weight of the endpoints of a zone, or of a node. 0 takes no new connections. */
export interface WeightRule {
  readonly scope: "zone" | "node";
  readonly name: string;
  readonly weight: number;
}

/** What the annotations of a Service come to. */
export interface LoadBalancing {
  readonly scheduler?: SchedulerChoice;
  readonly weights?: readonly WeightRule[];
}

/** The greatest weight, that of kube-proxy's and ipvsadm's documentation. */
const largestWeight = 65_535;

const keys = {
  scheduler: "sluice.io/ipvs-scheduler",
  flags: "sluice.io/ipvs-scheduler-flags",
  weights: "sluice.io/weights",
  kubeRouterScheduler: "kube-router.io/service.scheduler",
  kubeRouterFlags: "kube-router.io/service.schedflags",
  ciliumAlgorithm: "service.cilium.io/lb-algorithm",
} as const;

/** What Cilium calls the algorithms that IPVS has too. */
const ciliumAlgorithms: Readonly<Record<string, Scheduler>> = { random: "rr", maglev: "mh" };

/** Words for the flags, each by whether it asks for the port. `fallback` is always in force where it has a meaning. */
const flagWords: Readonly<Record<string, boolean>> = {
  none: false,
  fallback: false,
  port: true,
  "sh-fallback": false,
  "sh-port": true,
  "mh-fallback": false,
  "mh-port": true,
  "flag-1": false,
  "flag-2": true,
  "flag-3": false,
};

/** Told of a value that cannot be used: the annotation's field path, and what happens instead. */
export type ReportAnnotation = (field: string, message: string) => void;

/** Reads the annotations of a Service. */
export function loadBalancing(
  service: Pick<ServiceObject, "annotations">,
  report: ReportAnnotation,
): LoadBalancing {
  const name = schedulerName(service.annotations, report);
  const hashPort = hashPortOf(service.annotations, report);
  const weights = weightRules(service.annotations, report);
  const choice: SchedulerChoice = {
    ...(name === undefined ? {} : { name }),
    ...(hashPort === undefined ? {} : { hashPort }),
  };
  return {
    ...(Object.keys(choice).length === 0 ? {} : { scheduler: choice }),
    ...(weights.length === 0 ? {} : { weights }),
  };
}

/** Whether the text names a scheduler. */
export function isScheduler(text: string): text is Scheduler {
  return (schedulers as readonly string[]).includes(text);
}

/**
 * Weights of endpoints, by target; only those other than 1. Undefined when there is none.
 *
 * A node's weight counts before a zone's; of two rules for the same node or zone the first one.
 */
export function endpointWeights(
  rules: readonly WeightRule[],
  endpoints: readonly Pick<Endpoint, "target" | "zone" | "nodeName">[],
): Readonly<Record<string, number>> | undefined {
  if (rules.length === 0) {
    return undefined;
  }
  const weights: Record<string, number> = {};
  for (const endpoint of endpoints) {
    const rule =
      rules.find(({ scope, name }) => scope === "node" && name === endpoint.nodeName) ??
      rules.find(({ scope, name }) => scope === "zone" && name === endpoint.zone);
    if (rule !== undefined && rule.weight !== 1) {
      weights[endpoint.target] = rule.weight;
    }
  }
  return Object.keys(weights).length === 0 ? undefined : weights;
}

type Annotations = ServiceObject["annotations"];

function schedulerName(annotations: Annotations, report: ReportAnnotation): Scheduler | undefined {
  for (const key of [keys.scheduler, keys.kubeRouterScheduler]) {
    const text = annotations[key];
    if (text !== undefined) {
      return isScheduler(text) ? text : unusable(report, key, text, "a scheduler of IPVS");
    }
  }
  const algorithm = annotations[keys.ciliumAlgorithm];
  if (algorithm === undefined) {
    return undefined;
  }
  const known = Object.hasOwn(ciliumAlgorithms, algorithm) ? ciliumAlgorithms[algorithm] : undefined;
  return known ?? unusable(report, keys.ciliumAlgorithm, algorithm, "random or maglev");
}

function hashPortOf(annotations: Annotations, report: ReportAnnotation): boolean | undefined {
  const key = annotations[keys.flags] === undefined ? keys.kubeRouterFlags : keys.flags;
  const text = annotations[key];
  if (text === undefined) {
    return undefined;
  }
  const words = text.split(",").map((word) => word.trim());
  const unknown = words.find((word) => !Object.hasOwn(flagWords, word));
  return unknown === undefined
    ? words.some((word) => flagWords[word])
    : unusable(report, key, unknown, "a flag (port, fallback, none)");
}

function unusable(report: ReportAnnotation, key: string, text: string, wanted: string): undefined {
  report(fieldOf(key), `${quote(text)} is not ${wanted}: the default is used`);
  return undefined;
}

function weightRules(annotations: Annotations, report: ReportAnnotation): readonly WeightRule[] {
  const rules: WeightRule[] = [];
  for (const text of (annotations[keys.weights] ?? "").split(",")) {
    const entry = text.trim();
    const rule = weightRule(entry);
    if (rule !== undefined) {
      rules.push(rule);
    } else if (entry !== "") {
      const wanted = `zone=NAME:N or node=NAME:N with N from 0 to ${largestWeight}`;
      report(fieldOf(keys.weights), `${quote(entry)} is not ${wanted}: the entry is skipped`);
    }
  }
  return rules;
}

function weightRule(entry: string): WeightRule | undefined {
  const [, scope, name, digits] =
    /^(zone|node)=([A-Za-z0-9][A-Za-z0-9._-]{0,252}):([0-9]{1,5})$/.exec(entry) ?? [];
  const weight = Number.parseInt(digits ?? "", 10);
  if ((scope !== "zone" && scope !== "node") || name === undefined || weight > largestWeight) {
    return undefined;
  }
  return { scope, name, weight };
}

function fieldOf(key: string): string {
  return `metadata.annotations[${key}]`;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}
