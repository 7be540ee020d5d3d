/**
 * Keeps what an audit has found until the next sync takes it.
 *
 * @module
 */
import { type AuditParts, findDrift } from "./audit.ts";
import { adoptDrift, type Drift, type FormerBeliefs, isDrift } from "./drift.ts";
import type { KnownState } from "./known-state.ts";

/** What a sync has to know besides the state itself. */
export interface AdoptedDrift {
  readonly former: FormerBeliefs;
  /** Addresses have to be read again. */
  readonly addresses: boolean;
  /** Rules have to be looked at. */
  readonly rules: boolean;
}

/** The keeper of one backend. */
export class DriftKeeper {
  #rounds = 0;
  #found:
    | { readonly known: KnownState; readonly drift: Drift; readonly written: ReadonlySet<string> }
    | undefined;

  /** Whether what was found can only be mended by a sync of everything. */
  get needsEverything(): boolean {
    return this.#found?.drift.sets === true;
  }

  /**
   * Reads the kernel and compares it with what is known. Nothing is found twice: what was found before waits.
   *
   * @param isCurrent whether that state still counts, once the reading is over
   * @returns whether anything is not as known
   * @throws KernelError, ToolError when the kernel cannot be read
   */
  async look(parts: Omit<AuditParts, "written" | "round">, isCurrent: () => boolean): Promise<boolean> {
    const { known } = parts;
    if (this.#found !== undefined) {
      return true;
    }
    const written = known.openJournal();
    const round = this.#rounds;
    this.#rounds += 1;
    let differs = false;
    try {
      const drift = await findDrift({ ...parts, written, round });
      differs = isDrift(drift) && isCurrent();
      if (differs) {
        this.#found = { known, drift, written };
      }
    } finally {
      if (!differs) {
        known.closeJournal();
      }
    }
    return differs;
  }

  /** Takes what was found for true, if there is anything. */
  adopt(): AdoptedDrift | undefined {
    const found = this.#found;
    if (found === undefined) {
      return undefined;
    }
    this.forget();
    const { known, drift, written } = found;
    const { addresses, rules } = drift;
    return { former: adoptDrift(known, drift, written), addresses, rules };
  }

  /** Everything is read anew: what was found before is of no interest. */
  forget(): void {
    this.#found?.known.closeJournal();
    this.#found = undefined;
  }
}
