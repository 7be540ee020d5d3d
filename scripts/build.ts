/**
 * Builds dist/kube-sluice.cjs and prints its size.
 *
 * @module
 */
import { mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { bundle, bundlePath } from "./bundle.ts";

const root = path.dirname(import.meta.dirname);
const file = path.join(root, bundlePath);

const text = await bundle(root);
await mkdir(path.dirname(file), { recursive: true });
// In one step: who starts the program at this moment finds the old file or the new one, never half of it.
await writeFile(`${file}.new`, text);
await rename(`${file}.new`, file);
process.stdout.write(`${bundlePath}: ${Math.ceil(Buffer.byteLength(text) / 1024)} KiB\n`);
