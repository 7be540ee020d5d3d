/**
 * Tells of each request to the API server, for metrics.
 *
 * @module
 */
import type { ApiRequest, ApiResponse, Transport } from "./transport.ts";

/** A request that was answered, or was not. */
export interface RequestReport {
  readonly method: string;
  /** The status, or `<error>` when there was no answer. */
  readonly code: string;
  /** Until the answer began. A watch's answer begins at once. */
  readonly seconds: number;
}

/** Passes requests on and times them. One that was called off is not told of. */
export class MeteredTransport implements Transport {
  readonly #transport: Transport;
  readonly #now: () => number;
  readonly #onRequest: (report: RequestReport) => void;

  /** `now` is monotonic, in milliseconds. */
  constructor(transport: Transport, now: () => number, onRequest: (report: RequestReport) => void) {
    this.#transport = transport;
    this.#now = now;
    this.#onRequest = onRequest;
  }

  async request(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    const startedAt = this.#now();
    const tell = (code: string): void =>
      this.#onRequest({ method: request.method, code, seconds: (this.#now() - startedAt) / 1000 });
    try {
      const response = await this.#transport.request(request, signal);
      tell(String(response.status));
      return response;
    } catch (error) {
      if (!signal.aborted) {
        tell("<error>");
      }
      throw error;
    }
  }
}
