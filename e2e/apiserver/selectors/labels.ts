/**
 * Label selectors (Kubernetes documentation, "Labels and Selectors"): parsing and matching.
 *
 * @module
 */
import type { StringMap } from "../objects.ts";
import { badRequest } from "../status.ts";

/** One requirement; a selector is met when all of its requirements are. */
export interface LabelRequirement {
  readonly key: string;
  /** `in` and `notIn` cover `=`, `==` and `!=` too; `notIn` also holds when the key is absent. */
  readonly operator: "exists" | "absent" | "in" | "notIn" | "greater" | "less";
  /** One integer for `greater` and `less`; empty for `exists` and `absent`. */
  readonly values: readonly string[];
}

const token = /\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)\s*/gy;
const word = /^[^\s=!(),<>]+$/;
const nameOrValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)$/;
const keyPrefix = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;
const integer = /^-?\d+$/;

/**
 * Parses a selector; empty text gives no requirements.
 *
 * @throws ApiError 400
 */
export function parseLabelSelector(text: string): readonly LabelRequirement[] {
  const tokens = new Tokens([...text.matchAll(token)].map((match) => match[1] ?? ""));
  if (tokens.peek() === undefined) return [];
  const requirements = [readRequirement(tokens)];
  while (tokens.peek() !== undefined) {
    if (!tokens.take(",")) throw problem(`found '${tokens.peek()}', expected: ','`);
    requirements.push(readRequirement(tokens));
  }
  return requirements;
}

/** Whether labels meet all requirements. */
export function matchesLabels(
  requirements: readonly LabelRequirement[],
  labels: StringMap | undefined,
): boolean {
  return requirements.every((requirement) => meets(requirement, labels?.[requirement.key]));
}

function meets({ operator, values }: LabelRequirement, value: string | undefined): boolean {
  switch (operator) {
    case "exists":
      return value !== undefined;
    case "absent":
      return value === undefined;
    case "in":
      return value !== undefined && values.includes(value);
    case "notIn":
      return value === undefined || !values.includes(value);
    case "greater":
      return isInteger(value) && BigInt(value) > BigInt(values[0] ?? "0");
    case "less":
      return isInteger(value) && BigInt(value) < BigInt(values[0] ?? "0");
    default:
      return operator satisfies never;
  }
}

function isInteger(value: string | undefined): value is string {
  return value !== undefined && integer.test(value);
}

/** The tokens of a selector and a place among them. */
class Tokens {
  readonly #tokens: readonly string[];
  #position = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  peek(): string | undefined {
    return this.#tokens[this.#position];
  }

  next(): string | undefined {
    return this.#tokens[this.#position++];
  }

  /** Consumes the next token if it is this one. */
  take(wanted: string): boolean {
    const found = this.peek() === wanted;
    if (found) this.#position++;
    return found;
  }

  /** Consumes the next token if it is a word; a value may be missing and is then empty. */
  takeWord(): string {
    const next = this.peek();
    if (next === undefined || !word.test(next)) return "";
    this.#position++;
    return next;
  }
}

function readRequirement(tokens: Tokens): LabelRequirement {
  const negated = tokens.take("!");
  const key = tokens.takeWord();
  if (key === "") throw problem(`found '${tokens.peek() ?? ""}', expected: identifier`);
  checkKey(key);
  if (negated) return { key, operator: "absent", values: [] };
  const operator = tokens.peek();
  if (operator === undefined || operator === ",") return { key, operator: "exists", values: [] };
  tokens.next();
  switch (operator) {
    case "=":
    case "==":
      return { key, operator: "in", values: [readValue(tokens)] };
    case "!=":
      return { key, operator: "notIn", values: [readValue(tokens)] };
    case ">":
      return { key, operator: "greater", values: [readInteger(tokens)] };
    case "<":
      return { key, operator: "less", values: [readInteger(tokens)] };
    case "in":
      return { key, operator: "in", values: readSet(tokens) };
    case "notin":
      return { key, operator: "notIn", values: readSet(tokens) };
    default:
      throw problem(`found '${operator}', expected: in, notin, =, ==, !=, gt, lt`);
  }
}

function readValue(tokens: Tokens): string {
  const value = tokens.takeWord();
  checkValue(value);
  return value;
}

function readInteger(tokens: Tokens): string {
  const value = tokens.takeWord();
  if (!integer.test(value)) throw problem(`found '${value}', expected: an integer`);
  return value;
}

function readSet(tokens: Tokens): readonly string[] {
  if (!tokens.take("(")) throw problem(`found '${tokens.peek() ?? ""}', expected: '('`);
  const values = [readValue(tokens)];
  while (tokens.take(",")) values.push(readValue(tokens));
  if (!tokens.take(")")) throw problem(`found '${tokens.peek() ?? ""}', expected: ',' or ')'`);
  return values;
}

function checkKey(key: string): void {
  const slash = key.indexOf("/");
  const prefix = key.slice(0, Math.max(slash, 0));
  const name = key.slice(slash + 1);
  const prefixValid = slash < 0 || (prefix.length <= 253 && keyPrefix.test(prefix));
  if (prefixValid && name.length <= 63 && nameOrValue.test(name)) return;
  throw problem(`Invalid value: "${key}": must be a qualified name`);
}

function checkValue(value: string): void {
  if (value === "" || (value.length <= 63 && nameOrValue.test(value))) return;
  throw problem(`Invalid value: "${value}": must be a valid label value`);
}

function problem(why: string): Error {
  return badRequest(`unable to parse requirement: ${why}`);
}
