/**
 * Events of `events.k8s.io/v1` as JSON.
 *
 * Pure: times and numbers are given. Texts are cut to what the API server accepts, so that no event is refused for
 * its length.
 *
 * @module
 */
import type { JsonRecord } from "./fields.ts";

/** The object that an event is about. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  /** `""` for an object without one. */
  readonly namespace: string;
  readonly name: string;
}

/** What happened. */
export interface EventNote {
  readonly type: "Normal" | "Warning";
  /** Why, one word in CamelCase. */
  readonly reason: string;
  /** What was being done, one word in CamelCase. */
  readonly action: string;
  readonly regarding: EventSubject;
  /** For people. */
  readonly note: string;
}

/** Who reports. */
export interface EventReporter {
  /** E.g. `kube-proxy`. */
  readonly controller: string;
  /** E.g. `kube-proxy-node-1`. */
  readonly instance: string;
}

const wordLength = 128;
const noteLength = 1024;

/** The namespace in which an event about the subject is kept. */
export function eventNamespace(subject: EventSubject): string {
  return subject.namespace === "" ? "default" : subject.namespace;
}

/** Path of the events of a namespace. */
export function eventsPath(namespace: string): string {
  return `/apis/events.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/events`;
}

/** A name for an event: that of its subject, and a number that no other event has. */
export function eventName(subject: EventSubject, timeMs: number, sequence: number): string {
  const nanoseconds = BigInt(Math.trunc(timeMs)) * 1_000_000n + BigInt(sequence % 1_000_000);
  return `${subject.name}.${nanoseconds.toString(16)}`;
}

/** A new event called `name` that happened at `timeMs` (milliseconds since 1970). */
export function createEvent(
  note: EventNote,
  reporter: EventReporter,
  name: string,
  timeMs: number,
): JsonRecord {
  const { apiVersion, kind, namespace, name: subject } = note.regarding;
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name, namespace: eventNamespace(note.regarding) },
    eventTime: microTime(timeMs),
    reportingController: cut(reporter.controller, wordLength),
    reportingInstance: cut(reporter.instance, wordLength),
    action: cut(note.action, wordLength),
    reason: cut(note.reason, wordLength),
    type: note.type,
    regarding: { apiVersion, kind, name: subject, ...(namespace === "" ? {} : { namespace }) },
    note: cut(note.note, noteLength),
  };
}

/** The patch that says that an event happened `count` times, at `timeMs` for the last time. */
export function seriesPatch(count: number, timeMs: number): JsonRecord {
  return { series: { count, lastObservedTime: microTime(timeMs) } };
}

/** The API wants exactly six digits of a second. */
function microTime(timeMs: number): string {
  return new Date(timeMs).toISOString().replace("Z", "000Z");
}

/** The beginning of a text; a character is never cut in two. */
function cut(text: string, length: number): string {
  return text.length <= length ? text : text.slice(0, length).replace(/[\ud800-\udbff]$/, "");
}
