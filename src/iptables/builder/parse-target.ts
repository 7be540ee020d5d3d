/**
 * Reads a target into a typed one; what has no type stays text.
 *
 * @module
 */
import { type Family, joinHostPort, splitHostPort } from "./address.ts";
import { type Option, parseDirections, parseMarkMask, parsePortRange, readOptions } from "./parse-module.ts";
import { type MasqueradeTarget, rejectReasons, type SetTarget, type Target } from "./rule.ts";
import { reject } from "./targets.ts";

/** Targets of the kernel that may stand without options; any other lone word is the name of a chain. */
const extensionTargets: ReadonlySet<string> = new Set(
  (
    "AUDIT CHECKSUM CLASSIFY CLUSTERIP CONNMARK CONNSECMARK CT DNAT DNPT DSCP ECN HL HMARK IDLETIMER LED LOG NETMAP " +
    "NFLOG NFQUEUE NOTRACK QUEUE RATEEST REDIRECT SECMARK SNAT SNPT SYNPROXY TCPMSS TCPOPTSTRIP TEE TOS TPROXY " +
    "TRACE TTL ULOG"
  ).split(" "),
);

/** The target of `-j NAME words…`. */
export function parseTarget(name: string, words: readonly string[], family: Family): Target {
  return typedTarget(name, words, family) ?? { kind: "raw", text: [name, ...words].join(" ") };
}

function typedTarget(name: string, words: readonly string[], family: Family): Target | undefined {
  const options = readOptions(words) ?? [];
  if (options.some((option) => option.negated) || (words.length > 0 && options.length === 0)) {
    return undefined;
  }
  switch (name) {
    case "ACCEPT":
      return words.length === 0 ? { kind: "accept" } : undefined;
    case "DROP":
      return words.length === 0 ? { kind: "drop" } : undefined;
    case "RETURN":
      return words.length === 0 ? { kind: "return" } : undefined;
    case "REJECT":
      return parseReject(options, family);
    case "MARK":
      return parseMarkTarget(options);
    case "MASQUERADE":
      return parseMasquerade(options);
    case "DNAT":
      return parseDnat(options);
    case "SET":
      return parseSetTarget(options);
    default:
      return words.length === 0 && !extensionTargets.has(name) ? { kind: "jump", chain: name } : undefined;
  }
}

/** The value of the only option if it has this name. */
function onlyValue(options: readonly Option[], name: string): string | undefined {
  const [option] = options;
  return options.length === 1 && option?.name === name && option.values.length === 1
    ? option.values[0]
    : undefined;
}

function parseReject(options: readonly Option[], family: Family): Target | undefined {
  if (options.length === 0) {
    return reject(family);
  }
  const text = onlyValue(options, "--reject-with");
  const reason = rejectReasons.find((known) => known === text);
  return reason && { kind: "reject", reason };
}

function parseMarkTarget(options: readonly Option[]): Target | undefined {
  const name = options[0]?.name ?? "";
  const text = onlyValue(options, name);
  const parts = text === undefined ? undefined : parseMarkMask(text);
  if (text === undefined || parts === undefined) {
    return undefined;
  }
  const { value, mask } = parts;
  if (name === "--set-xmark") {
    return { kind: "mark", value, mask };
  }
  if (name === "--set-mark") {
    return { kind: "mark", value, mask: (mask | value) >>> 0 };
  }
  if (text.includes("/")) {
    return undefined;
  }
  switch (name) {
    case "--or-mark":
      return { kind: "mark", value, mask: value };
    case "--xor-mark":
      return { kind: "mark", value, mask: 0 };
    case "--and-mark":
      return { kind: "mark", value: 0, mask: ~value >>> 0 };
    default:
      return undefined;
  }
}

function parseMasquerade(options: readonly Option[]): MasqueradeTarget | undefined {
  let target: MasqueradeTarget = { kind: "masquerade" };
  for (const { name, values } of options) {
    const ports =
      name === "--to-ports" && values.length === 1 ? parsePortRange(values[0] ?? "", "-") : undefined;
    if (ports !== undefined && target.ports === undefined) {
      target = { ...target, ports };
    } else if (name === "--random-fully" && values.length === 0) {
      target = { ...target, randomFully: true };
    } else {
      return undefined;
    }
  }
  return target;
}

function parseDnat(options: readonly Option[]): Target | undefined {
  const parts = splitHostPort(onlyValue(options, "--to-destination") ?? "");
  if (parts === undefined) {
    return undefined;
  }
  const { address, port } = parts;
  return { kind: "dnat", to: port === undefined ? address : joinHostPort(address, port) };
}

const setOperations: Readonly<Record<string, SetTarget["operation"]>> = {
  "--add-set": "add",
  "--del-set": "delete",
};

function parseSetTarget(options: readonly Option[]): SetTarget | undefined {
  const [first, ...more] = options;
  const [set = "", words = "", ...extra] = first?.values ?? [];
  const operation = setOperations[first?.name ?? ""];
  const directions = parseDirections(words);
  if (operation === undefined || directions === undefined || extra.length > 0) {
    return undefined;
  }
  let target: SetTarget = { kind: "set", operation, set, directions };
  for (const { name, values } of more) {
    const [value = ""] = values;
    if (operation === "add" && name === "--exist" && values.length === 0) {
      target = { ...target, exist: true };
    } else if (
      operation === "add" &&
      name === "--timeout" &&
      /^[1-9]\d{0,8}$/.test(value) &&
      values.length === 1
    ) {
      target = { ...target, timeoutSeconds: Number(value) };
    } else {
      return undefined;
    }
  }
  return target;
}
