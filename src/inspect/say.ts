/**
 * An explanation in plain sentences, in the order of the packet's way.
 *
 * Pure.
 *
 * @module
 */
import type { RememberedClient, Verdict } from "./ask-node.ts";
import { shareRule } from "./balance.ts";
import { formatDestination } from "./connection.ts";
import type { ForwardedPort } from "./explain-localhost.ts";
import type { MasqueradeReason } from "./explain-plan.ts";
import type {
  EndpointReason,
  ExplainedDestination,
  ExplainedEndpoint,
  ExplainedService,
  Explanation,
  MetRule,
  Sender,
} from "./explanation.ts";

/** Destinations that are named one by one in a sentence. */
const namedDestinations = 16;

/** The text, with a line break at its end. */
export function say(explanation: Explanation): string {
  const { service, drift, notes } = explanation;
  return [
    opening(explanation),
    ...(service === undefined ? noService(explanation) : serviceLines(service, explanation)),
    ...affinityLines(explanation),
    ...chanceLines(explanation),
    ...masqueradeLines(explanation),
    ...verdictLines(explanation),
    ...ruleLines(explanation),
    ...list("Drift", drift),
    ...list("Notes", notes),
    "",
  ].join("\n");
}

const senderWords: Readonly<Record<Sender, string>> = {
  pod: "a pod",
  node: "this node itself",
  outside: "neither a pod nor this node",
  unknown: "not of this node",
};

function opening({ connection, mode, readFrom }: Explanation): string {
  const { from, to, port, protocol, sender, via } = connection;
  const way = via === undefined || sender === "node" ? "" : `, in by ${via}`;
  const where =
    readFrom === "kernel"
      ? mode === "none"
        ? "The kernel leads no packets to a proxy's rules."
        : `Read from the kernel, which holds the rules of ${mode} mode.`
      : `Worked out from the objects, for ${mode} mode.`;
  return `Connection: ${from} (${senderWords[sender]}${way}) to ${formatDestination({ to, port, protocol })}. ${where}`;
}

function noService({ readFrom, verdict, mode }: Explanation): readonly string[] {
  if (verdict === "accept") {
    return ["Frontend: the health check of a Service."];
  }
  if (readFrom === "kernel" && verdict !== "none") {
    return [];
  }
  return mode === "none" ? [] : ["Frontend: none. No Service has this address, port and protocol here."];
}

function serviceLines(service: ExplainedService, { mode }: Explanation): readonly string[] {
  const { frontend, port, policy, endpoints, pool, problems } = service;
  const place =
    frontend.address === undefined
      ? `${frontend.port}/${frontend.protocol}`
      : `${frontend.address.includes(":") ? `[${frontend.address}]` : frontend.address}:${frontend.port}/${frontend.protocol}`;
  const range =
    pool === "local"
      ? "only endpoints of this node are looked at"
      : policy.value === "Local"
        ? "pods and this node itself may go to any endpoint all the same"
        : "endpoints of all nodes are looked at";
  return [
    `Frontend: ${frontend.kind} ${place} of ${port}.`,
    `Policy: ${policy.field} ${policy.value}; ${range}.`,
    sourcesLine(service),
    ...(endpoints.length === 0
      ? ["Endpoints: none."]
      : ["Endpoints:", ...endpoints.map((one) => `  ${endpointSentence(one, mode === "ipvs")}`)]),
    ...list("Problems of its objects", problems),
  ];
}

function sourcesLine({ allowedSources }: ExplainedService): string {
  if (allowedSources === undefined) {
    return "Sources: everybody may come.";
  }
  const { ranges, admitted } = allowedSources;
  return `Sources: only ${ranges.join(", ")} may come; the sender ${admitted ? "may" : "may not"}.`;
}

const reasonWords: Readonly<Record<EndpointReason, string>> = {
  "other-node": "it runs on another node, and the policy is Local",
  "not-ready": "it is not ready",
  terminating: "it is terminating, and others are ready",
  "hinted-to-other-nodes": "its hints name other nodes",
  "hinted-to-other-zones": "its hints name other zones",
  "weight-0": "its weight is 0",
  "not-in-kernel":
    "the kernel does not have it, though the objects ask for it (not synced yet, or its Service is quarantined because its rules were refused)",
};

