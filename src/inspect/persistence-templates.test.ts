/**
 * @module
 */
import { expect, test } from "vitest";
import { parseTemplates } from "./persistence-templates.ts";

const file = `Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP 0AF40102 9C40 0A60000A 0050 0AF40202 1F90 ESTABLISHED     899
TCP 0AF40102 0000 0A60000A 0050 0AF40202 1F90 NONE          10795
IP  AC1F0101 0000 50003105 0000 0AF40102 1F90 NONE            120
UDP fd00:0244:0001:0000:0000:0000:0000:0002 0000 fd00:0010:0096:0000:0000:0000:0000:000a 0035 fd00:0244:0002:0000:0000:0000:0000:0003 0035 NONE             60
`;

test("parseTemplates() reads the clients that are bound, and no connections", () => {
  expect(parseTemplates(file)).toEqual([
    { server: "TCP 10.96.0.10:80", client: "10.244.1.2", target: "10.244.2.2:8080", secondsLeft: 10_795 },
    { server: `FWM ${0x50003105}`, client: "172.31.1.1", target: "10.244.1.2:8080", secondsLeft: 120 },
    {
      server: "UDP [fd00:10:96::a]:53",
      client: "fd00:244:1::2",
      target: "[fd00:244:2::3]:53",
      secondsLeft: 60,
    },
  ]);
});

test("parseTemplates() reads nothing from nothing", () => {
  expect(parseTemplates("")).toEqual([]);
  expect(parseTemplates("no such file\nTCP 1 2 3\n")).toEqual([]);
});
