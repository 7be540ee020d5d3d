/**
 * Fingerprints of chain contents: 53 bits that stand for the text of a chain, so that knowing what the kernel holds
 * costs a number per chain instead of its text.
 *
 * Not cryptographic. A change that collides (one in 2^53) would be noticed by nobody until the next one; at a million
 * changes a day that is once in 20 million years.
 *
 * @module
 */

/** A fingerprint that lines are being added to: two halves of 32 bits. */
export interface Fingerprint {
  high: number;
  low: number;
}

/** The fingerprint of a chain's lines in one text, each ended by a newline. The same as that of the lines added one by one. */
export function fingerprintOf(text: string): number {
  let { high, low } = beginFingerprint();
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === newline) {
      high = endHigh(high);
      low = endLow(low, high);
      high = (high + low) | 0;
    } else {
      high = Math.imul(high ^ code, 0x9e37_79b1);
      low = Math.imul(low ^ code, 0x5f35_6495);
    }
  }
  return endFingerprint({ high, low });
}

const newline = 10;

/** Begins a fingerprint: that of an empty chain. */
export function beginFingerprint(): Fingerprint {
  return { high: 0x9e37_79b9 | 0, low: 0x85eb_ca6b | 0 };
}

/**
 * Adds one line. Two multiplicative hashes with different odd factors, mixed with each other per line.
 *
 * Every step can be undone, given the line, so that two chains that differ so far stay different while equal lines follow.
 */
export function addLine(state: Fingerprint, line: string): void {
  let high = state.high;
  let low = state.low;
  for (let index = 0; index < line.length; index++) {
    const code = line.charCodeAt(index);
    high = Math.imul(high ^ code, 0x9e37_79b1);
    low = Math.imul(low ^ code, 0x5f35_6495);
  }
  high = endHigh(high);
  low = endLow(low, high);
  state.high = (high + low) | 0;
  state.low = low;
}

function endHigh(high: number): number {
  return Math.imul(high ^ (high >>> 15), 0x2c1b_3c6d);
}

function endLow(low: number, high: number): number {
  return Math.imul(low ^ (low >>> 13) ^ high, 0x297a_2d39);
}

/** The fingerprint as a safe integer. */
export function endFingerprint(state: Fingerprint): number {
  return (state.high >>> 11) * 0x1_0000_0000 + (state.low >>> 0);
}
