/**
 * The house rules that no linter has, each as a function from a file's text to what is wrong with it.
 *
 * conventions.test.ts holds them against the whole checkout. They read text, not syntax trees: the formatter leaves one
 * way to write an import, and a rule that is easy to read beats one that nobody can fool.
 *
 * @module
 */
import path from "node:path/posix";

/** A text file of the checkout. */
export interface SourceFile {
  /** From the folder of the checkout, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** Whether a file holds tests or what only tests use. */
export function isForTests(file: SourceFile): boolean {
  return /(\.test|(^|\/)testing(-[a-z-]+)?)\.ts$/.test(file.path);
}

/**
 * Whether a file starts with a comment that says what it is: `/** … @module` and the end of the comment. Of a test the
 * name says it, so there the words may be missing.
 */
export function hasHeader(file: SourceFile): boolean {
  const [, words] = /^\/\*\*\n((?:(?!\*\/)[\s\S])*) \* @module\n \*\/\n/.exec(file.text) ?? [];
  return words !== undefined && (/\w/.test(words) || file.path.endsWith(".test.ts"));
}

/** How many lines a file has. */
export function countLines({ text }: SourceFile): number {
  return text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
}

/** What a file imports. */
export interface Import {
  readonly specifier: string;
  /** Nothing of it is left when the program runs. */
  readonly isTypeOnly: boolean;
}

/** The imports and re-exports of a file, those of dynamic imports included. */
export function importsOf({ text }: SourceFile): readonly Import[] {
  const statements = text.matchAll(/^(?:import|export) (type )?(?:[^"';]*? from )?"([^"]+)"/gm);
  const calls = text.matchAll(/\bimport\("([^"]+)"\)/g);
  return [
    ...[...statements].map(([, type, specifier = ""]) => ({ specifier, isTypeOnly: type !== undefined })),
    ...[...calls].map(([, specifier = ""]) => ({ specifier, isTypeOnly: false })),
  ];
}

/** Modules of Node that only compute. All others reach out of the process. */
const computingModules = ["buffer", "crypto", "events", "path", "stream", "url", "util", "zlib"];

/** Packages that reach out of the process. */
const reachingPackages = ["@kubernetes/client-node", "koffi"];

/** The modules through which a file reaches out of the process: files, network, kernel, clock, other processes. */
export function edgeImports(file: SourceFile): readonly string[] {
  const values = importsOf(file).filter(({ isTypeOnly }) => !isTypeOnly);
  const specifiers = values.map(({ specifier }) => specifier).filter(reachesOut);
  return [...new Set(specifiers)].toSorted();
}

function reachesOut(specifier: string): boolean {
  return specifier.startsWith("node:")
    ? !computingModules.includes(specifier.slice("node:".length))
    : reachingPackages.includes(specifier);
}

/** The folders that decide. They know nothing of the rest of the program, nor of the machine. */
const coreFolders = ["src/proxier/", "src/affinity/"];

/** Whether a file belongs to the part of the program that decides and does nothing else. */
export function isCore(file: SourceFile): boolean {
  return coreFolders.some((folder) => file.path.startsWith(folder)) && !isForTests(file);
}

/** Packages that a file of the core may use. */
const corePackages: Readonly<Record<string, readonly string[]>> = {
  "src/proxier/sync-loop.ts": ["p-queue"],
};

/** What in a file of the core does not belong there: imports from outside, types too, and looks at clock and chance. */
export function impurities(file: SourceFile): readonly string[] {
  const foreign = importsOf(file)
    .map(({ specifier }) => specifier)
    .filter((specifier) => !isCoreModule(file, specifier));
  const code = file.text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
  const looks = code.match(
    /\b(?:Date\.now|new Date|performance\.|process\.|Math\.random|fetch\(|setTimeout|setInterval|setImmediate)/g,
  );
  return [...foreign, ...(looks ?? [])];
}

function isCoreModule(file: SourceFile, specifier: string): boolean {
  if (!specifier.startsWith(".")) {
    return (corePackages[file.path] ?? []).includes(specifier);
  }
  const target = path.join(path.dirname(file.path), specifier);
  return coreFolders.some((folder) => target.startsWith(folder));
}

/** In parts, or the rule would find itself. */
const developerFolders = ["ho" + "me", "Us" + "ers", "wo" + "rk", "fa" + "rm"];
const developerPath = new RegExp(`(?<![\\w.~$})-])/(?:${developerFolders.join("|")})/[\\w.-]+`, "g");

/** Absolute paths that exist on the machine of whoever wrote the file, and nowhere else. */
export function developerPaths({ text }: SourceFile): readonly string[] {
  return text.match(developerPath) ?? [];
}

/** What is read of package-lock.json. */
export interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>
  >;
}

/**
 * Packages that a lock file names as optional but has no entry for. npm leaves them out without a word when it cannot
 * see them while it writes the lock, and `npm ci` then refuses the lock on a machine that can.
 */
export function lockGaps({ packages }: Lock): readonly string[] {
  const known = new Set(Object.keys(packages).map((place) => place.replace(/^.*node_modules\//, "")));
  return Object.values(packages)
    .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
    .filter((name) => !known.has(name));
}

/**
 * Recorded data that no test reads: files below a folder `fixtures` or `golden` whose name stands in no test and whose
 * folder none reads whole, and snapshots without their test.
 */
export function unreadData(files: readonly SourceFile[]): readonly string[] {
  const tests = files.filter(isForTests);
  const paths = new Set(files.map((file) => file.path));
  return [...paths].filter((file) => {
    if (file.endsWith(".snap")) {
      return !paths.has(file.replace("__snapshots__/", "").replace(/\.snap$/, ""));
    }
    const [, owner, folder] = /^(.*\/)(fixtures|golden)\//.exec(file) ?? [];
    return (
      owner !== undefined && folder !== undefined && !tests.some((one) => reads(one, owner, folder, file))
    );
  });
}

function reads(one: SourceFile, owner: string, folder: string, file: string): boolean {
  const readsFolder =
    path.dirname(one.path) === path.normalize(owner).slice(0, -1) &&
    one.text.includes("readdirSync(") &&
    one.text.includes(`"${folder}/`);
  return readsFolder || one.text.includes(path.basename(file));
}
