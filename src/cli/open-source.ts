/**
 * The source of objects that the command line asks for.
 *
 * @module
 */
import type { LoadedStartup } from "../config/load-config.ts";
import { systemClock } from "../kube/clock.ts";
import type { LogFields, LogLevel, ObjectSource } from "../kube/source.ts";
import { CommandError } from "./exit.ts";

/**
 * Opens the folder of `--manifests`, or the API server. Code that only one of them needs is loaded only then: the API
 * client is the largest part of the program.
 *
 * @throws CommandError when there is no usable kubeconfig
 */
export async function openSource(
  startup: LoadedStartup,
  nodeName: string,
  log: (level: LogLevel, message: string, fields: LogFields) => void,
): Promise<ObjectSource> {
  const { manifests, once, master } = startup.process;
  if (manifests !== undefined) {
    const { ManifestSource } = await import("../kube/manifest-source.ts");
    return new ManifestSource({ folder: manifests, nodeName, once });
  }
  const { openApiAccess } = await import("../kube/kubeconfig.ts");
  const { ApiSource } = await import("../kube/api-source.ts");
  const { HttpTransport } = await import("../kube/transport.ts");
  try {
    const access = await openApiAccess({
      kubeconfig: startup.config.clientConnection.kubeconfig,
      master: master ?? "",
      environment: process.env,
      clock: systemClock,
      log,
    });
    return new ApiSource({ transport: new HttpTransport(access), nodeName });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(1, reason, { cause: error });
  }
}
