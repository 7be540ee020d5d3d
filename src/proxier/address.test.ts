/**
 * Tests of addresses and networks: tables of written forms, and agreement with the platform's own parsers.
 *
 * @module
 */
import { BlockList, isIP, isIPv4 } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Address,
  addressBits,
  addressBytes,
  cidrContains,
  endpointAddressProblem,
  familyOf,
  isLoopback,
  joinHostPort,
  maskAddress,
  parseAddress,
  parseCidr,
  singleAddressCidr,
} from "./address.ts";
import { address, cidr } from "./testing.ts";

const v4Bytes = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 });

/** Groups with many zeros, so that there are runs of them. */
const v6Groups = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), {
  minLength: 8,
  maxLength: 8,
});

const anyV4 = v4Bytes.map((bytes) => address(bytes.join(".")));
const anyV6 = v6Groups
  .map((groups) => groups.map((group) => group.toString(16)).join(":"))
  .map((text) => address(text))
  .filter((one) => familyOf(one) === "IPv6");
const anyAddress = fc.oneof(anyV4, anyV6);

/** Texts near to addresses: their characters, and addresses with something wrong with them. */
const nearlyAddress = fc.oneof(
  fc.string({ unit: fc.constantFrom(..."0129afF:."), maxLength: 24 }),
  fc.tuple(fc.ipV6(), fc.nat(40), fc.constantFrom("", ":", "::", ".", "0", "g", "1.2.3.4")).map(splice),
  fc.tuple(fc.ipV4(), fc.nat(16), fc.constantFrom("", ":", ".", "0", "9", "-", " ")).map(splice),
);

/** Any UTF-16 at all. */
const anyText = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 30 })
  .map((codes) => String.fromCharCode(...codes));

function splice([text, at, inserted]: readonly [string, number, string]): string {
  return text.slice(0, at) + inserted + text.slice(at);
}

/** The platform refuses decimal octets with leading zeros; Kubernetes has always taken them. */
function hasPaddedOctet(text: string): boolean {
  return text.includes(".") && /(?:^|[.:])0[0-9]/.test(text);
}

