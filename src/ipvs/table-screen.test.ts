/**
 * What the text of the table shows to be as known, and what it does not.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Family } from "../proxier/address.ts";
import { TableScreen } from "./table-screen.ts";

const title = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
`;

const web = `TCP  0A60000A:0050 rr  
  -> 0AF40102:1F90      Masq    3      1          0         
  -> 0AF40101:1F90      Masq    1      0          7         
`;

const known: Readonly<Record<string, ReadonlyMap<string, number>>> = {
  "TCP 10.96.0.10:80": new Map([
    ["10.244.1.1:8080", 1],
    ["10.244.1.2:8080", 3],
  ]),
  "UDP 10.96.0.10:53": new Map(),
  "TCP [fd00:10:96::a]:80": new Map([["[fd00:10:244::1]:8080", 1]]),
  "FWM 1342177281": new Map([["10.244.1.1:8080", 1]]),
  "FWM 1342177282": new Map(),
};

function screened(text: string, family: Family = "IPv4"): readonly string[] {
  const screen = new TableScreen(family, (name) => known[name]);
  screen.push(text);
  screen.end();
  return [...screen.asKnown];
}

describe("TableScreen", () => {
  test.each([
    ["real servers in any order, whatever their connections", web, ["TCP 10.96.0.10:80"]],
    ["no real servers where none are known", "UDP  0A60000A:0035 rr  \n", ["UDP 10.96.0.10:53"]],
    [
      "a firewall mark with real servers",
      "FWM  50000001 rr \n  -> 0AF40101:1F90      Masq    1      0          0         \n",
      ["FWM 1342177281"],
    ],
    ["a persistent one", web.replace("rr  \n", "rr  persistent 1080000 FFFFFFFF\n"), ["TCP 10.96.0.10:80"]],
  ])("takes for known: %s", (_, text, names) => {
    expect(screened(`${title}${text}`)).toEqual(names);
  });

  test.each([
    ["another weight", web.replace("Masq    3", "Masq    4")],
    ["another real server", web.replace("0AF40102", "0AF40103")],
    ["another port of a real server", web.replace("0AF40102:1F90", "0AF40102:1F91")],
    ["one real server too few", web.replace(/ {2}-> 0AF40102.*\n/, "")],
    ["one real server too many", `${web}  -> 0AF40103:1F90      Masq    1      0          0         \n`],
    ["the same one twice", `${web}${web.split("\n")[1]}\n`],
    ["another way to forward", web.replace("Masq    3", "Route   3")],
    ["a weight that is no number", web.replace("Masq    3", "Masq    x")],
    ["something that is no real server", web.replace("0AF40102", "0AF4010")],
    ["another virtual server's", web.replace("0A60000A", "0A60000B")],
    ["another protocol's", web.replace("TCP", "SCTP")],
    ["a firewall mark without real servers, of whatever family", "FWM  50000002 rr \n"],
    ["nothing", ""],
  ])("does not take for known: %s", (_, text) => {
    expect(screened(`${title}${text}`)).toEqual([]);
  });

  test("takes what came once as known and once otherwise for unknown", () => {
    expect(screened(`${web}${web.replace("Masq    3", "Masq    4")}`)).toEqual([]);
  });

  test("looks at one family", () => {
    const six = `TCP  [fd00:0010:0096:0000:0000:0000:0000:000a]:0050 rr 
  -> [fd00:0010:0244:0000:0000:0000:0000:0001]:1F90      Masq    1      0          0         
`;
    expect(screened(`${title}${six}${web}`, "IPv6")).toEqual(["TCP [fd00:10:96::a]:80"]);
    expect(screened(`${title}${six}${web}`, "IPv4")).toEqual(["TCP 10.96.0.10:80"]);
  });

  test("reads pieces however they are cut", () => {
    const text = `${title}${web}UDP  0A60000A:0035 rr  \n`;
    fc.assert(
      fc.property(fc.array(fc.nat({ max: text.length })), (cuts) => {
        const screen = new TableScreen("IPv4", (name) => known[name]);
        const places = [0, ...cuts.toSorted((a, b) => a - b), text.length];
        for (const [index, place] of places.entries()) {
          screen.push(text.slice(place, places[index + 1]));
        }
        screen.end();
        expect([...screen.asKnown]).toEqual(["TCP 10.96.0.10:80", "UDP 10.96.0.10:53"]);
      }),
    );
  });

  test("takes any text, and nothing of it for known", () => {
    const anyLine = fc.oneof(
      fc.string(),
      fc.constantFrom("TCP  0A60000A:0050", "  -> 0AF40101:1F90", "FWM  50000001", " Masq 1 0 0 "),
    );
    fc.assert(
      fc.property(fc.array(anyLine), fc.constantFrom("", "\n"), (parts, separator) => {
        expect(screened(parts.join(separator))).toEqual([]);
      }),
    );
  });
});
