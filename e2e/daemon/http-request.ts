/**
 * HTTP requests that this process makes from inside another network namespace.
 *
 * A socket stays in the namespace that it was opened in, so it is opened and connected there by hand and handed to
 * Node's client.
 *
 * @module
 */
import { request } from "node:http";
import { isIPv4, Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import {
  AF_INET,
  AF_INET6,
  connectSocket,
  EINPROGRESS,
  errorName,
  isWritable,
  openSocket,
  SOCK_STREAM,
  socketAddress,
  takeSocketError,
} from "../harness/libc.ts";
import type { Namespace } from "../harness/namespace.ts";

/** Where to, and what. */
export interface HttpRequest {
  readonly ip: string;
  readonly port: number;
  readonly path: string;
  /** GET unless told. */
  readonly method?: string;
  readonly contentType?: string;
  readonly body?: string;
}

/** What came back. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

const timeoutMs = 5_000;

/** Makes one request on a connection of its own. Rejects when there is no answer. */
export async function requestFrom(namespace: Namespace, wanted: HttpRequest): Promise<HttpAnswer> {
  const socket = await connect(namespace, wanted.ip, wanted.port);
  const { method = "GET", path, body = "", contentType } = wanted;
  return await new Promise((resolve, reject) => {
    const headers = {
      Host: `${wanted.ip}:${wanted.port}`,
      Connection: "close",
      ...(contentType === undefined ? {} : { "Content-Type": contentType }),
      ...(body === "" ? {} : { "Content-Length": Buffer.byteLength(body) }),
    };
    const sent = request({ method, path, headers, createConnection: () => socket }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.once("error", reject);
      response.once("end", () => {
        socket.destroy();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
      });
    });
    sent.setTimeout(timeoutMs, () => sent.destroy(new Error(`no answer after ${timeoutMs} ms`)));
    sent.once("error", (error) => {
      socket.destroy();
      reject(new Error(`Cannot ${method} ${path} at ${wanted.ip}:${wanted.port}: ${error.message}`));
    });
    sent.end(body);
  });
}

async function connect(namespace: Namespace, ip: string, port: number): Promise<Socket> {
  const fail = (reason: string): never => {
    throw new Error(`Cannot connect to ${ip}:${port} from ${namespace.name}: ${reason}`);
  };
  const { descriptor, errno } = namespace.enter(() => {
    const opened = openSocket(isIPv4(ip) ? AF_INET : AF_INET6, SOCK_STREAM);
    return { descriptor: opened, errno: connectSocket(opened, socketAddress(ip, port)) };
  });
  const deadline = performance.now() + timeoutMs;
  for (let error = errno; error !== 0 || !isWritable(descriptor); error = takeSocketError(descriptor)) {
    if ((error !== 0 && error !== EINPROGRESS) || performance.now() > deadline) {
      new Socket({ fd: descriptor }).destroy();
      fail(error === 0 ? "no answer" : errorName(error));
    }
    await wait(1);
  }
  return new Socket({ fd: descriptor, readable: true, writable: true });
}
