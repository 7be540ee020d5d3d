/**
 * Tests of listening: real sockets on loopback, hand-made timers.
 *
 * @module
 */
import { networkInterfaces } from "node:os";
import { describe, expect, test } from "vitest";
import {
  bindBothFamilies,
  formatListenAddress,
  keepTryingToListen,
  type Listener,
  type ListenOptions,
  openListener,
} from "./http-listener.ts";
import { type HttpHandler, textReply } from "./http-message.ts";
import { HandTimers, rawRequest } from "./testing.ts";

const quiet: ListenOptions = { onError: () => {} };
const hello: HttpHandler = ({ path }) => textReply(200, `hello ${path}`);
const hasIPv6 = Object.values(networkInterfaces()).some((list) => list?.some((one) => one.address === "::1"));

async function withListener(
  handler: HttpHandler,
  host: string,
  options: ListenOptions,
  use: (port: number) => Promise<void>,
): Promise<void> {
  const listener = await openListener(handler, { host, port: 0 }, options);
  try {
    await use(listener.address.port);
  } finally {
    await listener.close();
  }
}

describe("openListener()", () => {
  test.runIf(hasIPv6).each(["0.0.0.0", "::"])("serves both families on %s", async (host) => {
    await withListener(hello, host, quiet, async (port) => {
      expect(await rawRequest(port, "/x")).toContain("hello /x");
      expect(await rawRequest(port, "/x", { host: "::1" })).toContain("hello /x");
    });
  });

  test.runIf(hasIPv6).each([
    ["0.0.0.0", "127.0.0.1", "::1"],
    ["::", "::1", "127.0.0.1"],
  ])("keeps %s to its own family when told so", async (host, own, other) => {
    await withListener(hello, host, { ...quiet, singleFamily: true }, async (port) => {
      expect(await rawRequest(port, "/x", { host: own })).toContain("hello /x");
      await expect(rawRequest(port, "/x", { host: other })).rejects.toThrow();
    });
  });

  test.runIf(hasIPv6)("lets both families have the same port", async () => {
    await withListener(hello, "0.0.0.0", { ...quiet, singleFamily: true }, async (port) => {
      const other = await openListener(hello, { host: "::", port }, { ...quiet, singleFamily: true });
      await other.close();
    });
  });

  test("names the address that it cannot bind, with the cause", async () => {
    await withListener(hello, "127.0.0.1", quiet, async (port) => {
      const attempt = openListener(hello, { host: "127.0.0.1", port }, quiet);
      await expect(attempt).rejects.toThrow(
        new RegExp(`^Cannot listen on 127\\.0\\.0\\.1:${port}: .*EADDRINUSE`),
      );
      await expect(attempt).rejects.toMatchObject({ cause: { code: "EADDRINUSE" } });
    });
  });

  test("close() frees the port even while a connection is open", async () => {
    const listener = await openListener(hello, { host: "127.0.0.1", port: 0 }, quiet);
    const keptOpen = fetch(`http://127.0.0.1:${listener.address.port}/`);
    await (await keptOpen).text();
    await listener.close();
    const again = await openListener(hello, listener.address, quiet);
    await again.close();
  });

  test("answers 500 when the handler fails, reports it, and goes on", async () => {
    const errors: unknown[] = [];
    const handler: HttpHandler = ({ path }) => {
      if (path === "/bad") {
        throw new TypeError("broken");
      }
      return path === "/worse" ? Promise.reject(new TypeError("broken later")) : textReply(200, "fine");
    };
    await withListener(handler, "127.0.0.1", { onError: (error) => errors.push(error) }, async (port) => {
      expect(await rawRequest(port, "/bad")).toMatch(/^HTTP\/1\.1 500 [\s\S]*\r\n\r\ninternal error\n$/);
      expect(await rawRequest(port, "/worse")).toMatch(/^HTTP\/1\.1 500 /);
      expect(await rawRequest(port, "/good")).toMatch(/^HTTP\/1\.1 200 /);
    });
    expect(errors).toEqual([new TypeError("broken"), new TypeError("broken later")]);
  });

  test("hands over method, query, accepted encodings and a body up to the limit", async () => {
    const handler: HttpHandler = async (request) =>
      textReply(
        200,
        [
          request.method,
          request.path,
          request.query.get("a"),
          request.acceptEncoding,
          await request.readText(5),
        ].join("|"),
      );
    await withListener(handler, "127.0.0.1", quiet, async (port) => {
      const send = async (body: string): Promise<string> => {
        const headers = { "Accept-Encoding": "br" };
        const url = `http://127.0.0.1:${port}/p?a=1`;
        return (await fetch(url, { method: "PUT", headers, body })).text();
      };
      expect(await send("four5")).toBe("PUT|/p|1|br|four5");
      expect(await send("longer than that")).toBe("PUT|/p|1|br|");
    });
  });

  test("sends no body in answer to HEAD, but its length", async () => {
    await withListener(hello, "127.0.0.1", quiet, async (port) => {
      expect(await rawRequest(port, "/x", { method: "HEAD" })).toMatch(
        /Content-Length: 8\r\n[\s\S]*\r\n\r\n$/,
      );
    });
  });
});

