/**
 * Events have two faces: core/v1 and events.k8s.io/v1 name the fields of one stored object differently.
 * We store the core form and convert at the door.
 *
 * @module
 */
import type { Json } from "../json.ts";
import type { KubeObject } from "../objects.ts";

const coreToEvents: Readonly<Record<string, string>> = {
  involvedObject: "regarding",
  message: "note",
  source: "deprecatedSource",
  firstTimestamp: "deprecatedFirstTimestamp",
  lastTimestamp: "deprecatedLastTimestamp",
  count: "deprecatedCount",
  reportingComponent: "reportingController",
};

const eventsToCore: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(coreToEvents).map(([core, events]) => [events, core]),
);

/** A stored (core/v1) event as events.k8s.io/v1 shows it. */
export function toEventsFace(event: KubeObject): KubeObject {
  return { ...renamed(event, coreToEvents), apiVersion: "events.k8s.io/v1" };
}

/** An events.k8s.io/v1 event in the form in which it is stored. */
export function toCoreFace(event: KubeObject): KubeObject {
  return { ...renamed(event, eventsToCore), apiVersion: "v1" };
}

function renamed(event: KubeObject, names: Readonly<Record<string, string>>): KubeObject {
  const result: Record<string, Json | undefined> = {};
  for (const [field, value] of Object.entries(event)) result[names[field] ?? field] = value;
  return { ...result, metadata: event.metadata };
}
