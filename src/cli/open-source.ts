/**
 * The source of objects that the command line asks for.
 *
 * @module
 */
import type { LoadedStartup } from "../config/load-config.ts";
import { systemClock } from "../kube/clock.ts";
import type { RequestReport } from "../kube/metered-transport.ts";
import type { LogFields, LogLevel, ObjectSource } from "../kube/source.ts";
import type { RecordEvent } from "./event-recorder.ts";
import { CommandError } from "./exit.ts";

/** A source, and where events about its objects go. */
export interface OpenSource {
  readonly source: ObjectSource;
  readonly recordEvent: RecordEvent;
}

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
  signal: AbortSignal,
  onRequest: (report: RequestReport & { readonly host: string }) => void = () => {},
): Promise<OpenSource> {
  const { manifests, once, master } = startup.process;
  if (manifests !== undefined) {
    const { ManifestSource } = await import("../kube/manifest-source.ts");
    return { source: new ManifestSource({ folder: manifests, nodeName, once }), recordEvent: () => {} };
  }
  const { openApiAccess } = await import("../kube/kubeconfig.ts");
  const { ApiSource } = await import("../kube/api-source.ts");
  const { EventWriter } = await import("../kube/event-writer.ts");
  const { HttpTransport } = await import("../kube/transport.ts");
  const { MeteredTransport } = await import("../kube/metered-transport.ts");
  try {
    const access = await openApiAccess({
      kubeconfig: startup.config.clientConnection.kubeconfig,
      master: master ?? "",
      environment: process.env,
      clock: systemClock,
      log,
    });
    const { host } = (await access.current()).server;
    const transport = new MeteredTransport(
      new HttpTransport(access),
      () => systemClock.now(),
      (report) => onRequest({ ...report, host }),
    );
    const { qps, burst } = startup.config.clientConnection;
    const events = new EventWriter({
      transport,
      reporter: { controller: "kube-proxy", instance: `kube-proxy-${nodeName}` },
      clock: systemClock,
      time: Date.now,
      random: Math.random,
      log,
      qps: qps === 0 ? 5 : qps,
      burst: burst === 0 ? 10 : burst,
    });
    // Ends with the signal and never rejects.
    void events.run(signal);
    return { source: new ApiSource({ transport, nodeName }), recordEvent: (note) => events.record(note) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(1, reason, { cause: error });
  }
}
