/**
 * The service port that a packet came to, with the reason of every endpoint.
 *
 * Everything is asked of the code that plans: nothing is decided here.
 *
 * Pure.
 *
 * @module
 */
import type { Cidr } from "../proxier/address.ts";
import type { ClusterState } from "../proxier/cluster-state.ts";
import type { Endpoint } from "../proxier/endpoint.ts";
import { type JudgedEndpoint, judgeEndpoints } from "../proxier/endpoint-selection.ts";
import { endpointsOfPort } from "../proxier/endpoint-slices.ts";
import type { ObjectKey, Problem } from "../proxier/objects.ts";
import type { Plan, Pool } from "../proxier/plan.ts";
import { servicePorts } from "../proxier/service-port.ts";
import type { NodeLocation } from "../proxier/topology.ts";
import type { Connection } from "./connection.ts";
import { type Arrival, isAdmitted, type PlanAnswer } from "./explain-plan.ts";
import type { ExplainedEndpoint, ExplainedService } from "./explanation.ts";

/** The objects, and what they come to on this node. */
export interface ObjectsView {
  readonly state: ClusterState;
  readonly plan: Plan;
  readonly location: NodeLocation;
  readonly allowedExternalAddresses: readonly Cidr[];
  readonly problems: ReadonlyMap<ObjectKey, readonly Problem[]>;
  /** Whether endpoints have weights: in ipvs mode. */
  readonly weighted: boolean;
}

/** Explains the service port of an arrival. */
export function explainService(
  view: ObjectsView,
  answer: PlanAnswer,
  arrival: Arrival,
  connection: Connection,
): ExplainedService {
  const { service, frontend, port } = arrival;
  const isInternal = frontend.kind === "ClusterIP";
  const local = isInternal ? isLocal(view, arrival, "internal") : isLocal(view, arrival, "external");
  const pool = answer.verdict === "forward" ? answer.pool : poolOfRefusal(answer, local);
  const { allowedSources } = frontend;
  return {
    service,
    port: port.displayName,
    frontend: {
      kind: frontend.kind,
      ...(frontend.address === undefined ? {} : { address: frontend.address }),
      port: frontend.port,
      protocol: port.protocol,
    },
    policy: {
      field: isInternal ? "internalTrafficPolicy" : "externalTrafficPolicy",
      value: local ? "Local" : "Cluster",
    },
    ...(allowedSources === undefined
      ? {}
      : {
          allowedSources: {
            ranges: allowedSources.ranges.map(({ text }) => text),
            admitted: isAdmitted(frontend, connection.from),
          },
        }),
    pool,
    endpoints: judged(view, arrival, pool).map((one) => explainEndpoint(view, arrival, one)),
    ...(port.affinity === undefined ? {} : { affinityTimeoutSeconds: port.affinity.timeoutSeconds }),
    problems: (view.problems.get(service) ?? []).map(problemText),
  };
}

/** One line about a problem of an object. */
export function problemText({ kind, object, field, message }: Problem): string {
  return `${kind} ${object}${field === "" ? "" : `, ${field}`}: ${message}`;
}

/** Without endpoints at all it is the cluster that was looked at; otherwise what the policy names. */
function poolOfRefusal(answer: PlanAnswer, local: boolean): Pool {
  const nobody = answer.verdict === "reject" && answer.reason === "no-endpoints";
  return local && !nobody ? "local" : "cluster";
}

function isLocal(view: ObjectsView, { service, port }: Arrival, policy: "internal" | "external"): boolean {
  const object = view.state.service(service);
  const derived =
    object === undefined
      ? undefined
      : servicePorts(object, view.plan.node.family, view.allowedExternalAddresses).ports.find(
          (one) => one.displayName === port.displayName && one.protocol === port.protocol,
        );
  return (policy === "internal" ? derived?.internalPolicyLocal : derived?.externalPolicyLocal) ?? false;
}

function judged(view: ObjectsView, { service, port }: Arrival, pool: Pool): readonly JudgedEndpoint[] {
  const { family } = view.plan.node;
  const name = port.displayName.slice(service.length + 1);
  const identity = { name, protocol: port.protocol };
  const slices = view.state.slicesOf(service, family);
  const endpoints = endpointsOfPort(slices, identity, family, view.location.nodeName);
  return judgeEndpoints(endpoints, pool, view.location);
}

function explainEndpoint(
  view: ObjectsView,
  { port }: Arrival,
  { endpoint, exclusion }: JudgedEndpoint,
): ExplainedEndpoint {
  const weight = view.weighted ? weightOf(port.weights, endpoint) : undefined;
  const reason = exclusion ?? (weight === 0 ? "weight-0" : undefined);
  return {
    endpoint: endpoint.target,
    in: reason === undefined,
    ...(reason === undefined ? {} : { reason }),
    node: endpoint.nodeName,
    zone: endpoint.zone,
    ready: endpoint.ready,
    serving: endpoint.serving,
    terminating: endpoint.terminating,
    ...(reason === "hinted-to-other-nodes" ? { hints: endpoint.nodeHints } : {}),
    ...(reason === "hinted-to-other-zones" ? { hints: endpoint.zoneHints } : {}),
    ...(weight === undefined ? {} : { weight }),
  };
}

function weightOf(weights: Readonly<Record<string, number>> = {}, { target }: Endpoint): number {
  return Object.hasOwn(weights, target) ? (weights[target] ?? 1) : 1;
}
