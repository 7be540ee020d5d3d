/**
 * A folder of manifests as a source: no API server needed.
 *
 * The folder is looked through at the start, when the file system says that something happened, and every few
 * seconds all the same: some file systems report nothing, and a watch can be lost. Whether a file has changed is
 * told from its size and times; only then is it read.
 *
 * This file is an edge: it reads files.
 *
 * @module
 */
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { type Clock, systemClock } from "./clock.ts";
import { FolderBell } from "./folder-bell.ts";
import { ManifestError, parseManifest } from "./manifest-file.ts";
import { ManifestFolder } from "./manifest-folder.ts";
import { type Change, deliver } from "./object-store.ts";
import { Pacer } from "./pacer.ts";
import { guardHandler, type ObjectSource, objectKinds, type SourceHandler } from "./source.ts";
import { StringPool } from "./string-pool.ts";

/** Time between two looks at the folder when nothing is reported, in milliseconds. */
const pollMs = 5000;

/** Time for which a file must have been empty to be believed, in milliseconds. */
const emptyMs = 1000;

/** Largest file, in bytes. */
const sizeLimit = 64 * 1024 * 1024;

/** Which folder, and how. */
export interface ManifestSourceOptions {
  readonly folder: string;
  /** Name of the Node that the program runs on: manifests may describe it. */
  readonly nodeName: string;
  /** End after the first look instead of watching. Default false. */
  readonly once?: boolean;
  readonly clock?: Clock;
  /** Where texts are shared, and what decoding keeps. */
  readonly pool?: StringPool;
}

/** Delivers from a folder of `*.yaml`, `*.yml` and `*.json`. */
export class ManifestSource implements ObjectSource {
  readonly #path: string;
  readonly #once: boolean;
  readonly #clock: Clock;
  readonly #folder: ManifestFolder;
  readonly #pool: StringPool;
  /** What a file looked like when it was last read. */
  readonly #marks = new Map<string, string>();
  /** Since when a file that held objects has been empty, on the clock. */
  readonly #emptied = new Map<string, number>();
  /** Why the folder could not be read at the last look; `""` when it could. */
  #failure = "";

  constructor(options: ManifestSourceOptions) {
    this.#path = options.folder;
    this.#once = options.once ?? false;
    this.#pool = options.pool ?? new StringPool();
    this.#clock = options.clock ?? systemClock;
    this.#folder = new ManifestFolder(options.nodeName);
  }

  /** As for every source; rejects with an Error when the folder cannot be read at the start. */
  async start(handler: SourceHandler, signal: AbortSignal): Promise<void> {
    const guarded = guardHandler(handler);
    let unripe = await this.#look(signal).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`Cannot read the manifests in ${JSON.stringify(this.#path)}: ${reason}`, {
        cause: error,
      });
    });
    await this.#deliver(guarded, signal, "in parts");
    for (const kind of objectKinds) {
      guarded.synced(kind);
    }
    using bell = new FolderBell(this.#path, this.#clock, (reason) => {
      const message = "Cannot watch the manifests: changes are found by looking every few seconds";
      guarded.log("warn", message, { folder: this.#path, reason });
    });
    while (!this.#once && !signal.aborted) {
      await bell.wait(unripe ? emptyMs : pollMs, signal);
      if (signal.aborted) {
        return;
      }
      unripe = await this.#lookAgain(guarded, signal);
      if (this.#folder.changed) {
        await this.#deliver(guarded, signal, "at once");
      }
    }
  }

  /** A look that cannot fail: when the folder is away, everything stays as it is. */
  async #lookAgain(handler: SourceHandler, signal: AbortSignal): Promise<boolean> {
    try {
      const unripe = await this.#look(signal);
      if (this.#failure !== "") {
        this.#failure = "";
        handler.cleared?.("manifest", this.#path);
      }
      return unripe;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== this.#failure) {
        if (this.#failure !== "") {
          handler.cleared?.("manifest", this.#path);
        }
        this.#failure = reason;
        const message = `${reason}: everything stays as it was`;
        handler.problem({ kind: "manifest", object: this.#path, field: "", message });
      }
      return false;
    }
  }

  /**
   * Reads what is new or has changed and forgets what is gone. Whether a file was left for a second look.
   *
   * Rejects when the folder itself cannot be read.
   */
  async #look(signal: AbortSignal): Promise<boolean> {
    const entries = await readdir(this.#path);
    const names = new Set(entries.filter((name) => /^[^.].*\.(?:ya?ml|json)$/i.test(name)));
    for (const file of this.#folder.files()) {
      if (!names.has(file)) {
        this.#folder.delete(file);
        this.#marks.delete(file);
        this.#emptied.delete(file);
      }
    }
    let unripe = false;
    const pacer = new Pacer(this.#clock);
    for (const name of names) {
      if (signal.aborted) {
        break;
      }
      unripe = (await this.#lookAt(name, pacer)) || unripe;
    }
    return unripe;
  }

  /** Reads one file if it has changed. Whether it was left for a second look. */
  async #lookAt(name: string, pacer: Pacer): Promise<boolean> {
    const file = path.join(this.#path, name);
    try {
      const { size, mtimeNs, ctimeNs, ino } = await stat(file, { bigint: true });
      const mark = `${size} ${mtimeNs} ${ctimeNs} ${ino}`;
      if (this.#marks.get(name) === mark) {
        return false;
      }
      if (size === 0n && this.#isFresh(name)) {
        return true;
      }
      this.#emptied.delete(name);
      this.#marks.set(name, mark);
      if (size > sizeLimit) {
        throw new ManifestError(`the file has more than ${sizeLimit} bytes`);
      }
      this.#folder.set(name, await parseManifest(name, await readFile(file, "utf8"), this.#pool, pacer));
    } catch (error) {
      // What is malformed stays so until it changes; what could not be read may be readable the next time.
      if (!(error instanceof ManifestError)) {
        this.#marks.delete(name);
      }
      this.#folder.fail(name, error instanceof Error ? error.message : String(error));
    }
    return false;
  }

  /**
   * Whether an empty file has been empty for a moment only. Many writers empty a file before they fill it: taken at its
   * word, that would remove all its objects.
   */
  #isFresh(name: string): boolean {
    const now = this.#clock.now();
    const since = this.#emptied.get(name) ?? now;
    this.#emptied.set(name, since);
    return this.#folder.hasObjects(name) && now - since < emptyMs;
  }

  /**
   * Tells what one look has found. At the start nobody acts before all is there, so others get their turn in between. Later
   * on it goes out in one go: a sync in between would act on half a state, such as Services whose slices are still to come.
   */
  async #deliver(handler: SourceHandler, signal: AbortSignal, how: "in parts" | "at once"): Promise<void> {
    const pacer = new Pacer(this.#clock);
    const later: Change[] = [];
    for (const change of this.#folder.commit()) {
      if (how === "at once") {
        later.push(change);
      } else {
        deliver(handler, change);
      }
      if (pacer.due()) {
        await pacer.rest();
      }
      if (signal.aborted) {
        return;
      }
    }
    for (const change of later) {
      deliver(handler, change);
    }
    for (const report of this.#folder.takeReports()) {
      if (report.told) {
        handler.cleared?.(report.kind, report.object);
      }
      for (const problem of report.problems) {
        handler.problem(problem);
      }
    }
  }
}
