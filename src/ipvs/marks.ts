/**
 * Firewall marks of virtual servers: packets that carry one are balanced by the server of that mark, whatever their
 * destination.
 *
 * IPVS looks a packet's whole mark up before it looks at the destination, so a mark must be the packet's only one. It is
 * on a packet only between mangle (INPUT or OUTPUT) and IPVS, and is taken off right behind IPVS.
 *
 * Layout. Packets that carry any of our marks are recognised by 16 fixed bits; the other 16 number the Service port.
 *
 * ```
 *   0101 nnnn nnnn 0000 0011 0000 nnnn nnnn
 * ```
 *
 * Bits that others test on packets on this way are 0: 0x4000 and 0x8000 (kubelet, kube-proxy: masquerade, drop),
 * 0x0f00 (Cilium), 0x000f0000 (Calico: accept, pass). Four fixed bits are 1, so a mask of a single bit, whichever is
 * configured for masquerade, is never taken for one of ours, nor is Calico's endpoint mark, which leaves the lower half
 * alone.
 *
 * @module
 */

/** The bits by which one of our marks is recognised, and what they are. */
export const markPattern = { value: 0x5000_3000, mask: 0xf00f_ff00 } as const;

/** How many Service ports of a family can have a mark. */
export const markCount = 0x1_0000;

/** Whether a mark is one of ours. */
export function isOwnMark(mark: number): boolean {
  return (mark & markPattern.mask) >>> 0 === markPattern.value;
}

/** The mark with a number from 0 to {@link markCount} − 1. */
export function markOf(number: number): number {
  return (markPattern.value | ((number & 0xff00) << 12) | (number & 0xff)) >>> 0;
}

/** The number of one of our marks. */
export function numberOfMark(mark: number): number {
  return ((mark >>> 12) & 0xff00) | (mark & 0xff);
}

/**
 * Gives every Service port that needs one a mark, the same one as long as it needs it.
 *
 * The number is a hash of the name, so that it is the same after a restart and whatever the order of events, but for
 * the few whose number is taken: those get the next free one.
 */
export class MarkAllocator {
  readonly #byName = new Map<string, number>();
  readonly #byNumber = new Map<number, string>();

  /** The mark of a Service port, given now if need be. Undefined when all are taken. */
  take(name: string): number | undefined {
    const known = this.#byName.get(name);
    if (known !== undefined) {
      return markOf(known);
    }
    if (this.#byNumber.size >= markCount) {
      return undefined;
    }
    let number = hash(name) % markCount;
    while (this.#byNumber.has(number)) {
      number = (number + 1) % markCount;
    }
    this.#give(name, number);
    return markOf(number);
  }

  /**
   * Keeps a mark that is in use already, so that connections under it stay where they are.
   *
   * @returns whether it could be had: not when either has another one
   */
  keep(name: string, mark: number): boolean {
    const number = numberOfMark(mark);
    if (!isOwnMark(mark) || this.#byName.has(name) || this.#byNumber.has(number)) {
      return this.#byName.get(name) === number;
    }
    this.#give(name, number);
    return true;
  }

  /** Takes the mark back. Harmless when there is none. */
  release(name: string): void {
    const number = this.#byName.get(name);
    if (number !== undefined) {
      this.#byName.delete(name);
      this.#byNumber.delete(number);
    }
  }

  #give(name: string, number: number): void {
    this.#byName.set(name, number);
    this.#byNumber.set(number, name);
  }
}

/** FNV-1a over UTF-16 code units, folded: every unit moves the lower bits. */
export function hash(text: string): number {
  let state = 0x811c_9dc5;
  for (let index = 0; index < text.length; index++) {
    state = Math.imul(state ^ text.charCodeAt(index), 0x0100_0193);
  }
  return (state ^ (state >>> 16)) >>> 0;
}
