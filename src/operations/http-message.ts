/**
 * HTTP requests and replies as values, so that every answer this program gives is a pure function of a request.
 *
 * The servers here answer a handful of fixed paths with small bodies; routing is a comparison of strings, and no
 * method is refused where the answer does not depend on it.
 *
 * Invariants
 * - Every reply forbids content sniffing, as Kubernetes' own servers do.
 *
 * @module
 */

/** A request, as far as any answer depends on it. */
export interface HttpRequest {
  readonly method: string;
  /** Without the query, not decoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** The header `Accept-Encoding`, `""` when absent. */
  readonly acceptEncoding: string;
  /** Reads the body as UTF-8 text; undefined when it has more than `maxBytes`. */
  readText(maxBytes: number): Promise<string | undefined>;
}

/** A complete reply. `Content-Length`, where the length is known, and `Date` are added when it is sent. */
export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Text, bytes, or bytes that are made while they are sent: then there is no `Content-Length`. */
  readonly body: string | Uint8Array | AsyncIterable<Uint8Array>;
}

/** Answers requests. A rejection becomes a bare status 500 and is reported to the listener's owner. */
export type HttpHandler = (request: HttpRequest) => HttpReply | Promise<HttpReply>;

const noSniffing: Readonly<Record<string, string>> = { "X-Content-Type-Options": "nosniff" };

/** A reply with a plain-text body, sent exactly as given. */
export function textReply(status: number, body: string): HttpReply {
  return { status, headers: { "Content-Type": "text/plain; charset=utf-8", ...noSniffing }, body };
}

/** A reply with a JSON body, which the caller has already put into text. */
export function jsonReply(
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): HttpReply {
  return { status, headers: { "Content-Type": "application/json", ...noSniffing, ...headers }, body };
}

/** What Go's HTTP servers say about a path that they do not know. */
export const notFoundReply: HttpReply = textReply(404, "404 page not found\n");

/** Splits a request target into path and query. */
export function splitTarget(target: string): Pick<HttpRequest, "path" | "query"> {
  const mark = target.indexOf("?");
  return mark < 0
    ? { path: target, query: new URLSearchParams() }
    : { path: target.slice(0, mark), query: new URLSearchParams(target.slice(mark + 1)) };
}

/** Whether the sender of this `Accept-Encoding` header takes a gzip body. */
export function acceptsGzip(acceptEncoding: string): boolean {
  return acceptEncoding.split(",").some((part) => {
    const [coding = "", ...parameters] = part.split(";").map((text) => text.trim().toLowerCase());
    const refused = parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
    return (coding === "gzip" || coding === "*") && !refused;
  });
}
