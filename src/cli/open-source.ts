/**
 * The source of objects that the command line asks for.
 *
 * @module
 */
import type { LoadedStartup } from "../config/load-config.ts";
import { systemClock } from "../kube/clock.ts";
import type { RequestReport } from "../kube/metered-transport.ts";
import type { LogFields, LogLevel, ObjectSource } from "../kube/source.ts";
import type { StringPool } from "../kube/string-pool.ts";
import type { Transport } from "../kube/transport.ts";
import type { RecordEvent } from "./event-recorder.ts";
import { CommandError } from "./exit.ts";

/** A source, and where events about its objects go. */
export interface OpenSource {
  readonly source: ObjectSource;
  readonly recordEvent: RecordEvent;
}

/** Where objects come from. */
export interface SourceChoice {
  readonly manifests: string | undefined;
  readonly master: string | undefined;
  /** `""` for the cluster that the process runs in. */
  readonly kubeconfig: string;
}

/** What the command line and the configuration say of it. */
export function sourceChoice({ process: options, config }: LoadedStartup): SourceChoice {
  const { manifests, master } = options;
  return { manifests, master, kubeconfig: config.clientConnection.kubeconfig };
}

type Log = (level: LogLevel, message: string, fields: LogFields) => void;

/**
 * Opens a source to be read once. Code that only one kind of source needs is loaded only then: the API client is the
 * largest part of the program.
 *
 * @param pool takes texts in; decides what is kept of objects
 * @throws CommandError when there is no usable kubeconfig
 */
export async function openOnce(
  choice: SourceChoice,
  nodeName: string,
  log: Log,
  pool?: StringPool,
): Promise<ObjectSource> {
  const options = { nodeName, ...(pool === undefined ? {} : { pool }) };
  if (choice.manifests !== undefined) return await openFolder(choice.manifests, true, options);
  const { ApiSource } = await import("../kube/api-source.ts");
  return new ApiSource({ ...options, transport: (await openApi(choice, log)).transport });
}

/**
 * Opens the source of a daemon, which also writes events.
 *
 * @throws CommandError when there is no usable kubeconfig
 */
export async function openSource(
  startup: LoadedStartup,
  nodeName: string,
  log: Log,
  signal: AbortSignal,
  onRequest: (report: RequestReport & { readonly host: string }) => void = () => {},
): Promise<OpenSource> {
  const choice = sourceChoice(startup);
  if (choice.manifests !== undefined) {
    const source = await openFolder(choice.manifests, startup.process.once, { nodeName });
    return { source, recordEvent: () => {} };
  }
  const { ApiSource } = await import("../kube/api-source.ts");
  const { EventWriter } = await import("../kube/event-writer.ts");
  const { MeteredTransport } = await import("../kube/metered-transport.ts");
  const { transport: plain, host } = await openApi(choice, log);
  const transport = new MeteredTransport(
    plain,
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
}

async function openFolder(
  folder: string,
  once: boolean,
  options: { readonly nodeName: string; readonly pool?: StringPool },
): Promise<ObjectSource> {
  const { ManifestSource } = await import("../kube/manifest-source.ts");
  return new ManifestSource({ folder, once, ...options });
}

async function openApi(
  { kubeconfig, master = "" }: SourceChoice,
  log: Log,
): Promise<{ readonly transport: Transport; readonly host: string }> {
  const { openApiAccess } = await import("../kube/kubeconfig.ts");
  const { HttpTransport } = await import("../kube/transport.ts");
  try {
    const access = await openApiAccess({
      kubeconfig,
      master,
      environment: process.env,
      clock: systemClock,
      log,
    });
    const { host } = (await access.current()).server;
    return { transport: new HttpTransport(access), host };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(1, reason, { cause: error });
  }
}
