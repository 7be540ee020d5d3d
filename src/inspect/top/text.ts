/**
 * The rates as plain text and as JSON, for what is no terminal.
 *
 * Pure.
 *
 * @module
 */
import { shortNumber, skewText } from "./numbers.ts";
import type { NodeLoad, ServiceLoad } from "./rate-meter.ts";

const titles = ["NEW/S", "ACTIVE", "INACT", "BYTES/S", "SKEW", "ENDPOINTS", "SERVICE"];

/** A line for each Service, columns separated by blanks, the name last. */
export function rateText(services: readonly ServiceLoad[]): string {
  const lines = services.map((service) => [
    ...[service.newPerSecond, service.active, service.inactive, service.bytesPerSecond].map(shortNumber),
    skewText(service.skew),
    String(service.endpoints.length),
    service.name,
  ]);
  return [titles, ...lines]
    .map((cells) =>
      cells.map((text, index) => (index === cells.length - 1 ? text : text.padStart(9))).join("  "),
    )
    .map((line) => `${line}\n`)
    .join("");
}

/** One line of JSON: `{"services": […], "total": {…}}`, fields as in {@link ServiceLoad}. */
export function rateJson({ total }: NodeLoad, services: readonly ServiceLoad[]): string {
  return `${JSON.stringify({ services, total })}\n`;
}
