/**
 * Explains a connection: what the kernel does with its first packet, or would do, and why the objects have it so.
 *
 * The verdict is always read from rules, sets and virtual servers: those of the kernel where it was read, else those that
 * the mode would make of the objects. The objects give the reasons. Where both are known and disagree, that is drift.
 *
 * Pure.
 *
 * @module
 */
import { splitHostPort, type TraceStep } from "../iptables/builder/mod.ts";
import {
  askNode,
  isOfNode,
  masqueradeStep,
  type NodeAnswer,
  type NodeDestination,
  refusalStep,
  translationStep,
} from "./ask-node.ts";
import type { Connection } from "./connection.ts";
import { driftOf } from "./drift.ts";
import { forwardedAnswer, forwardedPort } from "./explain-localhost.ts";
import { type Arrival, type PlanAnswer, PlanExplainer, type PlanPacket } from "./explain-plan.ts";
import { explainService, type ObjectsView } from "./explain-service.ts";
import type {
  EndpointReason,
  ExplainedDestination,
  ExplainedService,
  Explanation,
  MetRule,
  Sender,
} from "./explanation.ts";
import type { Listener } from "./listeners.ts";
import type { NodeState } from "./node-state.ts";
import { type PlannedMode, planFor, plannedState } from "./planned-state.ts";

/** What is known. At least one of `objects` and `kernel`. */
export interface ExplainInput {
  readonly connection: Connection;
  readonly objects: (ObjectsView & { readonly planned: PlannedMode }) | undefined;
  readonly kernel: NodeState | undefined;
  readonly notes?: readonly string[];
  /** Who listens at the connection's destination, where the node was looked at; null if nobody does. */
  readonly listener?: Listener | null | undefined;
}

/** Explains. */
export function explain(input: ExplainInput): Explanation {
  const { connection, objects, kernel, notes = [], listener } = input;
  const planned =
    objects === undefined
      ? undefined
      : plannedState(planFor(objects.plan, connection.to, connection.port), objects.planned);
  const state = kernel ?? planned?.state;
  if (state === undefined) {
    throw new TypeError("Cannot explain a connection: neither the kernel nor objects are known");
  }
  const answer = askNode(state, connection, { memory: true });
  const fresh = answer.remembered === undefined ? answer : askNode(state, connection, { memory: false });
  const wanted =
    kernel === undefined || planned === undefined
      ? undefined
      : askNode(withAddresses(planned.state, kernel), connection, { memory: false });
  const reading = objects === undefined ? undefined : new Reading(objects, connection, state, answer);
  const service = reading?.service(kernel === undefined ? undefined : fresh);
  const refusal = refusalStep(answer.steps);
  const reason = reading?.masqueradeReason();
  const ended = reading?.refusal(answer);
  return {
    connection: { ...withoutVia(connection), sender: senderOf(reading, connection, state) },
    mode: modeOf(state),
    readFrom: kernel === undefined ? "objects" : "kernel",
    verdict: answer.verdict,
    ...(ended === undefined ? {} : { refusal: ended }),
    destinations: answer.destinations.map((one) => explainDestination(one, state)),
    ...(answer.scheduler === undefined ? {} : { scheduler: answer.scheduler }),
    ...(reason === undefined ? {} : { masqueradeReason: reason }),
    ...reading?.forwarder(listener),
    rules: answer.steps.map(met),
    ...(refusal === undefined ? {} : { refusedBy: met(refusal) }),
    ...(answer.remembered === undefined
      ? {}
      : {
          affinityEntry: answer.remembered,
          withoutAffinity: fresh.destinations.map((one) => explainDestination(one, state)),
        }),
    ...(service === undefined ? {} : { service }),
    drift: [...(wanted === undefined ? [] : driftOf(wanted, fresh)), ...(reading?.drift(listener) ?? [])],
    notes: [
      ...notes,
      ...(service === undefined && answer.verdict !== "accept" ? (reading?.neighbours() ?? []) : []),
      ...(planned?.rejected ?? []).map(
        ({ service: key, reason: why }) =>
          `Service ${key} is left out, because its rules cannot be written: ${why}.`,
      ),
      ...answer.uncertain.map((rule) => `This rule may apply, but is not understood: ${rule}`),
    ],
  };
}

/** Which mode made what the kernel holds. */
export function modeOf({ ruleset, sets }: Pick<NodeState, "ruleset" | "sets">): Explanation["mode"] {
  const nat = ruleset.tables.find(({ name }) => name === "nat")?.chains ?? [];
  const isReached = nat.some(
    ({ name, rules }) =>
      (name === "PREROUTING" || name === "OUTPUT") &&
      rules.some(({ target }) => target?.kind === "jump" && target.chain === "KUBE-SERVICES"),
  );
  if (!isReached) {
    return "none";
  }
  return sets.has("KUBE-CLUSTER-IP") || sets.has("KUBE-6-CLUSTER-IP") ? "ipvs" : "iptables";
}

/** What the objects say about the connection. */
class Reading {
  readonly answer: PlanAnswer;
  readonly sender: Sender;
  readonly #view: ObjectsView;
  readonly #connection: Connection;

  /** What the program itself is to do with the connection, where no rule does anything. */
  readonly #forwarded: Extract<PlanAnswer, { verdict: "forward" }> | undefined;

