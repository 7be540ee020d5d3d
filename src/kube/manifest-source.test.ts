/**
 * Tests of a folder of manifests on a real file system.
 *
 * @module
 */
import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { stringify } from "yaml";
import { type Clock, systemClock } from "./clock.ts";
import { ManifestSource } from "./manifest-source.ts";
import { hurriedClock, nodeJson, RecordingHandler, serviceJson } from "./testing.ts";

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "manifests-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function manifest(name: string, port = 80): string {
  return stringify(serviceJson(name, "", port));
}

function manifests(...names: readonly string[]): string {
  return names.map((name) => manifest(name)).join("---\n");
}

/** A source that watches, and its consumer after the first look. */
async function watching(folder: string, clock: Clock = hurriedClock): Promise<RecordingHandler> {
  const handler = new RecordingHandler();
  const stop = new AbortController();
  const end = new ManifestSource({ folder, nodeName: "node-1", clock }).start(handler, stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await end;
  });
  await handler.until(() => handler.calls.includes("synced Node"));
  handler.take();
  return handler;
}

test("start() reads a folder once and ends when asked to", async () => {
  const folder = await emptyFolder();
  await writeFile(path.join(folder, "b.yaml"), manifest("b"));
  await writeFile(path.join(folder, "a.json"), JSON.stringify(serviceJson("a", "")));
  await writeFile(path.join(folder, "node.yml"), stringify(nodeJson("node-1", "")));
  await writeFile(path.join(folder, "broken.yaml"), "a: [\n");
  await writeFile(path.join(folder, ".hidden.yaml"), manifest("hidden"));
  await writeFile(path.join(folder, "README.md"), "not a manifest");
  const handler = new RecordingHandler();
  const source = new ManifestSource({ folder, nodeName: "node-1", once: true });
  await source.start(handler, new AbortController().signal);
  expect(handler.take()).toEqual([
    "upsert Service default/a",
    "upsert Service default/b",
    "upsert Node node-1",
    "problem manifest broken.yaml",
    "synced Service",
    "synced EndpointSlice",
    "synced Node",
  ]);
  expect(handler.problems[0]?.message).toMatch(/^line 2: .*: it is ignored$/);
});

test("start() rejects when there is no such folder", async () => {
  const folder = path.join(await emptyFolder(), "absent");
  const source = new ManifestSource({ folder, nodeName: "node-1" });
  await expect(source.start(new RecordingHandler(), new AbortController().signal)).rejects.toThrow(
    `Cannot read the manifests in ${JSON.stringify(folder)}: `,
  );
});

test("start() follows files that are added, changed, replaced and deleted", async () => {
  const folder = await emptyFolder();
  await writeFile(path.join(folder, "a.yaml"), manifest("a"));
  const handler = await watching(folder);
  await writeFile(path.join(folder, "b.yaml"), manifest("b"));
  await handler.until(() => handler.objects.has("Service default/b"));
  await writeFile(path.join(folder, "new"), manifest("a", 81));
  await rename(path.join(folder, "new"), path.join(folder, "a.yaml"));
  await handler.until(() => handler.calls.length === 2);
  await unlink(path.join(folder, "b.yaml"));
  await handler.until(() => handler.calls.length === 3);
  expect(handler.take()).toEqual([
    "upsert Service default/b",
    "upsert Service default/a",
    "remove Service default/b",
  ]);
});

test("start() lets nobody in between the changes of one look", async () => {
  const folder = await emptyFolder();
  // No time is left over for anything: whoever may be let in is.
  let now = 0;
  const handler = await watching(folder, { ...hurriedClock, now: () => (now += 1000) });
  let turns = 0;
  let counting = true;
  const count = (): void => {
    turns += 1;
    if (counting) {
      setImmediate(count);
    }
  };
  const seen: number[] = [];
  const upsert = handler.upsert.bind(handler);
  handler.upsert = (object) => {
    seen.push(turns);
    upsert(object);
  };
  setImmediate(count);
  await writeFile(path.join(folder, ".all"), manifests("a", "b", "c", "d"));
  await rename(path.join(folder, ".all"), path.join(folder, "all.yaml"));
  await handler.until(() => handler.calls.length === 4);
  counting = false;
  expect(new Set(seen).size).toBe(1);
});

test("start() hears of a change from the file system, long before it would look by itself", async () => {
  const folder = await emptyFolder();
  const patient: Clock = {
    ...systemClock,
    // The regular look never comes; only the short wait after a report does.
    after: (delayMs, callback) => systemClock.after(delayMs >= 1000 ? 3_600_000 : 1, callback),
  };
  const handler = await watching(folder, patient);
  await writeFile(path.join(folder, "a.yaml"), manifest("a"));
  await handler.until(() => handler.objects.has("Service default/a"));
});

