/**
 * What a test and the agent in a namespace say to each other: one JSON object a line, each request answered once, in
 * any order. The methods are written down as functions; their parameters and results travel as JSON.
 *
 * @module
 */

export type Protocol = "TCP" | "UDP";

/** One end of a connection as a program sees it. */
export interface Endpoint {
  readonly ip: string;
  readonly port: number;
}

/**
 * The greeting of an agent's server: who it is, and from where to where the packet came when it arrived there. With UDP
 * `to` is the address that is served, `0.0.0.0` or `::` unless one was named.
 */
export interface Greeting {
  readonly server: string;
  readonly from: Endpoint;
  readonly to: Endpoint;
  /** How many bytes a request with a size of its own had when it arrived. */
  readonly received?: number;
}

/** Ports to serve. Without `address`: on all addresses of both families. */
export interface ListenRequest {
  readonly tcp?: readonly number[];
  readonly udp?: readonly number[];
  readonly address?: string;
}

/** Where to connect to. */
export interface Target {
  readonly ip: string;
  readonly port: number;
  /** TCP unless told. */
  readonly protocol?: Protocol;
  /** The source address, which need not be the machine's own. Chosen by the kernel unless told. */
  readonly from?: string;
  /** The source port. Chosen by the kernel unless told; only with `from`. */
  readonly fromPort?: number;
}

/** A connection to make and to close again. */
export interface ConnectRequest extends Target {
  /** Time for the whole: connecting and being greeted. 3000 unless told, 15,000 in a guest. */
  readonly timeoutMilliseconds?: number;
  /** Size of the request, and of the answer to it; a short line each unless told. */
  readonly bytes?: number;
}

/**
 * Why a connection failed
 * - refused: a TCP reset, as from a machine where nothing listens
 * - rejected: an ICMP port unreachable, as from a REJECT rule (or, with UDP, a machine where nothing listens)
 * - unreachable: another ICMP error, or no route
 * - closed: connected, and ended before the greeting
 * - timeout: silence
 * - failed: anything else; `detail` names it
 */
export type Failure = "refused" | "rejected" | "unreachable" | "closed" | "timeout" | "failed";

/** What came of one connection. `local` is the source it was given. */
export type Outcome =
  | { readonly kind: "answered"; readonly greeting: Greeting; readonly local: Endpoint }
  | { readonly kind: Failure; readonly detail: string };

/** A connection to keep open, with a line sent and echoed every so often. */
export interface HoldRequest extends ConnectRequest {
  /** 20 unless told. */
  readonly intervalMilliseconds?: number;
}

/** How a held connection has fared. */
export interface StreamReport {
  readonly sent: number;
  /** Lines that came back. */
  readonly echoed: number;
  /** Lines that came back, by the server that sent them. More than one server only with UDP. */
  readonly byServer: Readonly<Record<string, number>>;
  /** The server of the last line that came back. */
  readonly lastServer: string;
  /** Errors, by errno name; a UDP stream survives them. */
  readonly errors: Readonly<Record<string, number>>;
  /** Why the stream ended although nobody released it. */
  readonly broken: string | undefined;
}

/** Connections one after the other, in several places at once, until stopped. */
export interface LoadRequest extends ConnectRequest {
  /** How many at once; 1 unless told. */
  readonly concurrency?: number;
  /** Time from the end of one connection to the start of the next; 1 unless told. */
  readonly pauseMilliseconds?: number;
}

/** What came of a load so far. `answered` is the sum of `byServer`. */
export interface LoadReport {
  readonly answered: number;
  readonly byServer: Readonly<Record<string, number>>;
  readonly failures: Readonly<Partial<Record<Failure, number>>>;
  /** What the last failure said. */
  readonly lastFailure: string | undefined;
}

/** The agent's methods. A stream or load is known by the number that starting it gave. */
export interface AgentMethods {
  /** Starts serving; serving already is an error. */
  listen(request: ListenRequest): Promise<void>;
  /** Ends serving the ports of `request` and breaks the connections made to them. */
  unlisten(request: ListenRequest): Promise<void>;
  /** Ends serving them as a pod does that has time: once nobody has been connected for a moment. */
  retire(request: ListenRequest): Promise<void>;
  connect(request: ConnectRequest): Promise<Outcome>;
  /** The outcome of the first exchange, with the stream's number when it was answered. */
  hold(request: HoldRequest): Promise<{ readonly outcome: Outcome; readonly stream?: number }>;
  stream(request: { readonly stream: number }): Promise<StreamReport>;
  /** Ends the stream and reports it for the last time. */
  release(request: { readonly stream: number }): Promise<StreamReport>;
  startLoad(request: LoadRequest): Promise<{ readonly load: number }>;
  load(request: { readonly load: number }): Promise<LoadReport>;
  /** Waits for the connections under way and reports for the last time. */
  stopLoad(request: { readonly load: number }): Promise<LoadReport>;
}

/** A line to the agent. */
export interface AgentRequest {
  readonly id: number;
  readonly method: keyof AgentMethods;
  readonly params: unknown;
}

/** A line from the agent: `result` of a method that gave one, or `error`, a message. */
export interface AgentResponse {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}
