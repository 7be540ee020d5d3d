/**
 * Tables from text.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatTable } from "./format.ts";
import { parseLine, parseTable } from "./parse.ts";
import { anyRealServer, anyVirtualServer } from "./testing-arbitraries.ts";
import { sampleTable } from "./testing-samples.ts";
import { virtualServerName } from "./virtual-server.ts";

test("parseTable() reads what formatTable() has written", () => {
  expect(parseTable(formatTable(sampleTable, { thresholds: true }))).toEqual(sampleTable);
});

test("parseTable() reads any table that formatTable() can write", () => {
  const anyEntry = fc.record({
    // What ipvsadm does not print: a third flag of sh and mh.
    server: anyVirtualServer.filter(({ scheduler }) => scheduler !== "sh" && scheduler !== "mh"),
    // What it has no options for, or the same as for something else.
    realServers: fc.array(
      anyRealServer.filter(({ forwarding }) => !["bypass", "local"].includes(forwarding)),
    ),
  });
  const anyTable = fc.uniqueArray(anyEntry, { selector: ({ server }) => virtualServerName(server) });
  fc.assert(
    fc.property(anyTable, (table) => {
      expect(parseTable(formatTable(table, { thresholds: true }))).toEqual(table);
    }),
  );
});

test("parseTable() gathers real servers that do not stand with their virtual server", () => {
  const text = "-A -t 192.0.2.1:80\n\n  -A -u 192.0.2.1:80 \n-a -t 192.0.2.1:80 -r 198.51.100.1:80\n";
  expect(parseTable(text).map(({ realServers }) => realServers.length)).toEqual([1, 0]);
});

test("parseLine() has ipvsadm's defaults", () => {
  expect(parseLine("-A -t 192.0.2.1:80")).toEqual({
    adds: "virtual-server",
    server: { protocol: "TCP", address: "192.0.2.1", port: 80, scheduler: "wlc" },
  });
  expect(parseLine("-A -t 192.0.2.1:80 -p")).toMatchObject({
    server: { persistence: { timeoutSeconds: 360 } },
  });
  expect(parseLine("-a -t 192.0.2.1:80 -r 198.51.100.1")).toEqual({
    adds: "real-server",
    virtual: { protocol: "TCP", address: "192.0.2.1", port: 80 },
    server: { address: "198.51.100.1", port: 80, forwarding: "direct", weight: 1 },
  });
  expect(parseLine("-a -f 7 -r 198.51.100.1 -i --tun-type gre")).toMatchObject({
    server: { port: 0, forwarding: "tunnel", tunnel: { type: "gre", checksum: "none" } },
  });
  expect(parseLine("-A -t 192.0.2.1 -p 60")).toMatchObject({ server: { address: "192.0.2.1", port: 0 } });
});

test.each([
  [
    "long options, in any order",
    "--sched-flags mh-port,mh-fallback --scheduler=mh --tcp-service [2001:db8::1]:80 --add-service --persistent=60 --netmask 64 --pe=sip --ops",
    "-A -t [2001:db8::1]:80 -s mh -p 60 -M 64 --pe sip -o -b mh-fallback,mh-port",
  ],
  [
    "a mask that masks nothing",
    "-A -t 192.0.2.1:80 -p 60 -M 255.255.255.255",
    "-A -t 192.0.2.1:80 -s wlc -p 60",
  ],
  ["the same of IPv6", "-A -f 1 -6 -p 60 -M 128", "-A -f 1 -6 -s wlc -p 60"],
  ["persistence before another option", "-A -t 192.0.2.1:80 -p -s rr", "-A -t 192.0.2.1:80 -s rr -p 360"],
  ["addresses in other spellings", "-A -u [2001:DB8:0:0::1]:080", "-A -u [2001:db8::1]:80 -s wlc"],
])("parseLine() reads %s", (_, line, canonical) => {
  const parsed = parseLine(line);
  if (parsed.adds !== "virtual-server") expect.unreachable();
  expect(formatTable([{ server: parsed.server, realServers: [] }])).toBe(`${canonical}\n`);
});

test.each([
  ["", "neither -A nor -a stands there"],
  ["-t 192.0.2.1:80", "neither -A nor -a stands there"],
  ["-A -a -t 192.0.2.1:80", "options add-service and add-server exclude each other"],
  ["-A", "no virtual server stands there"],
  ["-A -t 192.0.2.1:80 -u 192.0.2.1:80", "options tcp-service and udp-service exclude each other"],
  ["-A -t 192.0.2.1:80 -A", "option -A stands there twice"],
  ["-A -t 192.0.2.1:80 -z", '"-z" is no option of a saved line'],
  ["-A -t 192.0.2.1:80 rr", '"rr" is no option of a saved line'],
  ["-A -t", "option -t needs an argument"],
  ["-A --tcp-service= -s rr", "option --tcp-service needs an argument"],
  ["-A -t 192.0.2.1:80 --ops=1", "option --ops takes no argument"],
  ["-A -t 192.0.2.1:http", 'port "http" is no number from 0 to 65535'],
  ["-A -t 192.0.2.1:65536", 'port "65536" is no number from 0 to 65535'],
  ["-A -t www.example.org:80", '"www.example.org" is no numeric address'],
  ["-A -t 2001:db8::1:80:http", '"2001:db8::1:80:http" is no numeric address'],
  ["-A -t [192.0.2.1:80", '"[192.0.2.1" is no numeric address'],
  ["-A -t 192.0.2.1:80 -6", "option ipv6 goes with a firewall mark only"],
  ["-A -f 0", 'firewall mark "0" is no number from 1 to 4294967295'],
  ["-A -t 192.0.2.1:80 -b flag-4", '"flag-4" is no scheduler flag'],
  ["-A -t 192.0.2.1:80 -M 255.255.0.0", "options netmask and pe go with option persistent only"],
  ["-A -t 192.0.2.1:80 -p 60 -M 16", '"16" is no numeric address'],
  ["-A -t 192.0.2.1:80 -p 60 -M ffff::", "netmask ffff:: is no IPv4 mask"],
  ["-A -t 192.0.2.1:80 -p 0", 'persistence timeout "0" is no number from 1 to 2678400'],
  ["-A -t 192.0.2.1:80 -w 1", "option weight does not go with add-service"],
  ["-a -t 192.0.2.1:80", "option real-server is missing"],
  ["-a -t 192.0.2.1:80 -r 198.51.100.1 -s rr", "option scheduler does not go with add-server"],
  ["-a -t 192.0.2.1:80 -r 198.51.100.1 -m -g", "options masquerading and gatewaying exclude each other"],
  ["-a -t 192.0.2.1:80 -r 198.51.100.1 -w -1", 'weight "-1" is no number from 0 to 2147483647'],
  ["-a -t 192.0.2.1:80 -r 198.51.100.1 -m --tun-type gre", "option tun-type goes with option ipip only"],
  ["-a -t 192.0.2.1:80 -r 198.51.100.1 -i --tun-type x", '"x" is no type of tunnel'],
  ["-a -t 192.0.2.1:80 -r 198.51.100.1 -i --tun-type gue", "a gue tunnel needs option tun-port"],
  ["-a -t 192.0.2.1:80 -r 198.51.100.1 -i --tun-port 1", "option tun-port goes with a gue tunnel only"],
  ["-a -t 192.0.2.1:80 -r 198.51.100.1 -i --tun-csum", "an ipip tunnel has no checksum"],
  [
    "-a -t 192.0.2.1:80 -r 198.51.100.1 -i --tun-type gre --tun-remcsum",
    "a gre tunnel has no remote checksum",
  ],
])("parseLine() refuses %j", (line, message) => {
  expect(() => parseLine(line)).toThrow(new SyntaxError(message));
});

test.each([
  ["-A -t 192.0.2.1:80\n-A -t 192.0.2.1:80", "virtual server TCP 192.0.2.1:80 is there already"],
  ["\n-a -t 192.0.2.1:80 -r 198.51.100.1", "virtual server TCP 192.0.2.1:80 is not there"],
])("parseTable() refuses %j and names the line", (text, message) => {
  const line = text.split("\n")[1] ?? "";
  expect(() => parseTable(text)).toThrow(
    new SyntaxError(`Cannot read line 2 ${JSON.stringify(line)}: ${message}`),
  );
});

test("parseLine() ends in a value or a SyntaxError, whatever it reads", () => {
  const anyWord = fc.oneof(
    fc.constantFrom(
      "-A",
      "-a",
      "-t",
      "-r",
      "-p",
      "-M",
      "-6",
      "-f",
      "-b",
      "--tun-type",
      "gue",
      "192.0.2.1:80",
      "7",
    ),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(anyWord), (words) => {
      try {
        parseLine(words.join(" "));
      } catch (error) {
        expect(error).toBeInstanceOf(SyntaxError);
      }
    }),
  );
});
