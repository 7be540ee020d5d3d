/**
 * The API server as a process of its own, for the demo and for clusters of network namespaces.
 *
 * Its first line on standard output is its URL, printed once everything is loaded; SIGTERM and SIGINT end it. Faults
 * are driven through its control endpoint, see faults/control.ts.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { readManifestDirectory } from "./load/manifest-directory.ts";
import { scaleObjects } from "./load/scale-objects.ts";
import type { ApiServerOptions } from "./server.ts";
import { startApiServer } from "./server.ts";

const usage = `usage: main.ts [options]
  --host ADDRESS       address to listen on (127.0.0.1)
  --port NUMBER        port to listen on, 0 for a free one (0)
  --load DIR           load all manifests of a folder
  --services NUMBER    load this many Services, each with one EndpointSlice
  --endpoints NUMBER   endpoints in each of these slices (10)
  --managed-fields     give these objects managedFields
  --history NUMBER     changes to remember of each resource (4096)
  --service-range CIDR range of cluster addresses, may be repeated
  --token TEXT         bearer token that every request must carry
  --tls-cert FILE      serve HTTPS with this certificate
  --tls-key FILE       and this key
  --until-stdin-ends   end as soon as standard input does, so that no server outlives its parent
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean", default: false },
      host: { type: "string" },
      port: { type: "string" },
      load: { type: "string" },
      services: { type: "string" },
      endpoints: { type: "string" },
      "managed-fields": { type: "boolean", default: false },
      history: { type: "string" },
      "service-range": { type: "string", multiple: true },
      token: { type: "string" },
      "tls-cert": { type: "string" },
      "tls-key": { type: "string" },
      "until-stdin-ends": { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const options: ApiServerOptions = {
    ...(values.host === undefined ? {} : { host: values.host }),
    ...(values["service-range"] === undefined ? {} : { serviceRanges: values["service-range"] }),
    ...(values.token === undefined ? {} : { token: values.token }),
    ...optionalNumber("port", values.port),
    ...optionalNumber("history", values.history),
    ...readTls(values["tls-cert"], values["tls-key"]),
  };
  const objects = initialObjects(values);
  const server = await startApiServer(options);
  try {
    server.store.load(objects);
  } catch (error) {
    await server.close();
    throw error;
  }
  const end = (): void => {
    process.stdin.pause();
    void server.close();
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, end);
  if (values["until-stdin-ends"]) process.stdin.resume().once("end", end);
  process.stdout.write(`${server.url}\n`);
}

interface LoadValues {
  readonly load?: string | undefined;
  readonly services?: string | undefined;
  readonly endpoints?: string | undefined;
  readonly "managed-fields"?: boolean | undefined;
}

/** What the options ask to load; large numbers of objects are made one by one, as they are taken. */
function* initialObjects(values: LoadValues): Generator<object> {
  if (values.load !== undefined) yield* readManifestDirectory(values.load);
  const { services } = optionalNumber("services", values.services);
  if (services === undefined) return;
  const { endpoints = 10 } = optionalNumber("endpoints", values.endpoints);
  yield* scaleObjects({ services, endpoints, managedFields: values["managed-fields"] === true });
}

function optionalNumber<Name extends string>(
  name: Name,
  text: string | undefined,
): { [key in Name]?: number } {
  if (text === undefined) return {};
  const value = Number(text);
  if (!/^\d+$/.test(text)) throw new RangeError(`Cannot start: --${name} must be a number, got "${text}"`);
  return { [name]: value } as { [key in Name]?: number };
}

function readTls(cert: string | undefined, key: string | undefined): Pick<ApiServerOptions, "tls"> {
  if (cert === undefined && key === undefined) return {};
  if (cert === undefined || key === undefined) {
    throw new RangeError("Cannot start: --tls-cert and --tls-key belong together");
  }
  return { tls: { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") } };
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 2;
}
