/**
 * HTML from templates in which every value is escaped, so that nothing that was named in a cluster becomes markup.
 *
 * Pure.
 *
 * @module
 */

/** Markup that is safe as it is. Made by {@link html} only. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What may stand in a template: lists one item after the other, absent values as nothing. */
export type HtmlValue = Html | string | number | undefined | readonly HtmlValue[];

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Tag of a template. Values in attributes must stand in quotes. */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(parts.map((part, index) => part + textOf(values[index])).join(""));
}

function textOf(value: HtmlValue): string {
  if (value === undefined) {
    return "";
  }
  if (value instanceof Html) {
    return value.text;
  }
  return typeof value === "object"
    ? value.map(textOf).join("")
    : String(value).replaceAll(/[&<>"']/g, (character) => entities[character] ?? "");
}