test("start() follows a mounted ConfigMap, whose files are links that change all at once", async () => {
  const folder = await emptyFolder();
  for (const [version, port] of [
    ["v1", 80],
    ["v2", 81],
  ] as const) {
    await mkdir(path.join(folder, `..${version}`));
    await writeFile(path.join(folder, `..${version}`, "a.yaml"), manifest("a", port));
  }
  await symlink("..v1", path.join(folder, "..data"));
  await symlink("..data/a.yaml", path.join(folder, "a.yaml"));
  const handler = await watching(folder);
  await symlink("..v2", path.join(folder, "..tmp"));
  await rename(path.join(folder, "..tmp"), path.join(folder, "..data"));
  await handler.until(() => handler.calls.length === 1);
  expect(handler.objects.get("Service default/a")).toMatchObject({ ports: [{ port: 81 }] });
});

test("start() keeps the last good objects of a file that becomes malformed, and says so once", async () => {
  const folder = await emptyFolder();
  await writeFile(path.join(folder, "a.yaml"), manifest("a"));
  await writeFile(path.join(folder, "b.yaml"), manifest("b"));
  const handler = await watching(folder);
  await writeFile(path.join(folder, "a.yaml"), "kind: [\n");
  await handler.until(() => handler.problems.length === 1);
  await writeFile(path.join(folder, "b.yaml"), manifest("b", 81));
  await handler.until(() => handler.calls.length === 2);
  await writeFile(path.join(folder, "a.yaml"), manifest("a", 82));
  await handler.until(() => handler.calls.length === 4);
  expect(handler.take()).toEqual([
    "problem manifest a.yaml",
    "upsert Service default/b",
    "upsert Service default/a",
    "cleared manifest a.yaml",
  ]);
});

test("start() believes that a file is empty only after a second", async () => {
  const folder = await emptyFolder();
  await writeFile(path.join(folder, "a.yaml"), manifest("a"));
  let now = 0;
  const handler = await watching(folder, { ...hurriedClock, now: () => now });
  await writeFile(path.join(folder, "a.yaml"), "");
  // Another file shows that the empty one has been looked at.
  for (const [time, name] of [
    [0, "b"],
    [999, "c"],
  ] as const) {
    now = time;
    await writeFile(path.join(folder, `${name}.yaml`), manifest(name));
    await handler.until(() => handler.objects.has(`Service default/${name}`));
    expect(handler.take()).toEqual([`upsert Service default/${name}`]);
  }
  now = 1000;
  await handler.until(() => handler.calls.length === 1);
  expect(handler.take()).toEqual(["remove Service default/a"]);
});

test("start() takes a file that is filled right after it was emptied for a changed one", async () => {
  const folder = await emptyFolder();
  await writeFile(path.join(folder, "a.yaml"), manifest("a"));
  const handler = await watching(folder, { ...hurriedClock, now: () => 0 });
  await writeFile(path.join(folder, "a.yaml"), "");
  await writeFile(path.join(folder, "b.yaml"), manifest("b"));
  await handler.until(() => handler.objects.has("Service default/b"));
  await writeFile(path.join(folder, "a.yaml"), manifest("a", 81));
  await handler.until(() => handler.calls.length === 2);
  expect(handler.take()).toEqual(["upsert Service default/b", "upsert Service default/a"]);
});

test("start() leaves everything as it is while the folder is away", async () => {
  const folder = await emptyFolder();
  await writeFile(path.join(folder, "a.yaml"), manifest("a"));
  const handler = await watching(folder);
  await rename(folder, `${folder}-away`);
  onTestFinished(() => rm(`${folder}-away`, { recursive: true, force: true }));
  await handler.until(() => handler.problems.length === 1);
  await rename(`${folder}-away`, folder);
  await writeFile(path.join(folder, "b.yaml"), manifest("b"));
  await handler.until(() => handler.objects.has("Service default/b"));
  expect(handler.take()).toEqual([
    `problem manifest ${folder}`,
    `cleared manifest ${folder}`,
    "upsert Service default/b",
  ]);
});

test("start() tries a file that cannot be read again and again, and says so once", async () => {
  const folder = await emptyFolder();
  await symlink("absent", path.join(folder, "a.yaml"));
  const handler = await watching(folder);
  expect(handler.problems.map(({ object }) => object)).toEqual(["a.yaml"]);
  await writeFile(path.join(folder, "b.yaml"), manifest("b"));
  await handler.until(() => handler.objects.has("Service default/b"));
  await writeFile(path.join(folder, "absent"), manifest("a"));
  await handler.until(() => handler.calls.length === 3);
  expect(handler.take()).toEqual([
    "upsert Service default/b",
    "upsert Service default/a",
    "cleared manifest a.yaml",
  ]);
});
