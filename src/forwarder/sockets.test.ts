/**
 * Both kinds of ports with real sockets: endpoints on 127.0.0.2, so that the same port of 127.0.0.1 is free.
 *
 * @module
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { Balancer } from "./balancer.ts";
import { ConnectionLimit, type PortListener, type PortOptions } from "./port-listener.ts";
import { TcpPort } from "./tcp-port.ts";
import { backends } from "./testing.ts";
import { UdpPort } from "./udp-port.ts";

const toEnd: (() => void)[] = [];

afterEach(() => {
  for (const end of toEnd.splice(0)) {
    end();
  }
});

/** An endpoint at 127.0.0.2. @returns its port */
async function tcpEndpoint(serve: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    serve(socket);
  });
  toEnd.push(() => server.close());
  server.listen(0, "127.0.0.2");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function listen<Port extends PortListener>(
  Kind: new (options: PortOptions) => Port,
  port: number,
  targets: readonly string[] = [`127.0.0.2:${port}`],
  limit: ConnectionLimit = new ConnectionLimit(10),
): Promise<{ readonly port: Port; readonly balancer: Balancer }> {
  const balancer = new Balancer(backends(targets));
  const listening = Promise.withResolvers<void>();
  const opened = new Kind({
    host: "127.0.0.1",
    port,
    balancer,
    now: () => 0,
    limit,
    onListening: listening.resolve,
    onFailure: listening.reject,
  });
  toEnd.push(() => opened.abort());
  await listening.promise;
  return { port: opened, balancer };
}

async function read(socket: Socket): Promise<string> {
  let text = "";
  for await (const chunk of socket) {
    text += String(chunk);
  }
  return text;
}

function dial(port: number): Socket {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  toEnd.push(() => socket.destroy());
  return socket;
}