function endpointSentence(endpoint: ExplainedEndpoint, weighted: boolean): string {
  const { reason, hints = [], node, zone, weight, ready } = endpoint;
  const place = [...(node === "" ? [] : [`node ${node}`]), ...(zone === "" ? [] : [`zone ${zone}`])];
  const where = place.length === 0 ? "" : ` (${place.join(", ")})`;
  const share = weighted && weight !== undefined && weight > 1 ? `, with weight ${weight}` : "";
  if (reason === undefined) {
    const how = ready ? "ready" : "terminating but still serving, and no endpoint is ready";
    return `${endpoint.endpoint}${where} is in: ${how}${share}.`;
  }
  const named = hints.length === 0 ? "" : ` (${hints.join(", ")})`;
  return `${endpoint.endpoint}${where} is out: ${reasonWords[reason]}${named}.`;
}

function affinityLines({ service, affinityEntry, verdict, forwarder }: Explanation): readonly string[] {
  if (affinityEntry !== undefined) {
    return [
      `Affinity: this client is remembered and goes to ${affinityEntry.endpoint}: ${entryWords(affinityEntry)}.`,
    ];
  }
  if (forwarder?.affinityTimeoutSeconds !== undefined) {
    return [
      `Affinity: ClientIP for ${forwarder.affinityTimeoutSeconds} s; to the forwarder all processes of this node are one client.`,
    ];
  }
  if (service?.affinityTimeoutSeconds === undefined) {
    return service === undefined || verdict !== "forward" ? [] : ["Affinity: none is asked for."];
  }
  return [`Affinity: ClientIP for ${service.affinityTimeoutSeconds} s; this client has no entry.`];
}

function entryWords({ mechanism, name, secondsAgo, secondsLeft }: RememberedClient): string {
  const place = { recent: "list", ipset: "ipset", ipvs: "virtual server" }[mechanism];
  const ago = secondsAgo === undefined ? "" : `, last seen ${Math.round(secondsAgo)} s ago`;
  const left =
    secondsLeft === undefined
      ? ", for how long yet the kernel does not show"
      : `, ${Math.round(secondsLeft)} s left`;
  return `${place} ${name}${ago}${left}`;
}

/** What the chances mean where they are no dice. */
const schedulerWords: Readonly<Record<string, string>> = {
  rr: "in turn",
  wrr: "in turn, by weight",
  lc: "the one with the fewest connections, so the chances are those of the long run",
  wlc: "the one with the fewest connections for its weight, so the chances are those of the long run",
  sed: "the one with the shortest expected delay, so the chances are those of the long run",
  nq: "an idle one first, so the chances are those of the long run",
  sh: "by a hash of the client, so it gets the same one as long as its port does not count",
  mh: "by a hash of the client, so it gets the same one as long as its port does not count",
  dh: "by a hash of the destination, so all clients get the same one",
};

function chanceLines(explanation: Explanation): readonly string[] {
  const { scheduler, affinityEntry, withoutAffinity, destinations } = explanation;
  const chosen = affinityEntry === undefined ? destinations : (withoutAffinity ?? []);
  if (chosen.length === 0) {
    return [];
  }
  const how =
    scheduler === undefined
      ? ""
      : ` Scheduler ${scheduler}: ${schedulerWords[scheduler] ?? `${shareRule(scheduler)} shares`}.`;
  const whom = affinityEntry === undefined ? "Chances" : "Chances of a client that is not remembered";
  return [`${whom}: ${destinationWords(chosen)}.${how}`];
}

function destinationWords(destinations: readonly ExplainedDestination[]): string {
  const named = destinations
    .slice(0, namedDestinations)
    .map(({ endpoint, probability }) => `${endpoint} ${percent(probability)}`);
  const more = destinations.length - named.length;
  return more > 0 ? `${named.join(", ")} and ${more} more` : named.join(", ");
}

function percent(probability: number): string {
  return `${Number((probability * 100).toFixed(2))} %`;
}

const masqueradeWords: Readonly<Record<MasqueradeReason, string>> = {
  hairpin: "the client is sent to itself, and would answer itself directly",
  "masquerade-all": "masqueradeAll is set",
  "not-a-pod": "the client is no pod, and the answer must come back through this node",
  "external-policy-cluster": "it came from outside, and may be sent on to another node",
  "node-itself": "this node sends it itself",
  pod: "the client is a pod",
  "no-detector": "nothing is configured by which pods are told from others",
  "external-policy-local": "the policy Local keeps the client's address",
};

