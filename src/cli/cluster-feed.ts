/**
 * Feed: takes what a source delivers into the cluster state and names the Services touched to the proxiers.
 *
 * Pure. Before the proxiers exist (the node has to be known first) the state fills up silently.
 *
 * @module
 */

import type { LogFields, LogLevel, ObjectKind, SourceHandler } from "../kube/source.ts";
import { objectKey } from "../kube/source.ts";
import type { Family } from "../proxier/address.ts";
import type { ClusterState } from "../proxier/cluster-state.ts";
import type {
  EndpointSliceObject,
  NodeObject,
  ObjectKey,
  Problem,
  WatchedObject,
} from "../proxier/objects.ts";
import type { Proxier } from "../proxier/proxier.ts";

/** Most EndpointSlices without a Service that are named. */
const strandedLimit = 20;

/** What the feed tells. */
export interface FeedObserver {
  /** Everything of all kinds has been delivered once. */
  onComplete(): void;
  /** The Node object appeared, changed or went. */
  onNode(node: NodeObject | undefined): void;
  /** An event of the kind arrived. `touched`: whether it makes a difference. */
  onEvent(kind: ObjectKind, touched: boolean): void;
  /** All that is wrong with an object as it was delivered; replaces what was said of it before. */
  onProblems(reporter: string, problems: readonly Problem[]): void;
  onLog(level: LogLevel, message: string, fields: LogFields): void;
}

/** One source's consumer. */
export class ClusterFeed implements SourceHandler {
  readonly #state: ClusterState;
  readonly #observer: FeedObserver;
  readonly #problems = new Map<string, readonly Problem[]>();
  /** Whose problems have changed and are told of once the source has said all that it has to say of the object. */
  readonly #untold = new Set<string>();
  readonly #waiting = new Set<ObjectKind>(["Service", "EndpointSlice", "Node"]);
  /** Services touched while everything was complete and somebody was about to be attached. */
  readonly #missed = new Set<ObjectKey>();
  #recording = true;
  #proxiers: readonly Proxier[] = [];

  constructor(state: ClusterState, observer: FeedObserver) {
    this.#state = state;
    this.#observer = observer;
  }

  /** Whether all kinds have been delivered completely. */
  get complete(): boolean {
    return this.#waiting.size === 0;
  }

  /** From now on what is touched is kept for those that are attached next. As long as nobody ever was, it is anyway. */
  record(): void {
    if (!this.#recording) {
      this.#recording = true;
      this.#missed.clear();
    }
  }

  /**
   * From now on these too are told what is touched, beginning with what has been since {@link record}. They must look at the
   * whole state once by themselves, at any time after that.
   */
  attach(proxiers: readonly Proxier[]): void {
    this.#recording = false;
    this.#proxiers = [...this.#proxiers, ...proxiers];
    const { node } = this.#state;
    for (const proxier of proxiers) {
      for (const service of this.#missed) {
        proxier.touch(service);
      }
      if (node !== undefined) {
        proxier.setZone(node.zone);
      }
    }
    this.#missed.clear();
  }

  /** These are told nothing any more. */
  detach(proxiers: readonly Proxier[]): void {
    this.#proxiers = this.#proxiers.filter((one) => !proxiers.includes(one));
  }

  upsert(object: WatchedObject): void {
    this.#forgetProblems(`${object.kind} ${objectKey(object)}`);
    switch (object.kind) {
      case "Service":
        this.#touch(object.kind, this.#state.upsertService(object), undefined, "");
        break;
      case "EndpointSlice":
        this.#upsertSlice(object);
        break;
      case "Node":
        this.#state.setNode(object);
        this.#observer.onNode(object);
        for (const proxier of this.#proxiers) {
          proxier.setZone(object.zone);
        }
        break;
    }
  }

  /** The type of a slice's addresses never changes, but another slice may have its name after a while without a watch. */
  #upsertSlice(slice: EndpointSliceObject): void {
    const before = this.#state.addressTypeOf(objectKey(slice));
    const touched = this.#state.upsertSlice(slice);
    const isSame = before === undefined || before === slice.addressType;
    this.#touch(slice.kind, touched, isSame ? familyOfType(slice.addressType) : undefined, slice.triggerTime);
  }

  remove(kind: ObjectKind, key: ObjectKey): void {
    this.#forgetProblems(`${kind} ${key}`);
    switch (kind) {
      case "Service":
        this.#touch(kind, this.#state.removeService(key), undefined, "");
        break;
      case "EndpointSlice": {
        const touched = this.#state.removeSlice(key);
        for (const proxier of this.#proxiers) {
          for (const service of touched) {
            proxier.forgetTriggerTimes(service);
          }
        }
        this.#touch(kind, touched, undefined, "");
        break;
      }
      case "Node":
        // The last one stays in use, its zone too: a Node object may be recreated.
        this.#observer.onNode(undefined);
        break;
    }
  }

  synced(kind: ObjectKind): void {
    if (this.#waiting.delete(kind) && this.complete) {
      this.#tellStranded();
      this.#observer.onComplete();
    }
  }

  /** Later on a slice may well come before its Service. */
  #tellStranded(): void {
    let count = 0;
    for (const { slice, service } of this.#state.strandedSlices()) {
      count += 1;
      if (count <= strandedLimit) {
        this.#observer.onLog(
          "info",
          "An EndpointSlice is not used: its Service is not there, or not served here",
          {
            kind: "EndpointSlice",
            object: slice,
            field: `metadata.labels["kubernetes.io/service-name"]`,
            service,
          },
        );
      }
    }
    if (count > strandedLimit) {
      this.#observer.onLog("info", "Further EndpointSlices are not used", { count: count - strandedLimit });
    }
  }

  problem(problem: Problem): void {
    const reporter = `${problem.kind} ${problem.object}`;
    this.#problems.set(reporter, [...(this.#problems.get(reporter) ?? []), problem]);
    this.#tellSoon(reporter);
  }

  cleared(kind: Problem["kind"], object: string): void {
    this.#forgetProblems(`${kind} ${object}`);
  }

  log(level: LogLevel, message: string, fields: LogFields): void {
    this.#observer.onLog(level, message, fields);
  }

  mishandled(kind: ObjectKind, key: ObjectKey, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#observer.onLog("error", "Cannot take in an object: everything is looked at again", {
      kind,
      key,
      reason,
    });
    for (const proxier of this.#proxiers) {
      proxier.resync();
    }
  }

  #forgetProblems(reporter: string): void {
    if (this.#problems.delete(reporter)) {
      this.#tellSoon(reporter);
    }
  }

  /** An object and its problems come in calls of their own, one after the other. */
  #tellSoon(reporter: string): void {
    if (this.#untold.size === 0) {
      queueMicrotask(() => this.#tell());
    }
    this.#untold.add(reporter);
  }

  #tell(): void {
    for (const reporter of this.#untold) {
      this.#observer.onProblems(reporter, this.#problems.get(reporter) ?? []);
    }
    this.#untold.clear();
  }

  #touch(
    kind: ObjectKind,
    services: readonly ObjectKey[],
    family: Family | undefined,
    triggerTime: string,
  ): void {
    this.#observer.onEvent(kind, services.length > 0);
    if (this.complete && this.#recording) {
      for (const service of services) {
        this.#missed.add(service);
      }
    }
    for (const proxier of this.#proxiers) {
      if (family === undefined || proxier.family === family) {
        for (const service of services) {
          proxier.touch(service, triggerTime);
        }
      }
    }
  }
}

function familyOfType(addressType: string): Family | undefined {
  return addressType === "IPv4" || addressType === "IPv6" ? addressType : undefined;
}