describe("a TCP port", () => {
  test("passes bytes on both ways, each direction closed for itself", async () => {
    // An endpoint that answers only once it has heard everything.
    const port = await tcpEndpoint((socket) => {
      read(socket).then(
        (text) => socket.end(text.toUpperCase()),
        () => {},
      );
    });
    await listen(TcpPort, port);
    const client = dial(port);
    client.write("half ");
    client.end("closed");
    expect(await read(client)).toBe("HALF CLOSED");
  });

  test("waits for a slow reader, and loses nothing", async () => {
    const size = 8 * 1024 * 1024;
    const port = await tcpEndpoint((socket) => socket.end(Buffer.alloc(size, "x")));
    await listen(TcpPort, port);
    const client = dial(port);
    client.pause();
    await once(client, "connect");
    let length = 0;
    client.on("data", (chunk: Buffer) => {
      length += chunk.length;
    });
    client.resume();
    await once(client, "end");
    expect(length).toBe(size);
  });

  test("tries the next endpoint when one refuses", async () => {
    const port = await tcpEndpoint((socket) => socket.end("here"));
    await listen(TcpPort, port, [`127.0.0.3:${port}`, `127.0.0.2:${port}`]);
    expect(await read(dial(port))).toBe("here");
  });

  test("breaks off when no endpoint answers", async () => {
    const port = await tcpEndpoint(() => {});
    await listen(TcpPort, port, [`127.0.0.3:${port}`]);
    await expect(read(dial(port))).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  test("passes on that an end broke off", async () => {
    const port = await tcpEndpoint((socket) => {
      socket.write("half");
      socket.once("data", () => socket.resetAndDestroy());
    });
    await listen(TcpPort, port);
    const client = dial(port);
    client.write("go");
    await expect(read(client)).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  test("when closed, takes no new connections and keeps the open ones until it is to break them", async () => {
    const port = await tcpEndpoint((socket) => socket.pipe(socket));
    const { port: opened } = await listen(TcpPort, port);
    const client = dial(port);
    client.write("one");
    expect(String((await once(client, "data"))[0])).toBe("one");
    const ended = Promise.withResolvers<string>();
    let isEnded = false;
    opened.close(() => {
      isEnded = true;
      ended.resolve("ended");
    });
    client.write("two");
    expect(String((await once(client, "data"))[0])).toBe("two");
    await expect(read(dial(port))).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect(isEnded).toBe(false);
    opened.abort();
    await expect(read(client)).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(await ended.promise).toBe("ended");
  });

  test("has no more connections than it may, and room again when one ends", async () => {
    const port = await tcpEndpoint((socket) => socket.pipe(socket));
    const counts: number[] = [];
    const ended = Promise.withResolvers<void>();
    const limit = new ConnectionLimit(1, (open) => {
      counts.push(open);
      if (open === 0) ended.resolve();
    });
    await listen(TcpPort, port, undefined, limit);
    const first = dial(port);
    first.write("one");
    await once(first, "data");
    await expect(read(dial(port))).rejects.toMatchObject({ code: "ECONNRESET" });
    first.end();
    await ended.promise;
    const next = dial(port);
    next.write("next");
    expect(String((await once(next, "data"))[0])).toBe("next");
    expect(counts).toEqual([1, 0, 1]);
  });

  test("tells that somebody else has the port", async () => {
    const port = await tcpEndpoint(() => {});
    await listen(TcpPort, port);
    await expect(listen(TcpPort, port)).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});

describe("a UDP port", () => {
  /** An endpoint that says who it is before what it got. @returns its port */
  async function udpEndpoint(host: string, port = 0): Promise<number> {
    const socket = createSocket("udp4");
    toEnd.push(() => socket.close());
    socket.on("message", (data, { port: from }) => socket.send(`${host} ${data}`, from, "127.0.0.1"));
    socket.bind(port, host);
    await once(socket, "listening");
    return socket.address().port;
  }

  function client(): UdpSocket {
    const socket = createSocket("udp4");
    toEnd.push(() => socket.close());
    return socket;
  }

  async function ask(socket: UdpSocket, port: number, text: string): Promise<string> {
    const answer = once(socket, "message");
    socket.send(text, port, "127.0.0.1");
    const [data] = (await answer) as [Buffer];
    return String(data);
  }

  test("keeps each client with its endpoint, and moves it when that serves no more", async () => {
    const port = await udpEndpoint("127.0.0.2");
    await udpEndpoint("127.0.0.3", port);
    const targets = [`127.0.0.2:${port}`, `127.0.0.3:${port}`];
    const { port: opened, balancer } = await listen(UdpPort, port, targets);
    const [one, two] = [client(), client()];
    expect(await ask(one, port, "a")).toBe("127.0.0.2 a");
    expect(await ask(two, port, "b")).toBe("127.0.0.3 b");
    expect(await ask(one, port, "c")).toBe("127.0.0.2 c");
    balancer.backends = backends(targets.slice(1));
    opened.changed();
    expect(await ask(one, port, "d")).toBe("127.0.0.3 d");
    expect(await ask(two, port, "e")).toBe("127.0.0.3 e");
  });

  test.each([
    ["is not there", (port: number) => `127.0.0.9:${port}`],
    // A broadcast address: the kernel refuses to connect to it.
    ["cannot be connected to", () => "255.255.255.255:9"],
  ])("a client whose endpoint %s is free for another", async (_, first) => {
    const port = await udpEndpoint("127.0.0.2");
    await listen(UdpPort, port, [first(port), `127.0.0.2:${port}`]);
    const one = client();
    const answer = once(one, "message");
    const timer = setInterval(() => one.send("hello", port, "127.0.0.1"), 5);
    const [data] = (await answer) as [Buffer];
    clearInterval(timer);
    expect(String(data)).toBe("127.0.0.2 hello");
  });

  test("counts its clients against the limit, and frees them when it closes", async () => {
    const port = await udpEndpoint("127.0.0.2");
    const counts: number[] = [];
    const { port: opened } = await listen(
      UdpPort,
      port,
      undefined,
      new ConnectionLimit(1, (open) => counts.push(open)),
    );
    const [one, two] = [client(), client()];
    expect(await ask(one, port, "a")).toBe("127.0.0.2 a");
    two.send("lost", port, "127.0.0.1");
    expect(await ask(one, port, "b")).toBe("127.0.0.2 b");
    opened.close();
    expect(counts).toEqual([1, 0]);
  });

  test("tells that somebody else has the port", async () => {
    const port = await udpEndpoint("127.0.0.2");
    await listen(UdpPort, port);
    await expect(listen(UdpPort, port)).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});
