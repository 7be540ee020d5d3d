/**
 * Names of Services and pods, from a folder of manifests or the API server.
 *
 * @module
 */
import type { NameSource } from "../inspect/ipvsadm-command.ts";
import { ServiceNames } from "../inspect/service-names.ts";
import { systemClock } from "../kube/clock.ts";
import type { ObjectKind, SourceHandler } from "../kube/source.ts";
import { StringPool } from "../kube/string-pool.ts";
import type { WatchedObject } from "../proxier/objects.ts";
import { deliverOnce, isChosen, type Receiver } from "./collect-objects.ts";
import { CommandError } from "./exit.ts";

/** How long the API server may take, in milliseconds. */
const patienceMs = 10_000;

/**
 * Reads the names: of the folder, of the cluster of the kubeconfig, or of the cluster that the process runs in. Undefined
 * where there is none of these.
 *
 * @throws CommandError when the source cannot be read
 */
export async function readServiceNames({
  manifests,
  kubeconfig = "",
}: NameSource): Promise<ServiceNames | undefined> {
  const choice = { manifests, kubeconfig, master: undefined };
  if (!isChosen(choice, process.env)) return undefined;
  // Of nodes nothing is wanted: no Node has this name.
  const options = { nodeName: "names", clock: systemClock, timeoutMs: patienceMs };
  const pool = new StringPool({ keepsPods: true });
  try {
    const collector = await deliverOnce(
      choice,
      { ...options, pool },
      (onComplete, onLog) => new NameCollector(onComplete, onLog),
    );
    return collector.names;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const status = error instanceof CommandError ? error.exitStatus : 2;
    throw new CommandError(status, `Cannot read names: ${reason}`, { cause: error });
  }
}

/** Takes names of objects. */
class NameCollector implements Receiver {
  readonly names: ServiceNames = new ServiceNames();
  readonly log: SourceHandler["log"];
  readonly #missing = new Set<ObjectKind>(["Service", "EndpointSlice"]);
  readonly #onComplete: () => void;

  constructor(onComplete: () => void, onLog: SourceHandler["log"]) {
    this.#onComplete = onComplete;
    this.log = onLog;
  }

  upsert(object: WatchedObject): void {
    if (object.kind === "Service") this.names.addService(object);
    else if (object.kind === "EndpointSlice") this.names.addSlice(object);
  }

  remove(): void {}

  synced(kind: ObjectKind): void {
    this.#missing.delete(kind);
    if (this.#missing.size === 0) this.#onComplete();
  }
}
