/**
 * The program as one file.
 *
 * One file starts in a fraction of the time that its modules take one by one, and leaves out what nothing in it uses.
 * CommonJS, because the same bundle takes twice as long to start as an ES module.
 *
 * Invariants
 * - The same sources and packages give the same bytes.
 * - What the sources import dynamically is in the file too, but runs only when it is imported: printing a version does
 *   not load the API client.
 * - A warning is an error.
 * - Every character fits into a byte: V8 keeps the text for as long as the program runs, and one character more would make
 *   it take two bytes for each, 2.6 MB in all. esbuild escapes those of strings, but not of regular expressions.
 * - Names stay as they are in the sources and lines stay short, for the sake of stack traces.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { type BuildOptions, build, type Plugin } from "esbuild";

/** Where the program is bundled to, from the folder of the checkout. */
export const bundlePath = "dist/kube-sluice.cjs";

/** What the sources use of the API client. Anything else they import of it fails the build. */
const clientExports = ["KubeConfig"];

const common = {
  bundle: true,
  write: false,
  platform: "node",
  target: "node24",
  logLevel: "warning",
} satisfies BuildOptions;

/**
 * Bundles a checkout's src/main.ts. What is wrong with the sources goes to standard error as well.
 *
 * @param root - the folder of the checkout, with its packages installed
 * @returns the text of a CommonJS module that has to lie at `bundlePath`
 * @throws Error when a source does not parse, an import leads nowhere, esbuild warns of anything, or a character takes more
 *   than a byte
 */
export async function bundle(root: string): Promise<string> {
  const { version } = JSON.parse(await readFile(path.join(root, "package.json"), "utf8")) as {
    readonly version: string;
  };
  const text = await buildText({
    ...common,
    absWorkingDir: root,
    entryPoints: ["src/main.ts"],
    outfile: bundlePath,
    format: "cjs",
    // It finds its native half by its own place in node_modules.
    external: ["koffi"],
    define: { KUBE_SLUICE_VERSION: JSON.stringify(version) },
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 160,
    plugins: [ownPlace(root), leanClient],
  });
  const wide = /.{0,60}[\u0100-\uffff]/.exec(text);
  if (wide !== null) {
    throw new Error(`Cannot bundle: a character that takes more than a byte, behind ${wide[0]}`);
  }
  return text;
}

async function buildText(options: BuildOptions & { readonly write: false }): Promise<string> {
  const { outputFiles, warnings } = await build(options);
  const [output] = outputFiles;
  if (output === undefined || warnings.length > 0) {
    throw new Error(`Cannot bundle: ${warnings.length} warnings`);
  }
  return output.text;
}

/**
 * A source that asks where it lies (`import.meta.dirname`, `.filename`, `.url`) hears of its place in the checkout, not
 * of the bundle's, so that paths relative to it mean the same in both.
 */
function ownPlace(root: string): Plugin {
  return {
    name: "own-place",
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, async ({ path: file }) => {
        const place = path.relative(path.dirname(path.join(root, bundlePath)), file);
        const join = (to: string): string => `require("node:path").join(__dirname, ${JSON.stringify(to)})`;
        const contents = (await readFile(file, "utf8"))
          .replaceAll("import.meta.dirname", join(path.dirname(place)))
          .replaceAll("import.meta.filename", join(place))
          .replaceAll("import.meta.url", `require("node:url").pathToFileURL(${join(place)}).href`);
        return { contents, loader: "ts" };
      });
    },
  };
}

/**
 * Takes of `@kubernetes/client-node` what is used and nothing else: 16 modules in place of 800, 7 MB of memory.
 *
 * esbuild leaves unused modules out only where it may join modules, and may not do so in what is imported dynamically.
 * So the client is bundled by itself first. Its modules only define things, but its package.json does not say so.
 */
const leanClient: Plugin = {
  name: "lean-client",
  setup({ onResolve, onLoad, resolve }) {
    onResolve({ filter: /^@kubernetes\/client-node$/, namespace: "file" }, async (args) => {
      const { kind, importer, resolveDir } = args;
      const found = await resolve(args.path, { kind, importer, resolveDir, namespace: "lean-client" });
      return found.errors.length > 0 ? found : { path: found.path, namespace: "lean-client" };
    });
    onLoad({ filter: /./, namespace: "lean-client" }, async ({ path: index }) => {
      const resolveDir = path.dirname(index);
      const contents = await buildText({
        ...common,
        stdin: {
          contents: `export { ${clientExports.join(", ")} } from ${JSON.stringify(index)};`,
          resolveDir,
        },
        format: "esm",
        plugins: [withoutSideEffects],
      });
      return { contents, resolveDir };
    });
  },
};

/**
 * Follows relative imports, leaves packages to the outer bundle, and lets go of all that is imported but not used.
 * Imports of ES modules are file names already; to have esbuild resolve them for a plugin takes it ten times as long.
 */
const withoutSideEffects: Plugin = {
  name: "without-side-effects",
  setup({ onResolve }) {
    onResolve({ filter: /./ }, ({ path: specifier, resolveDir }) =>
      /^[./]/.test(specifier)
        ? { path: path.resolve(resolveDir, specifier), sideEffects: false }
        : { path: specifier, external: true, sideEffects: false },
    );
  },
};