describe("parseAddress()", () => {
  test.each([
    ["10.96.0.1", "10.96.0.1"],
    ["0.0.0.0", "0.0.0.0"],
    ["255.255.255.255", "255.255.255.255"],
    ["172.30.0.041", "172.30.0.41"],
    ["010.000.0001.00", "10.0.1.0"],
    ["::", "::"],
    ["::1", "::1"],
    ["FD00:0::1", "fd00::1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["::ffff:1.2.3.4", "1.2.3.4"],
    ["::FFFF:0102:0304", "1.2.3.4"],
    ["0:0:0:0:0:ffff:1.2.3.04", "1.2.3.4"],
    ["::ffff:0:0", "0.0.0.0"],
    ["::1.2.3.4", "::102:304"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
    ["::fffe:1.2.3.4", "::fffe:102:304"],
    ["1::ffff:1.2.3.4", "1::ffff:102:304"],
  ])("reads %s as %s", (text, canonical) => {
    expect(parseAddress(text)).toBe(canonical);
  });

  test.each([
    // RFC 5952, section 4: leading zeros, the longest run, the first of equals, a single group, letter case.
    ["2001:0db8::0001", "2001:db8::1"],
    ["2001:db8:0:0:0:0:2:1", "2001:db8::2:1"],
    ["2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:DB8::AaAa", "2001:db8::aaaa"],
    ["2001:db8:aaaa:bbbb:cccc:dddd::1", "2001:db8:aaaa:bbbb:cccc:dddd:0:1"],
    ["0:0:1:0:0:0:0:0", "0:0:1::"],
    ["1:0:0:0:0:0:0:0", "1::"],
  ])("writes %s as RFC 5952 wants it: %s", (text, canonical) => {
    expect(parseAddress(text)).toBe(canonical);
  });

  test.each([
    "",
    " ",
    "1",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.",
    ".1.2.3",
    "1..2.3",
    "1.2.3.256",
    "1.2.3.4 ",
    " 1.2.3.4",
    "1.2.3.-4",
    "+1.2.3.4",
    "0x1.2.3.4",
    "1.2.3.4/32",
    "1.2.3.4:80",
    ":",
    ":::",
    "1:",
    ":1",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "1::2::3",
    "12345::",
    "g::",
    "::1%eth0",
    "[::1]",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "::1.2.3",
    "1:2:3:4:5:6:7:1.2.3.4",
    "…",
    "١.٢.٣.٤",
  ])("refuses %j", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test("returns a canonical address unchanged", () => {
    fc.assert(
      fc.property(anyAddress, (one) => {
        expect(parseAddress(one)).toBe(one);
      }),
    );
  });

  test("agrees with the platform on what is an address", () => {
    fc.assert(
      fc.property(nearlyAddress, (text) => {
        fc.pre(!hasPaddedOctet(text));
        expect(parseAddress(text) !== undefined).toBe(isIP(text) !== 0);
      }),
      { numRuns: 1000 },
    );
  });

  test("writes IPv6 as the URL standard does", () => {
    fc.assert(
      fc.property(anyV6, (one) => {
        expect(`[${one}]`).toBe(new URL(`http://[${one}]/`).hostname);
      }),
    );
  });

  test("reads an IPv4 address padded with zeros or mapped into IPv6 as itself", () => {
    fc.assert(
      fc.property(anyV4, fc.nat(4), (one, zeros) => {
        const padded = one.replaceAll(/[0-9]+/g, (octet) => "0".repeat(zeros) + octet);
        expect(parseAddress(padded)).toBe(one);
        expect(parseAddress(`::ffff:${padded}`)).toBe(one);
        expect(parseAddress(`0:0:0:0:0:FFFF:${one}`)).toBe(one);
      }),
    );
  });

  test("never throws", () => {
    fc.assert(
      fc.property(fc.oneof(anyText, nearlyAddress), (text) => {
        const parsed = parseAddress(text);
        expect(parsed === undefined || isIP(parsed) !== 0).toBe(true);
        parseCidr(text);
      }),
    );
  });

  test("refuses a very long text", () => {
    expect(parseAddress(":".repeat(100_000))).toBeUndefined();
    expect(parseAddress("0".repeat(100_000))).toBeUndefined();
    expect(parseAddress("1.".repeat(100_000))).toBeUndefined();
  });
});

describe("familyOf() and addressBits()", () => {
  test("go by the written form", () => {
    fc.assert(
      fc.property(anyAddress, (one) => {
        expect(familyOf(one)).toBe(isIPv4(one) ? "IPv4" : "IPv6");
        expect(addressBits(familyOf(one))).toBe(addressBytes(one).length * 8);
      }),
    );
  });
});

describe("parseCidr()", () => {
  test.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["1.2.3.4/28", "1.2.3.0/28"],
    ["1.2.3.4/32", "1.2.3.4/32"],
    ["1.2.3.4/0", "0.0.0.0/0"],
    ["255.255.255.255/1", "128.0.0.0/1"],
    ["203.0.113.077/025", "203.0.113.0/25"],
    ["fd00::1:2/64", "fd00::/64"],
    ["ffff:ffff::/17", "ffff:8000::/17"],
    ["2001:db8::1/128", "2001:db8::1/128"],
    ["::/0", "::/0"],
    ["::1/00", "::/0"],
    ["::ffff:1.2.3.4/120", "1.2.3.0/24"],
    ["::ffff:0:0/96", "0.0.0.0/0"],
  ])("reads %s as %s", (text, canonical) => {
    const parsed = parseCidr(text);
    const [network = "", prefix] = canonical.split("/");
    expect(parsed).toEqual({
      family: network.includes(":") ? "IPv6" : "IPv4",
      address: network,
      prefix: Number(prefix),
      text: canonical,
    });
  });

  test.each([
    "",
    "/",
    "/8",
    "10.0.0.0",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/+8",
    "10.0.0.0/8.0",
    "10.0.0.0/8 ",
    " 10.0.0.0/8",
    "10.0.0.0 /8",
    "10.0.0.0/0x8",
    "10.0.0.0/8/8",
    "10.0.0.0/255.0.0.0",
    "10.0.0/8",
    "::/129",
    "::/9999999999",
    "::ffff:1.2.3.4/95",
    "::1%lo/128",
  ])("refuses %j", (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });

  test("gives a network that is its own canonical form", () => {
    fc.assert(
      fc.property(anyAddress, fc.nat(128), (one, bits) => {
        const prefix = bits % (addressBits(familyOf(one)) + 1);
        const parsed = cidr(`${one}/${prefix}`);
        expect(parseCidr(parsed.text)).toEqual(parsed);
        expect(parsed.address).toBe(maskAddress(one, prefix));
      }),
    );
  });
});

describe("singleAddressCidr()", () => {
  test("is the network that parseCidr() reads", () => {
    fc.assert(
      fc.property(anyAddress, (one) => {
        expect(singleAddressCidr(one)).toEqual(parseCidr(`${one}/${addressBits(familyOf(one))}`));
      }),
    );
  });
});

describe("cidrContains()", () => {
  test("agrees with the platform's block list", () => {
    const near = fc.tuple(anyAddress, anyAddress, fc.nat(128), fc.nat(128));
    fc.assert(
      fc.property(near, ([one, other, bits, sameBits]) => {
        const family = familyOf(one);
        const prefix = bits % (addressBits(family) + 1);
        const network = cidr(`${one}/${prefix}`);
        const list = new BlockList();
        list.addSubnet(one, prefix, family === "IPv4" ? "ipv4" : "ipv6");
        // An unrelated address is hardly ever inside: also try one that shares the first bits.
        for (const host of [other, mix(one, other, sameBits)]) {
          const inside = familyOf(host) === family && list.check(host, family === "IPv4" ? "ipv4" : "ipv6");
          expect(cidrContains(network, host)).toBe(inside);
        }
      }),
    );
  });

  test("keeps the families apart", () => {
    expect(cidrContains(cidr("::/0"), address("1.2.3.4"))).toBe(false);
    expect(cidrContains(cidr("0.0.0.0/0"), address("::1"))).toBe(false);
    expect(cidrContains(cidr("0.0.0.0/0"), address("::ffff:1.2.3.4"))).toBe(true);
  });
});

/** The first bits of one address, the rest of another; the first as it is when they differ in family. */
function mix(head: Address, tail: Address, bits: number): Address {
  if (familyOf(head) !== familyOf(tail)) {
    return head;
  }
  const network = addressBytes(maskAddress(head, bits));
  const cut = addressBytes(maskAddress(tail, bits));
  const bytes = addressBytes(tail).map((byte, index) => (byte ^ (cut[index] ?? 0)) | (network[index] ?? 0));
  if (bytes.length === 4) {
    return address(bytes.join("."));
  }
  const mixed = parseAddress(
    bytes
      .map((byte) => byte.toString(16).padStart(2, "0"))
      .join("")
      .replace(/(....)(?!$)/g, "$1:"),
  );
  return mixed === undefined || familyOf(mixed) !== "IPv6" ? head : mixed;
}

describe("joinHostPort()", () => {
  test("puts brackets around IPv6 only", () => {
    expect(joinHostPort(address("10.0.1.1"), 80)).toBe("10.0.1.1:80");
    expect(joinHostPort(address("FD00::0001"), 8080)).toBe("[fd00::1]:8080");
  });
});

describe("isLoopback()", () => {
  test.each([
    ["127.0.0.1", true],
    ["127.255.255.255", true],
    ["::1", true],
    ["::ffff:127.0.0.1", true],
    ["128.0.0.1", false],
    ["12.7.0.1", false],
    ["::", false],
    ["::127.0.0.1", false],
    ["127::1", false],
  ])("of %s is %j", (text, expected) => {
    expect(isLoopback(address(text))).toBe(expected);
  });
});

describe("endpointAddressProblem()", () => {
  test.each([
    ["0.0.0.0", "unspecified"],
    ["::", "unspecified"],
    ["127.0.0.1", "loopback"],
    ["127.9.9.9", "loopback"],
    ["::1", "loopback"],
    ["169.254.0.1", "link-local"],
    ["169.254.255.255", "link-local"],
    ["fe80::1", "link-local"],
    ["febf::1", "link-local"],
    ["224.0.0.5", "link-local multicast"],
    ["ff02::1", "link-local multicast"],
    ["ff12::1", "link-local multicast"],
    ["10.0.1.1", undefined],
    ["169.253.0.1", undefined],
    ["224.0.1.1", undefined],
    ["239.1.2.3", undefined],
    ["fd00::1", undefined],
    ["fec0::1", undefined],
    ["ff05::1", undefined],
    ["::2", undefined],
  ])("of %s is %j", (text, problem) => {
    expect(endpointAddressProblem(address(text))).toBe(problem);
  });
});
