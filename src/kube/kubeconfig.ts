/**
 * Where the API server is and who we are: from a kubeconfig, a server address, or the pod that we run in.
 *
 * `KubeConfig` of the official client reads the file and prepares TLS and credentials (certificates, tokens, exec
 * plug-ins). Three things it lacks are done here: `tokenFile`, which every kubeadm cluster uses and which it does not
 * know; the proxy variables of the environment; and files that change under a running program.
 *
 * Load this module only when there is an API server to talk to: the client behind it is by far the largest
 * dependency. It is an edge: it reads files.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import type { RequestOptions } from "node:https";
import path from "node:path";
import { type Cluster, KubeConfig, type User } from "@kubernetes/client-node";
import { parse } from "yaml";
import type { Clock } from "./clock.ts";
import { asRecord, type JsonRecord } from "./fields.ts";
import { type Environment, proxyFor } from "./proxy-environment.ts";
import type { LogFields, LogLevel } from "./source.ts";
import { TokenFile } from "./token-file.ts";
import type { ApiAccess, ApiConnection } from "./transport.ts";

/** Where kubelet mounts the service account of a pod. */
const serviceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

/** A kubeconfig is read again when it is older than this, in milliseconds. */
const kubeconfigAgeMs = 60_000;

/** What to use. With neither `kubeconfig` nor `master` it is the cluster that the process runs in. */
export interface AccessOptions {
  /** Path of a kubeconfig; `""` for none. */
  readonly kubeconfig: string;
  /** Address of the server, in place of the kubeconfig's; `""` for none. */
  readonly master: string;
  readonly environment: Environment;
  readonly clock: Clock;
  readonly log: (level: LogLevel, message: string, fields: LogFields) => void;
  /** Where the service account of the pod is; for tests. */
  readonly serviceAccount?: string;
}

/** A cluster and a user, ready for use. */
interface Login {
  readonly config: KubeConfig;
  readonly server: URL;
  readonly proxy: string | undefined;
  readonly compress: boolean;
  readonly tokenFile: string;
}

/**
 * Opens the access to the API server.
 *
 * Rejects with an Error that names the file or variable when it cannot be used.
 */
export async function openApiAccess(options: AccessOptions): Promise<ApiAccess> {
  if (options.kubeconfig === "" && options.master === "") {
    options.log(
      "warn",
      "Neither kubeconfig file nor master URL was specified, falling back to in-cluster config: " +
        "its address works only once a proxy has programmed it",
      {},
    );
  }
  return new KubeAccess(options, await readLogin(options));
}

class KubeAccess implements ApiAccess {
  readonly #options: AccessOptions;
  #login: Login;
  #loginMs: number;
  #tokens: TokenFile | undefined;
  #authorization: string | undefined;
  #stale = false;

  constructor(options: AccessOptions, login: Login) {
    this.#options = options;
    this.#login = login;
    this.#loginMs = options.clock.now();
    this.#tokens = this.#openTokens(login);
  }

  async current(): Promise<ApiConnection> {
    if (this.#options.clock.now() - this.#loginMs >= kubeconfigAgeMs) {
      await this.#reload();
    }
    const { config, server, proxy, compress } = this.#login;
    const options = server.protocol === "http:" ? {} : await this.#secureOptions(config, proxy);
    return { server, proxy, compress, options };
  }

  async refresh(): Promise<boolean> {
    const before = this.#authorization;
    await this.#reload();
    await this.current();
    return this.#authorization !== before;
  }

  /** TLS and credentials. Plain HTTP never gets here: credentials are not sent where everybody can read them. */
  async #secureOptions(config: KubeConfig, proxy: string | undefined): Promise<RequestOptions> {
    const all: RequestOptions = {};
    try {
      await config.applyToHTTPSOptions(all);
    } catch (error) {
      throw new Error(`Cannot read certificates or credentials for the API server: ${reasonOf(error)}`, {
        cause: error,
      });
    }
    const { agent, ...options } = all;
    const token = await this.#tokens?.read();
    const headers = { ...(options.headers as Record<string, string> | undefined) };
    if (token !== undefined) {
      headers["Authorization"] = `Bearer ${token}`;
    }
    this.#authorization = headers["Authorization"] ?? options.auth ?? undefined;
    // The client makes an agent for every connection. Only one for a SOCKS proxy is of use: we have none of our own.
    const socks = proxy?.startsWith("socks") === true && agent !== undefined;
    return { ...options, headers, ...(socks ? { agent } : {}) };
  }

  async #reload(): Promise<void> {
    this.#loginMs = this.#options.clock.now();
    try {
      const login = await readLogin(this.#options);
      if (login.tokenFile !== this.#login.tokenFile) {
        this.#tokens = this.#openTokens(login);
      }
      this.#login = login;
      this.#stale = false;
    } catch (error) {
      if (!this.#stale) {
        this.#stale = true;
        const reason = error instanceof Error ? error.message : String(error);
        this.#options.log("error", "Cannot read the kubeconfig again: the last one stays in use", { reason });
      }
    }
  }

  #openTokens({ tokenFile }: Login): TokenFile | undefined {
    return tokenFile === ""
      ? undefined
      : new TokenFile(tokenFile, (message) => this.#options.log("error", message, {}));
  }
}

