/**
 * Table screen: tells from the kernel's own table as text whose real servers are as known.
 *
 * Pure. The text is that of /proc/net/ip_vs. The kernel writes it all at once, which costs a tenth of asking over netlink
 * for the real servers of each virtual server. It does not say everything: of a real server it has address, port, weight
 * and forwarding method, but no thresholds; and of a firewall mark not the family. Whatever is not seen to be as known,
 * or not understood, counts as unseen: somebody has to ask for it.
 *
 * Source: ip_vs_info_seq_show of the kernel.
 *
 * @module
 */
import { procAddress } from "../netlink/proc-address.ts";
import type { Family } from "../proxier/address.ts";
import { addressAndPort, virtualServerName } from "./netlink/virtual-server.ts";

/** `TCP  0A602636:0050 rr`, `TCP  [fd00:...:0001]:0050 rr`, `FWM  50000001 rr`. */
const addressLine = /^(TCP|UDP|SCTP) +\[?([0-9A-Fa-f:]+?)\]?:([0-9A-F]{4}) /;
const markLine = /^FWM +([0-9A-F]{8}) /;

/**
 * Columns of `  -> 0A817E25:1F90      Masq    1      0          0`, the last two counted from the end of the port: by place
 * and not by pattern, since there may be hundreds of thousands of such lines.
 */
const realServerStart = "  -> ";
const portDigits = 4;
const forwardingColumn = 6;
const weightColumn = 14;
const masquerade = "Masq    ";

/** What is known of the virtual server whose lines are being read. */
interface Candidate {
  readonly name: string;
  readonly isMark: boolean;
  /** Weights by `ip:port`. */
  readonly real: ReadonlyMap<string, number>;
  seen: number;
  differs: boolean;
}

/** Reads the text of one family, in pieces. */
export class TableScreen {
  /** Names of virtual servers whose real servers were seen to be as known. */
  readonly asKnown: Set<string> = new Set();
  readonly #family: Family;
  readonly #realOf: (name: string) => ReadonlyMap<string, number> | undefined;
  #rest = "";
  #candidate: Candidate | undefined;

  /** @param realOf weights of the real servers that a virtual server is known to have, by `ip:port` */
  constructor(family: Family, realOf: (name: string) => ReadonlyMap<string, number> | undefined) {
    this.#family = family;
    this.#realOf = realOf;
  }

  /** Takes a piece, however it is cut. */
  push(piece: string): void {
    const lines = (this.#rest + piece).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith(realServerStart)) {
        this.#takeRealServer(line);
      } else {
        this.#finish();
        this.#candidate = this.#candidateOf(line);
      }
    }
  }

  /** Call behind the last piece. */
  end(): void {
    this.#finish();
    this.#rest = "";
  }

  #candidateOf(line: string): Candidate | undefined {
    const name = this.#nameOf(line);
    const real = name === undefined ? undefined : this.#realOf(name);
    return name === undefined || real === undefined
      ? undefined
      : { name, isMark: line.startsWith("FWM"), real, seen: 0, differs: false };
  }

  #nameOf(line: string): string | undefined {
    const [, protocol, text = "", port = ""] = addressLine.exec(line) ?? [];
    if (protocol !== undefined) {
      // The other family's are many, and nobody asks for them.
      const address = text.includes(":") === (this.#family === "IPv6") ? procAddress(text) : undefined;
      return address === undefined
        ? undefined
        : `${protocol} ${addressAndPort(address, Number.parseInt(port, 16))}`;
    }
    const [, mark] = markLine.exec(line) ?? [];
    return mark === undefined
      ? undefined
      : virtualServerName({ firewallMark: Number.parseInt(mark, 16), family: this.#family });
  }

  #takeRealServer(line: string): void {
    const candidate = this.#candidate;
    if (candidate === undefined || candidate.differs) {
      return;
    }
    const end = line.indexOf(" ", realServerStart.length);
    const place = line.slice(realServerStart.length, end - portDigits - 1).replace(/^\[|\]$/g, "");
    const address = procAddress(place);
    const port = Number.parseInt(line.slice(end - portDigits, end), 16);
    const weight = Number.parseInt(line.slice(end + weightColumn), 10);
    const known = address === undefined ? undefined : candidate.real.get(addressAndPort(address, port));
    candidate.seen += 1;
    candidate.differs = !line.startsWith(masquerade, end + forwardingColumn) || known !== weight;
  }

  #finish(): void {
    const candidate = this.#candidate;
    this.#candidate = undefined;
    if (candidate === undefined) {
      return;
    }
    const { name, isMark, real, seen, differs } = candidate;
    // Without real servers nothing tells of which family a mark is.
    if (differs || seen !== real.size || (isMark && seen === 0)) {
      this.asKnown.delete(name);
    } else {
      this.asKnown.add(name);
    }
  }
}
