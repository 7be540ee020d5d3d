/**
 * Names of Services and pods, from a folder of manifests or the API server.
 *
 * @module
 */

import type { NameSource } from "../inspect/ipvsadm-command.ts";
import { ServiceNames } from "../inspect/service-names.ts";
import { systemClock } from "../kube/clock.ts";
import type { ObjectKind, ObjectSource, SourceHandler } from "../kube/source.ts";
import { StringPool } from "../kube/string-pool.ts";
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
  kubeconfig,
}: NameSource): Promise<ServiceNames | undefined> {
  const pool = new StringPool({ keepsPods: true });
  // Of nodes nothing is wanted: no Node has this name.
  const nodeName = "";
  if (manifests !== undefined) {
    const { ManifestSource } = await import("../kube/manifest-source.ts");
    return await collect(new ManifestSource({ folder: manifests, nodeName, once: true, pool }));
  }
  if (kubeconfig === undefined && process.env["KUBERNETES_SERVICE_HOST"] === undefined) return undefined;
  return await collect(await openApi(kubeconfig ?? "", pool));
}

async function openApi(kubeconfig: string, pool: StringPool): Promise<ObjectSource> {
  const { openApiAccess } = await import("../kube/kubeconfig.ts");
  const { ApiSource } = await import("../kube/api-source.ts");
  const { HttpTransport } = await import("../kube/transport.ts");
  try {
    const access = await openApiAccess({
      kubeconfig,
      master: "",
      environment: process.env,
      clock: systemClock,
      log: () => {},
    });
    return new ApiSource({ transport: new HttpTransport(access), nodeName: "names", pool });
  } catch (error) {
    throw new CommandError(1, error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Takes in what is there now, and no changes. */
async function collect(source: ObjectSource): Promise<ServiceNames> {
  const names = new ServiceNames();
  const missing = new Set<ObjectKind>(["Service", "EndpointSlice"]);
  const controller = new AbortController();
  let reason = "no answer";
  const handler: SourceHandler = {
    upsert: (object) => {
      if (object.kind === "Service") names.addService(object);
      else if (object.kind === "EndpointSlice") names.addSlice(object);
    },
    remove: () => {},
    synced: (kind) => {
      missing.delete(kind);
      if (missing.size === 0) controller.abort();
    },
    problem: () => {},
    log: (level, message, fields) => {
      if (level === "warn" || level === "error")
        reason = String(fields["error"] ?? fields["reason"] ?? message);
    },
  };
  const timer = setTimeout(() => controller.abort(), patienceMs);
  try {
    await source.start(handler, controller.signal);
  } catch (error) {
    throw new CommandError(2, error instanceof Error ? error.message : String(error), { cause: error });
  } finally {
    clearTimeout(timer);
  }
  if (missing.size > 0) throw new CommandError(1, `Cannot read names from the API server: ${reason}`);
  return names;
}