async function readLogin(options: AccessOptions): Promise<Login> {
  if (options.kubeconfig !== "") {
    return await fileLogin(options);
  }
  if (options.master !== "") {
    return makeLogin(
      options,
      { name: "master", server: options.master, skipTLSVerify: false },
      undefined,
      {},
    );
  }
  return podLogin(options);
}

/** The service account of the pod, as kubelet mounts it. */
function podLogin(options: AccessOptions): Login {
  const host = options.environment["KUBERNETES_SERVICE_HOST"] ?? "";
  const port = options.environment["KUBERNETES_SERVICE_PORT"] ?? "";
  if (host === "" || port === "") {
    throw new Error(
      "Cannot find the API server: there is no kubeconfig, and KUBERNETES_SERVICE_HOST and _PORT are not set",
    );
  }
  const folder = options.serviceAccount ?? serviceAccountFolder;
  const cluster: Cluster = {
    name: "pod",
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    caFile: path.join(folder, "ca.crt"),
    skipTLSVerify: false,
  };
  return makeLogin(options, cluster, undefined, { tokenFile: path.join(folder, "token") });
}

async function fileLogin(options: AccessOptions): Promise<Login> {
  const file = options.kubeconfig;
  try {
    const text = await readFile(file, "utf8");
    const config = new KubeConfig();
    config.loadFromString(text);
    config.makePathsAbsolute(path.dirname(file));
    const current: string | undefined = config.getCurrentContext();
    const context = current === undefined ? null : config.getContextObject(current);
    if (context === null) {
      throw new Error(
        current === undefined ? "it has no current context" : `there is no context "${current}"`,
      );
    }
    const cluster = config.getCluster(context.cluster);
    if (cluster === null) {
      throw new Error(`there is no cluster ${JSON.stringify(context.cluster)}`);
    }
    const user = context.user === undefined ? null : config.getUser(context.user);
    if (context.user !== undefined && user === null) {
      throw new Error(`there is no user ${JSON.stringify(context.user)}`);
    }
    const raw = asRecord(parse(text)) ?? {};
    const tokenFile = namedPart(raw, "users", context.user, "user")["tokenFile"];
    const compress = namedPart(raw, "clusters", context.cluster, "cluster")["disable-compression"] !== true;
    return makeLogin(options, cluster, user ?? undefined, {
      compress,
      tokenFile:
        typeof tokenFile === "string" && tokenFile !== "" ? path.resolve(path.dirname(file), tokenFile) : "",
    });
  } catch (error) {
    throw new Error(`Cannot use the kubeconfig ${JSON.stringify(file)}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** The first line of a message: an excerpt of the file may follow, which may be anything. */
function reasonOf(error: unknown): string {
  const [reason = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
  return reason;
}

function makeLogin(
  options: AccessOptions,
  cluster: Cluster,
  user: User | undefined,
  extras: { readonly tokenFile?: string; readonly compress?: boolean },
): Login {
  const server = serverUrl(options.master === "" ? cluster.server : options.master);
  const { tokenFile = "", compress = true } = extras;
  // A user must be there for the client to apply the cluster's certificates; a token file beats a token.
  const { token, ...rest } = user ?? { name: "anonymous" };
  const login: User = tokenFile === "" && token !== undefined ? { ...rest, token } : rest;
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ ...cluster, server: server.href.replace(/\/$/, "") }, login);
  const proxy = cluster.proxyUrl ?? proxyFor(server, options.environment);
  return { config, server, proxy, compress, tokenFile };
}

function serverUrl(text: string): URL {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new Error(`${JSON.stringify(text)} is not the address of an API server`);
  }
  return url;
}

/** `part` of the entry called `name` in one of a kubeconfig's lists. */
function namedPart(raw: JsonRecord, list: string, name: string | undefined, part: string): JsonRecord {
  const entries = raw[list];
  const found = Array.isArray(entries)
    ? entries.find((entry) => asRecord(entry)?.["name"] === name)
    : undefined;
  return asRecord(asRecord(found)?.[part]) ?? {};
}
