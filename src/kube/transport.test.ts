/**
 * Tests of requests over real sockets.
 *
 * @module
 */
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { makeCertificate } from "./testing-certificate.ts";
import {
  type ApiAccess,
  type ApiConnection,
  type ApiRequest,
  type ApiResponse,
  HttpTransport,
} from "./transport.ts";

const certificate = makeCertificate();

const get: ApiRequest = {
  method: "GET",
  path: "/api/v1/services",
  query: { labelSelector: "!a/b", fieldSelector: "spec.clusterIP!=None" },
  compress: false,
};

/** A server for the duration of the test; gives its URL. */
async function serve(listener: http.RequestListener, tls = false): Promise<URL> {
  const server = tls ? https.createServer(certificate, listener) : http.createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return new URL(`${tls ? "https" : "http"}://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

function transportTo(server: URL, connection: Partial<ApiConnection> = {}, refresh = false): HttpTransport {
  const access: ApiAccess = {
    current: () => Promise.resolve({ server, proxy: undefined, compress: true, options: {}, ...connection }),
    refresh: () => Promise.resolve(refresh),
  };
  const transport = new HttpTransport(access);
  onTestFinished(() => transport.close());
  return transport;
}

async function read(response: ApiResponse): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

const forever = new AbortController().signal;

test("request() sends path, query, headers and body, below the path of the server", async () => {
  const server = await serve((request, response) => {
    request.setEncoding("utf8");
    request.on("data", (body: string) => {
      const { method, url, headers } = request;
      const { accept, authorization, "content-type": type, "user-agent": agent } = headers;
      response.end(JSON.stringify({ method, url, accept, authorization, type, agent, body }));
    });
  });
  const options = { headers: { Authorization: "Bearer t" } };
  const transport = transportTo(new URL("/k8s/cluster/", server), { options });
  const body = { text: '{"ä":1}', type: "application/json" };
  const response = await transport.request({ ...get, method: "POST", body }, forever);
  expect(JSON.parse(await read(response))).toEqual({
    method: "POST",
    url: "/k8s/cluster/api/v1/services?labelSelector=%21a%2Fb&fieldSelector=spec.clusterIP%21%3DNone",
    accept: "application/json",
    authorization: "Bearer t",
    type: "application/json",
    agent: "kube-sluice",
    body: '{"ä":1}',
  });
});

test("request() gives status and Retry-After", async () => {
  const server = await serve((_, response) => response.writeHead(429, { "Retry-After": "7" }).end("busy"));
  const response = await transportTo(server).request(get, forever);
  expect([response.status, response.retryAfterMs, await read(response)]).toEqual([429, 7000, "busy"]);
});

test("request() speaks TLS with the options it is given, and verifies the server", async () => {
  const server = await serve((_, response) => response.end("secret"), true);
  const trusting = transportTo(server, { options: { ca: certificate.cert } });
  expect(await read(await trusting.request(get, forever))).toBe("secret");
  await expect(transportTo(server).request(get, forever)).rejects.toThrow(/self-signed/);
});

test("request() asks for compression where it is allowed and unpacks it", async () => {
  const server = await serve((request, response) => {
    const asked = request.headers["accept-encoding"] === "gzip";
    response.writeHead(200, asked ? { "Content-Encoding": "gzip" } : {});
    response.end(asked ? gzipSync("packed") : "plain");
  });
  const transport = transportTo(server);
  expect(await read(await transport.request({ ...get, compress: true }, forever))).toBe("packed");
  expect(await read(await transport.request(get, forever))).toBe("plain");
  const modest = transportTo(server, { compress: false });
  expect(await read(await modest.request({ ...get, compress: true }, forever))).toBe("plain");
});

test.each([true, false])(
  "request() gives a body that rejects when the connection breaks, packed: %s",
  async (packed) => {
    const server = await serve((_, response) => {
      response.writeHead(200, packed ? { "Content-Encoding": "gzip" } : {});
      response.write(packed ? gzipSync("x".repeat(1000)).subarray(0, 20) : "the beginning", () =>
        response.socket?.destroy(),
      );
    });
    const response = await transportTo(server).request(get, forever);
    await expect(read(response)).rejects.toThrow();
  },
);

test("request() ends with the signal before the response has begun", async () => {
  const transport = transportTo(await serve(() => undefined));
  const stop = new AbortController();
  const request = transport.request(get, stop.signal);
  stop.abort();
  await expect(request).rejects.toThrow(/abort/);
  await expect(transport.request(get, stop.signal)).rejects.toThrow(/abort/);
});

test("request() ends with the signal after the response has begun", async () => {
  const transport = transportTo(await serve((_, response) => response.write("x")));
  const stop = new AbortController();
  const reading = read(await transport.request(get, stop.signal));
  stop.abort();
  await expect(reading).rejects.toThrow(/abort/);
});

test("request() tries once more after a 401 when the credentials have changed", async () => {
  let requests = 0;
  const server = await serve((_, response) => {
    requests += 1;
    response.writeHead(requests % 2 === 1 ? 401 : 200).end();
  });
  expect((await transportTo(server, {}, true).request(get, forever)).status).toBe(200);
  expect((await transportTo(server, {}, false).request(get, forever)).status).toBe(401);
  expect(requests).toBe(3);
});

test("request() sends again what met a kept connection that the server had closed", async () => {
  const sockets = new Set<unknown>();
  const server = await serve((request, response) => {
    const stale = sockets.has(request.socket);
    sockets.add(request.socket);
    if (stale) {
      request.socket.destroy();
    } else {
      response.end("ok");
    }
  });
  const transport = transportTo(server);
  expect(await read(await transport.request(get, forever))).toBe("ok");
  expect(await read(await transport.request(get, forever))).toBe("ok");
  expect(sockets.size).toBe(2);
});

test("request() reads no more than the consumer takes", async () => {
  let written = 0;
  const chunk = Buffer.alloc(64 * 1024);
  const server = await serve((_, response) => {
    const write = (): void => {
      while (written < 256 * 1024 * 1024 && response.write(chunk)) {
        written += chunk.length;
      }
      written += chunk.length;
    };
    response.on("drain", write);
    write();
  });
  const stop = new AbortController();
  const response = await transportTo(server).request(get, stop.signal);
  const iterator = response.body[Symbol.asyncIterator]();
  await iterator.next();
  // With nobody reading on, the server comes to a standstill once the buffers of both sides are full.
  let before = -1;
  while (before !== written) {
    before = written;
    for (let turn = 0; turn < 200; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  expect(written).toBeLessThan(64 * 1024 * 1024);
  stop.abort();
});

test("request() goes through a proxy where there is one", async () => {
  const asked: string[] = [];
  const proxy = await serve((request, response) => {
    asked.push(request.url ?? "");
    response.end("from the proxy");
  });
  const transport = transportTo(new URL("http://api.example.test:8080"), { proxy: proxy.href });
  expect(await read(await transport.request({ ...get, query: {} }, forever))).toBe("from the proxy");
  expect(asked).toEqual(["http://api.example.test:8080/api/v1/services"]);
});

test("request() rejects when there is no server", async () => {
  const gone = await serve(() => undefined);
  const transport = transportTo(new URL(gone.href.replace(gone.port, "1")));
  await expect(transport.request(get, forever)).rejects.toThrow(/ECONNREFUSED/);
});
