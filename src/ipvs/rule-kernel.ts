/**
 * The seam between ipvs mode's fixed rules and the host: text in, text out.
 *
 * @module
 */

/** What is needed of a host's iptables, for one family. The real one runs the programs, the fake one holds tables in memory. */
export interface RuleKernel {
  /**
   * Reads all tables as iptables-save prints them.
   *
   * @param push takes the text, cut anywhere
   */
  save(push: (text: string) => void): Promise<void>;
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
