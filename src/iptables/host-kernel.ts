/**
 * The real host: one variant and family of the iptables programs.
 *
 * @module
 */
import type { Family } from "../proxier/address.ts";
import type { IptablesKernel } from "./kernel.ts";
import type { KnownChains } from "./known-chains.ts";
import { type LockHolder, lockHolder } from "./lock-holder.ts";
import { RestoreProcess } from "./restore-process.ts";
import type { RulePart } from "./rule-part.ts";
import { readKernel, restoreCommand, runIptables, type Variant } from "./tools.ts";

/**
 * iptables-nft takes time quadratic in the size of one COMMIT, and each COMMIT waits for an RCU grace period; about so
 * many rules balance the two (see docs/benchmarks.md). The legacy variant replaces the whole table at every COMMIT.
 */
const rulesPerCommit: Readonly<Record<Variant, number>> = { nft: 3_000, legacy: Number.POSITIVE_INFINITY };

/** Exit code of iptables when the chain does not exist. Others tell of a lock, an option or a table that is not there. */
const noSuchChain = 1;

/** How long a write may take before the lock is looked at, in milliseconds; and how often after that. */
const lockLookMs = 1_000;
const lockLookAgainMs = 30_000;

/** Told of a write that waits for the lock, when the holder can be seen from here. */
export type OnLockWait = (holder: LockHolder) => void;

/** What differs from the usual. */
export interface HostKernelOptions {
  readonly onLockWait?: OnLockWait | undefined;
  /** Whose chains are ours; those of all of iptables mode unless told. */
  readonly part?: RulePart;
}

/** Programs the kernel of the network namespace that this process runs in. */
export class HostKernel implements IptablesKernel {
  readonly rulesPerCommit: number;
  readonly #variant: Variant;
  readonly #family: Family;
  readonly #restore: RestoreProcess;
  readonly #onLockWait: OnLockWait | undefined;
  readonly #part: RulePart | undefined;

  constructor(variant: Variant, family: Family, { onLockWait, part }: HostKernelOptions = {}) {
    this.#onLockWait = variant === "legacy" ? onLockWait : undefined;
    this.#part = part;
    this.#variant = variant;
    this.#family = family;
    this.rulesPerCommit = rulesPerCommit[variant];
    this.#restore = new RestoreProcess(restoreCommand(variant, family));
  }

  /** Process id of the writer; undefined when none runs. For measurements. */
  get writerPid(): number | undefined {
    return this.#restore.pid;
  }

  /** Whoever reads is about to write: the writer starts meanwhile. */
  read(): Promise<KnownChains> {
    this.#restore.start();
    return readKernel(this.#variant, this.#family, this.#part);
  }

  async write(chunks: Iterable<string>): Promise<void> {
    const stopLooking = this.#lookForLock();
    try {
      await this.#restore.write(chunks);
    } finally {
      stopLooking();
    }
  }

  /** The tool waits without a word, however long. */
  #lookForLock(): () => void {
    const onLockWait = this.#onLockWait;
    if (onLockWait === undefined) {
      return () => {};
    }
    const look = (): void => {
      const holder = lockHolder();
      if (holder !== undefined && holder.pid !== this.#restore.pid) {
        onLockWait(holder);
      }
      timer = setTimeout(look, lockLookAgainMs);
    };
    let timer = setTimeout(look, lockLookMs);
    return () => clearTimeout(timer);
  }

  async hasChain(table: string, chain: string): Promise<boolean> {
    const { exitCode } = await runIptables(this.#variant, this.#family, ["-t", table, "-S", chain]);
    return exitCode !== noSuchChain;
  }

  close(): Promise<void> {
    return this.#restore.close();
  }
}
