/**
 * The page of `top`: lines of exactly the width of the terminal.
 *
 * Pure. Emphasis is by reverse and bold only, which every terminal shows on its own colours.
 *
 * @module
 */

import { shortNumber, skewText } from "./numbers.ts";
import type { EndpointLoad, Load, NodeLoad, ServiceLoad } from "./rate-meter.ts";
import type { View } from "./view.ts";

/** Smaller terminals get a sentence instead of a page. */
export const leastSize = { columns: 60, rows: 8 } as const;

/** Lines of the page that are no Services. */
const frameLines = 4;

/** What is on the page besides Services. */
export interface PageHead {
  /** Of the node. */
  readonly host: string;
  /** Where the table was read. */
  readonly source: string;
  /** Time of day of what is shown. */
  readonly time: string;
  readonly intervalSeconds: number;
}

/** The size of a terminal. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** How many Services, or endpoints, fit. */
export function roomFor({ rows }: Size): number {
  return Math.max(1, rows - frameLines);
}

/** A line and how it stands out. */
interface Line {
  readonly text: string;
  readonly style?: "bold" | "reverse";
}

/** The page, a string for each line of the terminal, with its escape sequences. */
export function page(
  head: PageHead,
  load: NodeLoad,
  services: readonly ServiceLoad[],
  view: View,
  size: Size,
): readonly string[] {
  if (size.columns < leastSize.columns || size.rows < leastSize.rows) {
    return fill([{ text: tooSmall(size) }], size);
  }
  const opened = load.services.find(({ name }) => name === view.opened);
  const room = roomFor(size);
  const body =
    opened === undefined ? serviceLines(services, view, size, room) : endpointLines(opened, size, room);
  const lines: Line[] = [
    { text: headLine(head, load, services, view), style: "bold" },
    { text: totalLine(load.total) },
    ...body,
  ];
  return fill([...padded(lines, size.rows - 1), { text: helpLine(view), style: "bold" }], size);
}

/** Why there is no page. */
export function tooSmall({ columns, rows }: Size): string {
  return `top needs ${leastSize.columns} columns and ${leastSize.rows} lines, here are ${columns} and ${rows}`;
}

function headLine(
  { host, source, time, intervalSeconds }: PageHead,
  { services: all }: NodeLoad,
  shown: readonly ServiceLoad[],
  { isFrozen }: View,
): string {
  const count = shown.length === all.length ? `${all.length}` : `${shown.length} of ${all.length}`;
  const pace = isFrozen ? "frozen" : `every ${intervalSeconds} s`;
  return `kube-sluice top  ${host}  ${source}  ${count} Service ports  ${time}  ${pace}`;
}

function totalLine({ newPerSecond, active, inactive, bytesPerSecond }: Load): string {
  return [
    `new ${shortNumber(newPerSecond)}/s`,
    `active ${shortNumber(active)}`,
    `inactive ${shortNumber(inactive)}`,
    `traffic ${shortNumber(bytesPerSecond)}B/s`,
  ].join("   ");
}

function helpLine({ isTyping, filter, opened }: View): string {
  if (isTyping) {
    return `filter: ${filter}_   enter keep   esc clear`;
  }
  if (opened !== undefined) {
    return "esc back   f freeze   q quit";
  }
  const only = filter === "" ? "" : `filter: ${filter}   `;
  return `${only}sort: c new  a active  b bytes  s skew  n name  r reverse   / filter   enter endpoints   f freeze   q quit`;
}

const columns = ["NEW/S", "ACTIVE", "INACT", "BYTES/S"] as const;
const columnWidth = 8;

function numbers({ newPerSecond, active, inactive, bytesPerSecond }: Load): string {
  return [newPerSecond, active, inactive, bytesPerSecond]
    .map((value) => shortNumber(value).padStart(columnWidth))
    .join("");
}

const titles: string = columns.map((title) => title.padStart(columnWidth)).join("");

function serviceLines(
  services: readonly ServiceLoad[],
  view: View,
  size: Size,
  room: number,
): readonly Line[] {
  const wide = size.columns - titles.length - 2 * columnWidth;
  const title = `${cell("SERVICE", wide)}${titles}${"SKEW".padStart(columnWidth)}${"ENDPTS".padStart(columnWidth)}`;
  const visible = services.slice(view.offset, view.offset + room);
  return [
    { text: title, style: "bold" },
    ...visible.map((service, index): Line => {
      const text = [
        cell(service.name, wide),
        numbers(service),
        skewText(service.skew).padStart(columnWidth),
        String(service.endpoints.length).padStart(columnWidth),
      ].join("");
      return view.offset + index === view.selected ? { text, style: "reverse" } : { text };
    }),
  ];
}

function endpointLines(service: ServiceLoad, size: Size, room: number): readonly Line[] {
  const barWidth = Math.max(0, Math.min(20, size.columns - titles.length - 2 * columnWidth - 30));
  const wide = size.columns - titles.length - 2 * columnWidth - barWidth - 1;
  const affinity = service.isPersistent ? ", with affinity" : "";
  const about = `${service.name}  ${service.scheduler}${affinity}  ${service.frontends.join("  ")}`;
  const title = `${cell("ENDPOINT", wide)}${"WEIGHT".padStart(columnWidth)}${titles}${"SHARE".padStart(columnWidth)}`;
  return [
    { text: about, style: "reverse" },
    { text: title, style: "bold" },
    ...service.endpoints.slice(0, room - 1).map((endpoint): Line => {
      const { share } = endpoint;
      const part = share === undefined ? "-" : `${(share * 100).toFixed(1)}%`;
      const text = [
        cell(endpointName(endpoint), wide),
        String(endpoint.weight).padStart(columnWidth),
        numbers(endpoint),
        part.padStart(columnWidth),
        ` ${"#".repeat(Math.round((share ?? 0) * barWidth))}`,
      ].join("");
      return { text };
    }),
  ];
}

function endpointName({ name, pod }: EndpointLoad): string {
  return pod === undefined ? name : `${name} ${pod}`;
}

/** Text in a column, cut with a mark where it does not fit, and one blank at least. */
function cell(text: string, width: number): string {
  return text.length < width ? text.padEnd(width) : `${text.slice(0, Math.max(0, width - 2))}~ `;
}

function padded(lines: readonly Line[], count: number): readonly Line[] {
  const missing = Math.max(0, count - lines.length);
  return [...lines.slice(0, count), ...Array.from({ length: missing }, () => ({ text: "" }))];
}

const styles = { bold: "\x1b[1m", reverse: "\x1b[7m" } as const;

function fill(lines: readonly Line[], { columns: width, rows }: Size): readonly string[] {
  return padded(lines, rows).map(({ text, style }) => {
    const cut = text.slice(0, width);
    return style === undefined
      ? cut
      : `${styles[style]}${style === "reverse" ? cut.padEnd(width) : cut}\x1b[0m`;
  });
}
