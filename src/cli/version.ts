/**
 * The program's version.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import path from "node:path";

declare const KUBE_SLUICE_VERSION: string | undefined;

/** From package.json: written into the bundle when it is built, read from the checkout when run from source. */
export const version: string =
  typeof KUBE_SLUICE_VERSION === "string" ? KUBE_SLUICE_VERSION : versionOfCheckout();

function versionOfCheckout(): string {
  const file = path.join(import.meta.dirname, "../../package.json");
  const { version: text } = JSON.parse(readFileSync(file, "utf8")) as { readonly version: string };
  return text;
}
