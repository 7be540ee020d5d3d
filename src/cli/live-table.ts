/**
 * The table of Services as it is now, to be read again and again.
 *
 * @module
 */
import type { InspectMode, NameSource } from "../inspect/ipvsadm-command.ts";
import type { ServiceNames } from "../inspect/service-names.ts";
import type { ServiceTable } from "../inspect/service-table.ts";
import type { TableReader } from "../inspect/table-reader.ts";
import { isKernelError } from "../netlink/kernel-error.ts";
import { CommandError } from "./exit.ts";
import { openReaders } from "./table-readers.ts";

/** What to read. */
export interface LiveTableOptions {
  readonly mode: InspectMode;
  readonly manifests: string | undefined;
  readonly kubeconfig: string | undefined;
}

/** A table that can be read again. */
export interface LiveTable extends Disposable {
  /** @throws CommandError when the kernel cannot be read */
  read(): Promise<ServiceTable>;
}

/** Opens it, with the names of a source if there is one. */
export async function openLiveTable({ mode, manifests, kubeconfig }: LiveTableOptions): Promise<LiveTable> {
  const source: NameSource = {
    ...(manifests === undefined ? {} : { manifests }),
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
  };
  const isAsked = manifests !== undefined || kubeconfig !== undefined;
  const names = isAsked
    ? await (await import("./read-service-names.ts")).readServiceNames(source)
    : undefined;
  return new KernelTable(await openReaders(mode), () => names);
}

/** Reads what the kernel has; of several tables the first that holds a virtual server. */
export class KernelTable implements LiveTable {
  readonly #readers: readonly TableReader[];
  readonly #names: () => ServiceNames | undefined;

  /** @param names - asked at each look */
  constructor(readers: readonly TableReader[], names: () => ServiceNames | undefined) {
    this.#readers = readers;
    this.#names = names;
  }

  async read(): Promise<ServiceTable> {
    let empty: ServiceTable | undefined;
    let failure: unknown;
    for (const reader of this.#readers) {
      try {
        const table = await reader.table({ totals: true });
        if (table.virtualServers.length > 0) {
          return this.#names()?.name(table) ?? table;
        }
        empty ??= table;
      } catch (error) {
        // A variant that is not installed, or not in this kernel, is none of the node's.
        failure ??= error;
      }
    }
    if (empty !== undefined) {
      return empty;
    }
    throw failureOf(failure);
  }

  [Symbol.dispose](): void {
    for (const reader of this.#readers) {
      reader.close?.();
    }
  }
}

function failureOf(error: unknown): CommandError {
  if (isKernelError(error, "denied")) {
    return new CommandError(2, "Cannot read the kernel: Permission denied (you must be root)", {
      cause: error,
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new CommandError(1, `Cannot read the kernel: ${message}`, { cause: error });
}
