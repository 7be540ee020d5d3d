/**
 * Object names: which are valid, and how `generateName` is completed
 * (Kubernetes documentation, "Object Names and IDs").
 *
 * @module
 */
import type { FieldError } from "../field-errors.ts";
import { invalidField } from "../field-errors.ts";

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** How names of a kind are checked. */
export type NameRule = "label" | "subdomain";

/** Letters and digits without vowels and without 0, 1, 3: generated names never spell a word. */
const suffixAlphabet = "bcdfghjklmnpqrstvwxz2456789";

/** True for an RFC 1123 label: at most 63 lower-case letters, digits and inner dashes. */
export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && label.test(text);
}

/** True for an RFC 1123 subdomain: labels joined by dots, at most 253 characters. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && subdomain.test(text);
}

/** What is wrong with an object's name, if anything. */
export function checkName(rule: NameRule, name: string): readonly FieldError[] {
  const wrong = nameProblem(rule, name);
  return wrong === undefined ? [] : [invalidField("metadata.name", name, wrong)];
}

function nameProblem(rule: NameRule, name: string): string | undefined {
  switch (rule) {
    case "label":
      if (isDnsLabel(name)) return undefined;
      return "a lowercase RFC 1123 label must consist of at most 63 lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
    case "subdomain":
      if (isDnsSubdomain(name)) return undefined;
      return "a lowercase RFC 1123 subdomain must consist of at most 253 lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
    default:
      return rule satisfies never;
  }
}

/**
 * Completes `generateName`: five characters behind the base, which is cut so that the result fits a label.
 *
 * @param random returns numbers in [0, 1)
 */
export function generateName(base: string, random: () => number): string {
  let name = base.slice(0, 58);
  for (let count = 0; count < 5; count++) {
    name += suffixAlphabet.charAt(Math.floor(random() * suffixAlphabet.length));
  }
  return name;
}
