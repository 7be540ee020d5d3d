/**
 * The configuration file, from bytes to defaulted fields.
 *
 * Strict and forgiving at once, as kube-proxy is: what is not understood (unknown fields, duplicate keys) is a warning,
 * because ConfigMaps written by an old kubeadm carry fields that are long gone; what is understood but wrong (syntax,
 * type, missing kind) is an error. All errors are reported together, each with its field path.
 *
 * Pure.
 *
 * @module
 */
import { type DecodeReport, decodeField, type UnknownField } from "./codec.ts";
import { withServerAddresses } from "./config-defaults.ts";
import { ConfigError } from "./config-error.ts";
import { configApiVersion, configKind, configSchema } from "./config-schema.ts";
import type { ConfigWarning } from "./config-warning.ts";
import { type DocumentNode, type DuplicateKey, type ParsedDocument, parseDocument } from "./document.ts";
import { joinErrors } from "./field-error.ts";
import { nearestName } from "./nearest-name.ts";
import type { ConfigFields } from "./proxy-config.ts";
import { quoteText } from "./quote-text.ts";

/** Most bytes a file may have. A ConfigMap cannot hold more than 1 MiB in all its keys. */
export const maxConfigBytes: number = 1024 * 1024;

// A warning is one line; a file that is something else altogether must not fill the log.
const MAX_LISTED_COMPLAINTS = 20;

/** A file's content. */
export interface DecodedConfig {
  readonly fields: ConfigFields;
  readonly warnings: readonly ConfigWarning[];
}

/**
 * Decodes and defaults a file.
 *
 * @throws {ConfigError} `failed to decode: …`
 */
export function decodeConfig(bytes: Uint8Array): DecodedConfig {
  const document = readDocument(bytes);
  checkObjectKind(document.root);
  const report: DecodeReport = { errors: [], unknownFields: [] };
  const fields = decodeField(configSchema, document.root, "", report);
  if (report.errors.length > 0) {
    throw failedToDecode(joinErrors(report.errors));
  }
  const warnings = [...strictnessWarnings(document, report), ...(document.hasMore ? [moreDocuments] : [])];
  return { fields: withServerAddresses(fields), warnings };
}

/** kube-proxy says nothing of it. */
const moreDocuments: ConfigWarning = {
  kind: "strictness",
  message: "The file has more than one document: only the first one is read",
};

function readDocument(bytes: Uint8Array): ParsedDocument {
  if (bytes.length > maxConfigBytes) {
    throw failedToDecode(`the file has more than ${maxConfigBytes} bytes`);
  }
  try {
    return parseDocument(decodeUtf8(bytes));
  } catch (cause) {
    if (cause instanceof SyntaxError) {
      throw failedToDecode(cause.message, cause);
    }
    throw cause;
  }
}

/** The text without its byte order mark. */
function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new SyntaxError("the file is not valid UTF-8", { cause });
  }
}

function checkObjectKind(root: DocumentNode): void {
  if (!(root.value instanceof Map)) {
    throw failedToDecode("Object 'Kind' is missing: the file does not hold a mapping");
  }
  const members: ReadonlyMap<string, DocumentNode> = root.value;
  const [kind, version] = ["kind", "apiVersion"].map((name) => members.get(name)?.value ?? "");
  for (const [name, value] of [
    ["Kind", kind],
    ["apiVersion", version],
  ]) {
    if (value === "") {
      throw failedToDecode(`Object '${name}' is missing`);
    }
  }
  if (kind !== configKind || version !== configApiVersion) {
    const [kindText, versionText] = [kind, version].map((value) => quoteText(String(value)));
    throw failedToDecode(
      `no kind ${kindText} is registered for version ${versionText}; ` +
        `expected ${quoteText(configKind)} of ${quoteText(configApiVersion)}`,
    );
  }
}

function failedToDecode(reason: string, cause?: unknown): ConfigError {
  return new ConfigError(`failed to decode: ${reason}`, cause === undefined ? {} : { cause });
}

/** One warning for everything that only strict decoding minds, in kube-proxy's words. */
function strictnessWarnings(document: ParsedDocument, report: DecodeReport): readonly ConfigWarning[] {
  const duplicates = document.duplicateKeys.map((duplicate) => describeDuplicate(duplicate, document.format));
  const unknown = report.unknownFields.slice(0, MAX_LISTED_COMPLAINTS).map(describeUnknown);
  const count = duplicates.length + report.unknownFields.length;
  if (count === 0) {
    return [];
  }
  const listed = [...duplicates, ...unknown].slice(0, MAX_LISTED_COMPLAINTS);
  const more = count > listed.length ? `, and ${count - listed.length} more` : "";
  const complaints = `strict decoding error: ${listed.join(", ")}${more}`;
  return [{ kind: "strictness", message: `Using lenient decoding as strict decoding failed: ${complaints}` }];
}

function describeDuplicate({ key, path, line }: DuplicateKey, format: ParsedDocument["format"]): string {
  return format === "json"
    ? `duplicate field ${quoteText(path)}`
    : `line ${line}: key ${quoteText(key)} already set in map`;
}

function describeUnknown({ path, name, known }: UnknownField): string {
  const nearest = nearestName(name, known);
  const hint = nearest === undefined ? "" : ` (did you mean ${quoteText(nearest)}?)`;
  return `unknown field ${quoteText(path)}${hint}`;
}