test.each([
  ["EAFNOSUPPORT", ["::", "0.0.0.0"]],
  ["EADDRNOTAVAIL", ["::", "0.0.0.0"]],
  ["EINVAL", ["::", "0.0.0.0"]],
  ["EADDRINUSE", ["::"]],
  ["EACCES", ["::"]],
])("bindBothFamilies() after %s has tried %j", async (code, hosts) => {
  const tried: string[] = [];
  const bind = (host: string): Promise<never> => {
    tried.push(host);
    return Promise.reject(Object.assign(new Error(code), { code }));
  };
  await expect(bindBothFamilies(bind)).rejects.toThrow(code);
  expect(tried).toEqual(hosts);
});

describe("keepTryingToListen()", () => {
  const listener: Listener = { address: { host: "127.0.0.1", port: 1 }, close: () => Promise.resolve() };

  /** Fails `failures` times, then opens. */
  function opener(failures: number): () => Promise<Listener> {
    let attempts = 0;
    return () =>
      attempts++ < failures ? Promise.reject(new Error(`attempt ${attempts}`)) : Promise.resolve(listener);
  }

  /** Lets everything that is ready happen. */
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  test("tries again five seconds after each failure", async () => {
    const timers = new HandTimers();
    const failures: string[] = [];
    const opened = keepTryingToListen(opener(2), {
      hardFail: false,
      onFailure: (error) => failures.push(String(error)),
      clock: timers,
      signal: new AbortController().signal,
    });
    await turn();
    expect(timers.delays).toEqual([5000]);
    timers.fire();
    await turn();
    expect(timers.delays).toEqual([5000]);
    timers.fire();
    expect(await opened).toBe(listener);
    expect(failures).toEqual(["Error: attempt 1", "Error: attempt 2"]);
    expect(timers.delays).toEqual([]);
  });

  test("gives up at the first failure when that is to be fatal", async () => {
    const timers = new HandTimers();
    const failures: unknown[] = [];
    const opened = keepTryingToListen(opener(1), {
      hardFail: true,
      onFailure: (error) => failures.push(error),
      clock: timers,
      signal: new AbortController().signal,
    });
    await expect(opened).rejects.toThrow("attempt 1");
    expect(failures).toHaveLength(1);
    expect(timers.delays).toEqual([]);
  });

  test("ends without a listener when the signal comes during the pause", async () => {
    const timers = new HandTimers();
    const abort = new AbortController();
    const options = { hardFail: false, onFailure: () => {}, clock: timers, signal: abort.signal };
    const opened = keepTryingToListen(opener(9), options);
    await turn();
    abort.abort();
    expect(await opened).toBeUndefined();
    expect(timers.delays).toEqual([]);
    expect(await keepTryingToListen(opener(0), options)).toBeUndefined();
  });
});

test("formatListenAddress() puts IPv6 addresses into brackets", () => {
  expect(formatListenAddress({ host: "10.0.0.1", port: 80 })).toBe("10.0.0.1:80");
  expect(formatListenAddress({ host: "::", port: 80 })).toBe("[::]:80");
});