function masqueradeLines({ destinations, masqueradeReason }: Explanation): readonly string[] {
  if (destinations.length === 0) {
    return [];
  }
  const masked = destinations.filter(({ masquerade }) => masquerade);
  const stays = masked.length === 0 && destinations.every(({ onThisNode }) => onThisNode);
  const reason = masqueradeReason === undefined ? undefined : masqueradeWords[masqueradeReason];
  const words = stays ? "the endpoint has an address of this node" : reason;
  const because = words === undefined ? "" : `, because ${words}`;
  const by = masked.find(({ masqueradedBy }) => masqueradedBy !== undefined)?.masqueradedBy;
  const rule = by === undefined ? "" : ` By the rule: ${ruleText(by)}`;
  if (masked.length === destinations.length) {
    return [`Masquerade: yes${because}.${rule}`];
  }
  if (masked.length === 0) {
    return [`Masquerade: no${because}.`];
  }
  const only = masked.map(({ endpoint }) => endpoint).join(", ");
  return [`Masquerade: no${because}; but yes to ${only}, because ${masqueradeWords.hairpin}.${rule}`];
}

const refusalWords: Readonly<Record<NonNullable<Explanation["refusal"]>, string>> = {
  "other-port":
    "the address is a Service's and the port is not: nothing else on this node is to be reached by it",
  martian: "it comes from elsewhere to a loopback address of this node",
  "source-not-allowed": "the sender is in none of the allowed ranges",
  "no-local-endpoints": "the policy is Local, and no endpoint of this node can serve",
  "no-endpoints": "no endpoint can serve",
};

const endWords: Readonly<Record<Exclude<Verdict, "forward">, string>> = {
  drop: "dropped",
  reject: "rejected",
  accept: "let through to the health check of this node",
  none: "left alone: it is neither translated nor refused",
};

function verdictLines(explanation: Explanation): readonly string[] {
  const { verdict, destinations, refusal, refusedBy, forwarder } = explanation;
  const ends = destinations.filter((one) => one.verdict !== "forward");
  const ended = ends.map((one) => {
    const by = one.refusedBy === undefined ? "" : ` by: ${ruleText(one.refusedBy)}`;
    return `On its way to ${one.endpoint} it is ${one.verdict === "drop" ? "dropped" : "rejected"}${by}`;
  });
  if (verdict === "forward") {
    const going = destinations.filter((one) => one.verdict === "forward");
    const targets = going.length === 1 ? (going[0]?.endpoint ?? "") : `one of ${going.length} endpoints`;
    return [`Verdict: sent to ${targets}.`, ...ended];
  }
  if (forwarder !== undefined) {
    return [forwarderLine(forwarder)];
  }
  const because = refusal === undefined ? "" : `, because ${refusalWords[refusal]}`;
  const by = refusedBy === undefined ? "" : ` By the rule: ${ruleText(refusedBy)}`;
  return [`Verdict: ${endWords[verdict]}${because}.${by}`, ...(refusedBy === undefined ? ended : [])];
}

/** No rule has a part in it: the words say who really has the port. */
function forwarderLine({ endpoints, listener }: ForwardedPort): string {
  const among = endpoints.length === 1 ? (endpoints[0] ?? "") : `one of ${endpoints.join(", ")}`;
  if (listener === null) {
    return "Verdict: refused: no rule takes the packet, and nobody listens at the port that kube-sluice is to serve (localhostForwarder). Is the daemon running?";
  }
  const who =
    listener === undefined
      ? "kube-sluice, which serves the port itself (localhostForwarder)"
      : `process ${listener.pid} (${listener.command}), which listens there`;
  const onward =
    listener === undefined
      ? `It connects to ${among}.`
      : `If that is kube-sluice (localhostForwarder), it connects to ${among}; if not, its log says that it cannot have the port.`;
  return `Verdict: no rule takes the packet; it goes to ${who}. ${onward}`;
}

function ruleLines({ rules }: Explanation): readonly string[] {
  return list("Rules that decide", rules.map(ruleText));
}

function ruleText({ table, rule }: MetRule): string {
  return `${table} ${rule}`;
}

function list(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)];
}
