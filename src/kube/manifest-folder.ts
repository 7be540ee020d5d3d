/**
 * The objects of a folder of manifests, and what changes when its files do.
 *
 * Invariants
 * - The same files give the same objects, in whatever order they were read: files count in the order of their names.
 * - A file that becomes malformed keeps its last good objects until it is sound again or gone.
 * - Nothing is told twice: objects are delivered when they change, problems of files when they are new.
 *
 * Pure.
 *
 * @module
 */
import type { Problem } from "../proxier/objects.ts";
import { sameValue } from "../proxier/same-value.ts";
import type { ManifestContent } from "./manifest-file.ts";
import { type Change, ObjectStore } from "./object-store.ts";
import { isSelected, objectKey, objectKinds } from "./source.ts";

interface FileState {
  readonly content: ManifestContent;
  /** Why the present text is not what `content` holds; undefined when it is. */
  readonly failure: string | undefined;
}

/** The problems of a file, or of an object without a usable name, when they have changed. */
export interface ProblemReport {
  readonly kind: Problem["kind"];
  readonly object: string;
  /** All that there are now. */
  readonly problems: readonly Problem[];
  /** Whether there were others before, which do not count any more. */
  readonly told: boolean;
}

const noContent: ManifestContent = { objects: [], problems: [] };

/** The files of one folder. */
export class ManifestFolder {
  readonly #nodeName: string;
  readonly #files = new Map<string, FileState>();
  readonly #stores = objectKinds.map((kind) => new ObjectStore(kind));
  /** The problems of each file, and of each object without a usable name; what {@link commit} found and what was told. */
  #found: ReadonlyMap<string, readonly Problem[]> = new Map();
  #told: ReadonlyMap<string, readonly Problem[]> = new Map();
  #changed = false;

  /** `nodeName` is the Node that is wanted. */
  constructor(nodeName: string) {
    this.#nodeName = nodeName;
  }

  /** The names of the files. */
  files(): readonly string[] {
    return [...this.#files.keys()];
  }

  /** Whether there is something to commit. */
  get changed(): boolean {
    return this.#changed;
  }

  /** Whether the file holds objects. */
  hasObjects(file: string): boolean {
    return (this.#files.get(file)?.content.objects.length ?? 0) > 0;
  }

  /** A file is new or has changed. */
  set(file: string, content: ManifestContent): void {
    this.#changed = true;
    this.#files.set(file, { content, failure: undefined });
  }

  /** A file cannot be used, and why. */
  fail(file: string, failure: string): void {
    const before = this.#files.get(file);
    this.#changed ||= before?.failure !== failure;
    this.#files.set(file, { content: before?.content ?? noContent, failure });
  }

  /** A file is gone. */
  delete(file: string): void {
    this.#changed = this.#files.delete(file) || this.#changed;
  }

  /** Makes the present files the state that has been delivered, change by change. */
  *commit(): Generator<Change> {
    this.#changed = false;
    const replacements = this.#stores.map((store) => store.startReplacement(false));
    const owners = new Map<string, string>();
    const problems: Problem[] = [];
    for (const file of [...this.#files.keys()].sort()) {
      const { content, failure } = this.#files.get(file) ?? { content: noContent, failure: undefined };
      const report = (field: string, message: string): void => {
        problems.push({ kind: "manifest", object: file, field, message });
      };
      if (failure !== undefined) {
        report(
          "",
          `${failure}: ${content === noContent ? "it is ignored" : "its last good content stays in use"}`,
        );
      }
      problems.push(...content.problems);
      for (const entry of content.objects) {
        const { object } = entry;
        if (!isSelected(object, this.#nodeName)) {
          continue;
        }
        const id = `${object.kind} ${objectKey(object)}`;
        const owner = owners.get(id);
        if (owner === undefined) {
          owners.set(id, file);
          replacements[objectKinds.indexOf(object.kind)]?.put(object, entry.problems);
        } else {
          report(id, `it is defined in ${owner} already: this definition is ignored`);
        }
      }
    }
    this.#found = Map.groupBy(problems, ({ kind, object }) => `${kind} ${object}`);
    for (const replacement of replacements) {
      yield* replacement.commit();
    }
  }

  /** What there is to tell of problems since the last time, by the file or object concerned. */
  takeReports(): readonly ProblemReport[] {
    const told = this.#told;
    this.#told = this.#found;
    const reports: ProblemReport[] = [];
    for (const concerned of new Set([...told.keys(), ...this.#found.keys()])) {
      const before = told.get(concerned) ?? [];
      const problems = this.#found.get(concerned) ?? [];
      const [first] = [...before, ...problems];
      if (first !== undefined && !sameValue(before, problems)) {
        reports.push({ kind: first.kind, object: first.object, problems, told: before.length > 0 });
      }
    }
    return reports;
  }
}
