/**
 * Tables as text, as ipvsadm 1.31 prints them; `e2e/ipvs-netlink.test.ts` compares with the program itself.
 *
 * @module
 */
import { expect, test } from "vitest";
import { formatRealServer, formatTable, formatVirtualServer, schedulerFlagLabels } from "./format.ts";
import { sampleTable } from "./testing-samples.ts";
import { schedulerFlagNames, type VirtualServer } from "./virtual-server.ts";

test("formatTable() prints what ipvsadm prints for every kind of server", () => {
  expect(formatTable(sampleTable)).toBe(`\
-A -t 192.0.2.1:80 -s wlc -p 10800
-a -t 192.0.2.1:80 -r 198.51.100.1:8080 -m -w 1
-a -t 192.0.2.1:80 -r 198.51.100.2:8081 -m -w 0
-a -t 192.0.2.1:80 -r 198.51.100.3:80 -g -w 2147483647
-a -t 192.0.2.1:80 -r 198.51.100.4:80 -i -w 3 --tun-type ipip
-A -t 192.0.2.2:0 -s sh -p 1 -M 255.255.255.0 -b sh-fallback,sh-port
-a -t 192.0.2.2:0 -r 198.51.100.1:0 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum
-a -t 192.0.2.2:0 -r 198.51.100.2:0 -i -w 1 --tun-type gue --tun-port 65535 --tun-csum
-a -t 192.0.2.2:0 -r 198.51.100.3:0 -i -w 1 --tun-type gue --tun-port 1 --tun-remcsum
-a -t 192.0.2.2:0 -r 198.51.100.4:0 -i -w 1 --tun-type gre --tun-nocsum
-a -t 192.0.2.2:0 -r 198.51.100.5:0 -i -w 1 --tun-type gre --tun-csum
-A -u 192.0.2.1:5060 -s rr -p 2678400 --pe sip -o -b flag-1,flag-3
-a -u 192.0.2.1:5060 -r 198.51.100.1:5060 -m -w 1
-A -u 192.0.2.3:53 -s mh -b mh-port
-A --sctp-service 192.0.2.1:9999 -s rr
-a --sctp-service 192.0.2.1:9999 -r 198.51.100.1:9999 -m -w 1
-A -t [2001:db8::1]:443 -s mh -p 600 -M 64 -b mh-fallback,mh-port
-a -t [2001:db8::1]:443 -r 198.51.100.1:443 -i -w 1 --tun-type ipip
-a -t [2001:db8::1]:443 -r [2001:db8:1::1]:8443 -m -w 1
-a -t [2001:db8::1]:443 -r [2001:db8:1::2]:8443 -m -w 100
-A -u [2001:db8::1]:53 -s rr -o
-a -u [2001:db8::1]:53 -r [2001:db8:1::1]:53 -g -w 1
-A -f 7 -s sed -p 60 -M 255.0.255.0
-a -f 7 -r 198.51.100.1:0 -g -w 1
-a -f 7 -r [2001:db8:1::1]:0 -i -w 1 --tun-type ipip
-A -f 7 -6 -s nq
-a -f 7 -6 -r [2001:db8:1::1]:0 -i -w 1 --tun-type ipip
`);
});

test("formatTable() prints thresholds when asked", () => {
  const [line] = formatTable(sampleTable, { thresholds: true })
    .split("\n")
    .filter((one) => one.includes("-x 100"));
  expect(line).toBe("-a -t 192.0.2.1:80 -r 198.51.100.2:8081 -m -w 0 -x 100 -y 50");
});

test("formatTable() prints nothing for no servers", () => {
  expect(formatTable([])).toBe("");
});

test("formatVirtualServer() prints large firewall marks so that ipvsadm reads them", () => {
  const server: VirtualServer = { firewallMark: 4_294_967_295, family: "IPv4", scheduler: "rr" };
  expect(formatVirtualServer(server)).toBe("-A -f 4294967295 -s rr");
});

test("formatRealServer() refuses the forwarding method that ipvsadm has no option for", () => {
  const virtual = { protocol: "TCP", address: "192.0.2.1", port: 80 } as const;
  const server = { address: "198.51.100.1", port: 80, weight: 1 };
  expect(formatRealServer(virtual, { ...server, forwarding: "local" })).toContain(" -g ");
  expect(() => formatRealServer(virtual, { ...server, forwarding: "bypass" })).toThrow(
    new RangeError(
      "Cannot format real server 198.51.100.1:80 of virtual server TCP 192.0.2.1:80: ipvsadm has no option for forwarding method bypass",
    ),
  );
});

test("schedulerFlagLabels() gives the scheduler's own names, without a third for sh and mh", () => {
  const labels = (scheduler: string): readonly string[] =>
    schedulerFlagLabels({ scheduler, schedulerFlags: [...schedulerFlagNames] });
  expect(labels("sh")).toEqual(["sh-fallback", "sh-port"]);
  expect(labels("mh")).toEqual(["mh-fallback", "mh-port"]);
  expect(labels("rr")).toEqual(["flag-1", "flag-2", "flag-3"]);
  expect(schedulerFlagLabels({ scheduler: "sh" })).toEqual([]);
});
