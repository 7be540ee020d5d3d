/**
 * Tests of finding the API server and our identity.
 *
 * @module
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { stringify } from "yaml";
import type { JsonRecord } from "./fields.ts";
import { type AccessOptions, openApiAccess } from "./kubeconfig.ts";
import { FakeClock } from "./testing.ts";
import type { ApiAccess } from "./transport.ts";

interface Place {
  readonly folder: string;
  readonly file: string;
  write(cluster: JsonRecord, user?: JsonRecord): Promise<void>;
}

/** A folder with a kubeconfig in it. */
async function place(): Promise<Place> {
  const folder = await mkdtemp(path.join(tmpdir(), "kubeconfig-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = path.join(folder, "kubeconfig.conf");
  return {
    folder,
    file,
    write: (cluster, user) =>
      writeFile(
        file,
        stringify({
          apiVersion: "v1",
          kind: "Config",
          clusters: [{ name: "default", cluster: { server: "https://10.0.0.1:6443", ...cluster } }],
          contexts: [{ name: "default", context: { cluster: "default", ...(user && { user: "default" }) } }],
          "current-context": "default",
          users: user ? [{ name: "default", user }] : [],
        }),
      ),
  };
}

interface Opened {
  readonly access: ApiAccess;
  readonly clock: FakeClock;
  readonly logs: string[];
}

async function open(options: Partial<AccessOptions>): Promise<Opened> {
  const clock = new FakeClock();
  const logs: string[] = [];
  const access = await openApiAccess({
    kubeconfig: "",
    master: "",
    environment: {},
    clock,
    log: (level, message) => logs.push(`${level}: ${message}`),
    ...options,
  });
  return { access, clock, logs };
}

test("openApiAccess() reads kubeadm's kubeconfig, token file and all, relative to the file", async () => {
  const { folder, file, write } = await place();
  await write({ "certificate-authority": "ca.crt" }, { tokenFile: "token", token: "beaten" });
  await writeFile(path.join(folder, "ca.crt"), "the authority");
  await writeFile(path.join(folder, "token"), "first\n");
  const { access } = await open({ kubeconfig: file });
  const connection = await access.current();
  expect(connection).toMatchObject({ proxy: undefined, compress: true });
  expect(connection.server.href).toBe("https://10.0.0.1:6443/");
  expect(connection.options).toMatchObject({
    ca: Buffer.from("the authority"),
    headers: { Authorization: "Bearer first" },
  });
  expect(connection.options).not.toHaveProperty("agent");
});

test("current() follows a token file and an authority that are replaced", async () => {
  const { folder, file, write } = await place();
  await write({ "certificate-authority": "ca.crt" }, { tokenFile: "token" });
  await writeFile(path.join(folder, "ca.crt"), "old");
  await writeFile(path.join(folder, "token"), "old");
  const { access } = await open({ kubeconfig: file });
  await access.current();
  expect(await access.refresh()).toBe(false);
  await writeFile(path.join(folder, "ca.crt"), "new");
  await writeFile(path.join(folder, "token"), "new");
  expect(await access.refresh()).toBe(true);
  expect((await access.current()).options).toMatchObject({
    ca: Buffer.from("new"),
    headers: { Authorization: "Bearer new" },
  });
});

test("current() reads the kubeconfig again after a minute and keeps the last good one", async () => {
  const { file, write } = await place();
  await write({}, { token: "first" });
  const { access, clock, logs } = await open({ kubeconfig: file });
  await write({ server: "https://10.0.0.2:6443" }, { token: "second" });
  await clock.advance(59_999);
  expect((await access.current()).server.hostname).toBe("10.0.0.1");
  await clock.advance(1);
  expect(await access.current()).toMatchObject({
    server: { hostname: "10.0.0.2" },
    options: { headers: { Authorization: "Bearer second" } },
  });
  await writeFile(file, "clusters: [");
  for (let minutes = 0; minutes < 3; minutes++) {
    await clock.advance(60_000);
    expect((await access.current()).server.hostname).toBe("10.0.0.2");
  }
  expect(logs).toEqual(["error: Cannot read the kubeconfig again: the last one stays in use"]);
});

test("openApiAccess() reads certificates, names, passwords and options", async () => {
  const { file, write } = await place();
  await write(
    {
      server: "https://[fd00::1]:6443/prefix",
      "certificate-authority-data": Buffer.from("ca").toString("base64"),
      "tls-server-name": "kubernetes",
      "proxy-url": "http://proxy:3128",
      "disable-compression": true,
    },
    {
      "client-certificate-data": Buffer.from("cert").toString("base64"),
      "client-key-data": Buffer.from("key").toString("base64"),
      username: "u",
      password: "p",
    },
  );
  const { access } = await open({ kubeconfig: file });
  const connection = await access.current();
  expect(connection.server.href).toBe("https://[fd00::1]:6443/prefix");
  expect(connection).toMatchObject({
    proxy: "http://proxy:3128",
    compress: false,
    options: {
      ca: Buffer.from("ca"),
      cert: Buffer.from("cert"),
      key: Buffer.from("key"),
      servername: "kubernetes",
      auth: "u:p",
    },
  });
});

test("openApiAccess() applies the cluster's authority also without a user", async () => {
  const { file, write } = await place();
  await write({ "certificate-authority-data": Buffer.from("ca").toString("base64") });
  const { access } = await open({ kubeconfig: file });
  expect((await access.current()).options).toMatchObject({ ca: Buffer.from("ca"), headers: {} });
});

test("openApiAccess() turns verification off only when told to", async () => {
  const { file, write } = await place();
  await write({ "insecure-skip-tls-verify": true }, { token: "t" });
  expect((await (await open({ kubeconfig: file })).access.current()).options.rejectUnauthorized).toBe(false);
  await write({}, { token: "t" });
  expect(
    (await (await open({ kubeconfig: file })).access.current()).options.rejectUnauthorized,
  ).toBeUndefined();
});

test("openApiAccess() takes another server by --master and sends no credentials over plain HTTP", async () => {
  const { file, write } = await place();
  await write({}, { token: "t" });
  const { access } = await open({ kubeconfig: file, master: "http://127.0.0.1:8080" });
  expect(await access.current()).toMatchObject({ server: { href: "http://127.0.0.1:8080/" }, options: {} });
  expect((await access.current()).options).toEqual({});
  const bare = await open({ master: "https://10.0.0.9:6443" });
  expect(await bare.access.current()).toMatchObject({ server: { host: "10.0.0.9:6443" } });
});

test("openApiAccess() takes the proxy from the environment", async () => {
  const { access } = await open({
    master: "https://10.0.0.9:6443",
    environment: { HTTPS_PROXY: "http://proxy:3128" },
  });
  expect((await access.current()).proxy).toBe("http://proxy:3128");
});

test("openApiAccess() falls back to the pod's service account, with a warning", async () => {
  const { folder } = await place();
  await writeFile(path.join(folder, "ca.crt"), "ca");
  await writeFile(path.join(folder, "token"), "t");
  const { access, logs } = await open({
    environment: { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" },
    serviceAccount: folder,
  });
  expect(await access.current()).toMatchObject({
    server: { href: "https://[fd00::1]/" },
    options: { ca: Buffer.from("ca"), headers: { Authorization: "Bearer t" } },
  });
  expect(logs).toEqual([
    expect.stringMatching(/^warn: Neither kubeconfig file nor master URL was specified/),
  ]);
});

test("openApiAccess() says what is missing", async () => {
  const { file, folder } = await place();
  await expect(open({})).rejects.toThrow(/KUBERNETES_SERVICE_HOST/);
  await expect(open({ kubeconfig: path.join(folder, "absent") })).rejects.toThrow(/absent.*ENOENT/);
  await writeFile(path.join(folder, "binary"), new Uint8Array([0x63, 0x3a, 0x20, 0x00, 0x07, 0x0a]));
  await expect(open({ kubeconfig: path.join(folder, "binary") })).rejects.toThrow(
    /^Cannot use the kubeconfig "[^\n]*$/,
  );
  await expect(open({ master: "ftp://x" })).rejects.toThrow('"ftp://x" is not the address of an API server');
  const cases: readonly (readonly [JsonRecord, RegExp])[] = [
    [{}, /it has no current context/],
    [{ "current-context": "x" }, /there is no context "x"/],
    [
      { contexts: [{ name: "x", context: { cluster: "c" } }], "current-context": "x" },
      /there is no cluster "c"/,
    ],
    [
      {
        clusters: [{ name: "c", cluster: { server: "https://a" } }],
        contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
        "current-context": "x",
      },
      /there is no user "u"/,
    ],
  ];
  for (const [content, message] of cases) {
    await writeFile(file, stringify(content));
    await expect(open({ kubeconfig: file })).rejects.toThrow(message);
  }
});
