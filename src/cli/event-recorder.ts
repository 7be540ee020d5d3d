/**
 * Events: what operators see with `kubectl get events`.
 *
 * Without an API server (manifests) events go nowhere.
 *
 * @module
 */
import type { EventNote, EventSubject } from "../kube/event-object.ts";
import type { Problem } from "../proxier/objects.ts";

/** Where events go. Never waits, never fails. */
export type RecordEvent = (note: EventNote) => void;

/** Records the events of one process. */
export class EventRecorder {
  readonly #record: RecordEvent;
  readonly #node: EventSubject;

  constructor(record: RecordEvent, nodeName: string) {
    this.#record = record;
    this.#node = { apiVersion: "v1", kind: "Node", namespace: "", name: nodeName };
  }

  /** Once at start. */
  starting(): void {
    this.#record({
      type: "Normal",
      reason: "Starting",
      action: "StartKubeProxy",
      regarding: this.#node,
      note: "",
    });
  }

  /** A changed configuration file is in effect. */
  configApplied(note: string): void {
    this.#tellOfNode("Normal", "ConfigApplied", note);
  }

  /** A changed configuration file is not in effect. */
  configRejected(note: string): void {
    this.#tellOfNode("Warning", "ConfigRejected", note);
  }

  /** The configuration file has something that nothing here reads. It is in effect all the same. */
  unknownConfigField(note: string): void {
    this.#tellOfNode("Warning", "UnknownConfigField", note);
  }

  /** How a change of mode fares. */
  modeSwitch(reason: "ModeSwitchStarted" | "ModeSwitched" | "ModeSwitchFailed", note: string): void {
    this.#tellOfNode(reason === "ModeSwitchFailed" ? "Warning" : "Normal", reason, note);
  }

  #tellOfNode(type: EventNote["type"], reason: string, note: string): void {
    this.#record({ type, reason, action: "ApplyConfiguration", regarding: this.#node, note });
  }

  /** A Service's health-check port cannot be bound. `service` is `namespace/name`. */
  healthCheckFailed(service: string, note: string): void {
    const regarding = subjectOf("Service", service);
    this.#record({
      type: "Warning",
      reason: "FailedToStartServiceHealthcheck",
      action: "Listen",
      regarding,
      note,
    });
  }

  /** A node port of a Service cannot be served on localhost. `service` is `namespace/name`. */
  localhostPortFailed(service: string, note: string): void {
    const regarding = subjectOf("Service", service);
    this.#record({
      type: "Warning",
      reason: "FailedToServeLocalhost",
      action: "Listen",
      regarding,
      note,
    });
  }

  /** Something is wrong with an object; what is wrong with files has no object to be told of. */
  problem({ kind, object, field, message }: Problem): void {
    if (kind === "manifest") {
      return;
    }
    const regarding = kind === "Node" ? { ...this.#node, name: object } : subjectOf(kind, object);
    const note = field === "" ? message : `${field}: ${message}`;
    this.#record({ type: "Warning", reason: "ProxyProblem", action: "ProgramService", regarding, note });
  }
}

function subjectOf(kind: "Service" | "EndpointSlice", key: string): EventSubject {
  const [namespace = "", name = ""] = key.split("/");
  const apiVersion = kind === "Service" ? "v1" : "discovery.k8s.io/v1";
  return { apiVersion, kind, namespace, name };
}
