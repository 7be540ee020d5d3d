/**
 * The seam between the iptables backend and the host: text in, known chains out.
 *
 * @module
 */
import type { KnownChains } from "./known-chains.ts";

/** What the backend needs of a host. The real one runs the iptables programs, the fake one holds tables in memory. */
export interface IptablesKernel {
  /** Rules per COMMIT at which bulk writes are cut; infinite where one COMMIT costs as much as many. */
  readonly rulesPerCommit: number;
  /** Reads all tables of the family. Rejects with a `ToolError`. */
  read(): Promise<KnownChains>;
  /**
   * Writes restore text and resolves when the kernel holds it.
   *
   * @param chunks pieces of text that end with a newline
   * @throws RestoreError
   */
  write(chunks: Iterable<string>): Promise<void>;
  /** Whether the chain exists. An answer that cannot be had (a busy lock) counts as yes. */
  hasChain(table: string, chain: string): Promise<boolean>;
  /** Ends helper processes. */
  close(): Promise<void>;
}
