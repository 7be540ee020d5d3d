/**
 * Rules that do nothing but send a connection on, by chance or always: nine in ten rules of a node.
 *
 * A hundred thousand of them as objects, or even as texts, would be most of what a listing costs. They are read from the
 * bytes of a dump and kept as columns of numbers, with the texts of all addresses in one piece.
 *
 * Pure.
 *
 * @module
 */

/** Rules of one chain that follow each other, as places in {@link Translations}. */
export class TranslationRun {
  readonly from: number;
  /** The place behind the last one. */
  to: number;

  /** Begins with one rule. */
  constructor(from: number) {
    this.from = from;
    this.to = from + 1;
  }
}

const [newline, blank, dot, zero, nine, colon, opening, closing] = [
  0x0a, 0x20, 0x2e, 0x30, 0x39, 0x3a, 0x5b, 0x5d,
];

const encoder = new TextEncoder();
const protocol = encoder.encode("-p ");
const byChance = encoder.encode(" -m statistic --mode random --probability ");
const translate = encoder.encode(" -j DNAT --to-destination ");

/** iptables prints eleven; a number with more digits may not be what a float would have been read as. */
const mostDigits = 15;

const firstRoom = 1024;
/** `10.244.117.203`. */
const usualLength = 14;

/** All such rules of a dump, in its order. */
export class Translations {
  #length = 0;
  #chances = new Float64Array(firstRoom);
  #packets = new Float64Array(firstRoom);
  #ports = new Uint16Array(firstRoom);
  /** IPv4 addresses as numbers, −1 for one of IPv6. */
  #words = new Float64Array(firstRoom);
  /** Where the text of each address stops; it begins where that of the one before stops. */
  #stops = new Uint32Array(firstRoom);
  #bytes = new Uint8Array(firstRoom * usualLength);
  #text: string | undefined;

  /** How many there are, and the place of the next one. */
  get length(): number {
    return this.#length;
  }

  /**
   * Takes a rule in if it is that of a real server as this program writes it: protocol, chance, translation.
   *
   * @param bytes a dump in which a newline ends the rule
   * @param at where the rule goes on behind its chain
   * @param packets what its counters say
   * @returns the place behind its newline; −1 if it is another kind of rule, of which nothing was taken
   */
  take(bytes: Uint8Array, at: number, packets: number): number {
    if (!startsWith(bytes, at, protocol)) return -1;
    let place = wordEnd(bytes, at + protocol.length);
    let chance = 1;
    if (startsWith(bytes, place, byChance)) {
      const from = place + byChance.length;
      place = wordEnd(bytes, from);
      chance = decimal(bytes, from, place);
      if (chance < 0) return -1;
    }
    if (!startsWith(bytes, place, translate)) return -1;
    const from = place + translate.length;
    const end = wordEnd(bytes, from);
    if (bytes[end] !== newline || !this.#addEnd(bytes, from, end)) return -1;
    this.#chances[this.#length] = chance;
    this.#packets[this.#length] = packets;
    this.#length += 1;
    if (this.#length === this.#stops.length) this.#grow();
    return end + 1;
  }

  /** Share of the packets that get to a rule which it takes. */
  chance(place: number): number {
    return this.#chances[place] ?? 0;
  }

  /** What it has let through. */
  packets(place: number): number {
    return this.#packets[place] ?? 0;
  }

  /** The address that it sends them to, without brackets. */
  address(place: number): string {
    this.#text ??= new TextDecoder().decode(this.#bytes.subarray(0, this.#stop(this.#length)));
    return this.#text.slice(this.#stop(place), this.#stop(place + 1));
  }

  port(place: number): number {
    return this.#ports[place] ?? 0;
  }

  /** The address as a number of 32 bits; −1 for one of IPv6. */
  word(place: number): number {
    return this.#words[place] ?? -1;
  }

  /** Where the text of an address starts. */
  #stop(place: number): number {
    return place === 0 ? 0 : (this.#stops[place - 1] ?? 0);
  }

  /** Takes in `192.0.2.1:80` or `[2001:db8::1]:80`. @returns false for anything else */
  #addEnd(bytes: Uint8Array, from: number, end: number): boolean {
    const isIpv6 = bytes[from] === opening;
    const start = isIpv6 ? from + 1 : from;
    let at = start;
    let word = 0;
    let number = 0;
    for (; at < end && bytes[at] !== (isIpv6 ? closing : colon); at++) {
      const byte = bytes[at] ?? 0;
      if (byte === dot) {
        word = word * 256 + number;
        number = 0;
      } else number = number * 10 + byte - zero;
    }
    const addressEnd = at;
    if (isIpv6) at += 1;
    if (bytes[at] !== colon) return false;
    const port = decimal(bytes, at + 1, end);
    if (!Number.isInteger(port) || port < 0 || port > 65_535) return false;
    this.#words[this.#length] = isIpv6 ? -1 : word * 256 + number;
    this.#ports[this.#length] = port;
    this.#addText(bytes, start, addressEnd);
    return true;
  }

  #addText(bytes: Uint8Array, from: number, end: number): void {
    let to = this.#stop(this.#length);
    const room = to + end - from;
    if (room > this.#bytes.length) this.#bytes = larger(this.#bytes, new Uint8Array(room * 2));
    for (let at = from; at < end; at++) this.#bytes[to++] = bytes[at] ?? 0;
    this.#stops[this.#length] = to;
    this.#text = undefined;
  }

  #grow(): void {
    const room = this.#length * 2;
    this.#chances = larger(this.#chances, new Float64Array(room));
    this.#packets = larger(this.#packets, new Float64Array(room));
    this.#ports = larger(this.#ports, new Uint16Array(room));
    this.#words = larger(this.#words, new Float64Array(room));
    this.#stops = larger(this.#stops, new Uint32Array(room));
  }
}

function larger<Numbers extends Float64Array | Uint32Array | Uint16Array | Uint8Array>(
  numbers: Numbers,
  room: Numbers,
): Numbers {
  room.set(numbers);
  return room;
}

/** Whether a text stands somewhere in the bytes. */
export function startsWith(bytes: Uint8Array, at: number, text: Uint8Array): boolean {
  for (let index = 0; index < text.length; index++) if (bytes[at + index] !== text[index]) return false;
  return true;
}

/** Where a word that starts here ends: at a blank or newline. */
function wordEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  while ((bytes[at] ?? 0) > blank) at += 1;
  return at;
}

/** A number as it is written out, with or without a fraction; −1 if it is none. */
function decimal(bytes: Uint8Array, from: number, end: number): number {
  let [value, digits, fraction] = [0, 0, -1];
  for (let at = from; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === dot && fraction < 0) fraction = digits;
    else if (byte < zero || byte > nine) return -1;
    else {
      value = value * 10 + byte - zero;
      digits += 1;
    }
  }
  if (digits === 0 || digits > mostDigits) return -1;
  // Both are exact, so that their quotient is the number that is closest to what is written.
  return fraction < 0 ? value : value / 10 ** (digits - fraction);
}