  constructor(
    view: ObjectsView,
    connection: Connection,
    { localAddresses }: NodeState,
    { verdict }: NodeAnswer,
  ) {
    const explainer = new PlanExplainer(planFor(view.plan, connection.to, connection.port), localAddresses);
    const packet: PlanPacket = {
      source: connection.from,
      destination: connection.to,
      protocol: connection.protocol,
      port: connection.port,
      inputInterface: isOfNode(connection, localAddresses) ? undefined : (connection.via ?? "eth0"),
    };
    this.#view = view;
    this.#connection = connection;
    this.#forwarded =
      verdict === "none" && packet.inputInterface === undefined
        ? forwardedAnswer(view.plan, connection)
        : undefined;
    this.answer = this.#forwarded ?? explainer.explain(packet);
    const from = explainer.senderOf(packet);
    this.sender = from === "any" ? "outside" : from;
  }

  masqueradeReason(): Explanation["masqueradeReason"] {
    return this.#forwarded === undefined && this.answer.verdict === "forward"
      ? usualReason(this.answer)
      : undefined;
  }

  forwarder(listener: Listener | null | undefined): Pick<Explanation, "forwarder"> {
    return this.#forwarded === undefined ? {} : { forwarder: forwardedPort(this.#forwarded, listener) };
  }

  /** What of the program itself is not as the objects have it. */
  drift(listener: Listener | null | undefined): readonly string[] {
    return this.#forwarded === undefined || listener !== null
      ? []
      : ["By the objects the program serves this port of localhost; nobody listens there."];
  }

  /** Why the packet ends, if it does so for the objects' reasons. */
  refusal({ verdict }: NodeAnswer): Explanation["refusal"] {
    if (this.answer.verdict === "none" && verdict === "reject" && this.neighbours().length > 0) {
      return "other-port";
    }
    return this.answer.verdict === verdict && "reason" in this.answer ? this.answer.reason : undefined;
  }

  /** What else the address is for. */
  neighbours(): readonly string[] {
    const { to } = this.#connection;
    return [...this.#view.plan.services.values()].flatMap(({ ports }) =>
      ports.flatMap(({ displayName, protocol, frontends }) =>
        frontends
          .filter(({ address }) => address === to)
          .map(({ port }) => `The address belongs to ${displayName} with port ${port}/${protocol}.`),
      ),
    );
  }

  /** @param kernel what the kernel does with a new client, where it was read */
  service(kernel: NodeAnswer | undefined): ExplainedService | undefined {
    const arrival = arrivalOf(this.answer);
    if (arrival === undefined) {
      return undefined;
    }
    const service = explainService(this.#view, this.answer, arrival, this.#connection);
    if (this.#forwarded !== undefined) {
      // The program heeds weights of 0 in every mode.
      return without(service, "weight-0", new Set(this.#forwarded.destinations.map(({ target }) => target)));
    }
    return kernel === undefined || this.answer.verdict !== "forward"
      ? service
      : without(service, "not-in-kernel", new Set(kernel.destinations.map(({ endpoint }) => endpoint)));
  }
}

/** The service port with endpoints out, for a reason, that would be in but do not really get connections. */
function without(
  service: ExplainedService,
  reason: EndpointReason,
  really: ReadonlySet<string>,
): ExplainedService {
  const endpoints = service.endpoints.map((one) =>
    one.in && !really.has(one.endpoint) ? { ...one, in: false, reason } : one,
  );
  return { ...service, endpoints };
}

function arrivalOf(answer: PlanAnswer): Arrival | undefined {
  return answer.verdict === "accept" ? undefined : answer.arrival;
}

/** A hairpin is of one endpoint; the reason for all others says more. */
function usualReason({
  destinations,
}: Extract<PlanAnswer, { verdict: "forward" }>): Explanation["masqueradeReason"] {
  return (destinations.find(({ reason }) => reason !== "hairpin") ?? destinations[0])?.reason;
}

function senderOf(reading: Reading | undefined, connection: Connection, state: NodeState): Sender {
  return reading?.sender ?? (isOfNode(connection, state.localAddresses) ? "node" : "unknown");
}

function withoutVia({ via, ...rest }: Connection): Omit<Explanation["connection"], "sender"> {
  return via === undefined ? rest : { ...rest, via };
}

/** What is wanted is wanted of the node as it is. */
function withAddresses(planned: NodeState, { localAddresses }: NodeState): NodeState {
  return { ...planned, localAddresses: new Set([...planned.localAddresses, ...localAddresses]) };
}

function explainDestination(
  destination: NodeDestination,
  { localAddresses }: NodeState,
): ExplainedDestination {
  const { endpoint, probability, masquerade, verdict, steps } = destination;
  const translation = translationStep(steps);
  const masquerading = masquerade ? masqueradeStep(steps) : undefined;
  const refusal = verdict === "forward" ? undefined : refusalStep(steps);
  return {
    endpoint,
    probability,
    masquerade,
    onThisNode: localAddresses.has(splitHostPort(endpoint)?.address ?? endpoint),
    verdict,
    ...(translation === undefined ? {} : { translatedBy: met(translation) }),
    ...(masquerading === undefined ? {} : { masqueradedBy: met(masquerading) }),
    ...(refusal === undefined ? {} : { refusedBy: met(refusal) }),
  };
}

function met({ table, text }: TraceStep): MetRule {
  return { table, rule: text.slice(text.indexOf(": ") + 2) };
}
