/**
 * Facts from /proc and /sys, from texts as Linux prints them.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { known } from "./finding.ts";
import {
  readConntrackLosses,
  readKernelParts,
  readLock,
  readProxies,
  readRecent,
  readSysctls,
} from "./host-facts.ts";
import { hasPart, mayRun, schedulerPart } from "./kernel-parts.ts";
import { fakeFiles } from "./testing-files.ts";

const ownPids = { "/proc/self/ns/pid": "pid:[4026531836]", "/proc/self/ns/net": "net:[1]" };
const lock = "/run/xtables.lock";
const identities = { [lock]: { device: "00:1a", inode: "77" } };

test("readSysctls() reads numbers, and says of each why it is not known", () => {
  const files = fakeFiles({
    texts: { "/proc/sys/net/ipv4/ip_forward": "1\n", "/proc/sys/net/ipv4/tcp_keepalive_time": "?\n" },
    denied: ["/proc/sys/net/ipv4/conf/all/arp_ignore"],
  });
  const all = readSysctls(files);
  expect(all.get("net/ipv4/ip_forward")).toEqual(known(1));
  expect(all.get("net/ipv4/tcp_keepalive_time")).toMatchObject({ known: false });
  expect(all.get("net/ipv4/conf/all/arp_ignore")).toMatchObject({
    reason: expect.stringContaining("EACCES"),
  });
  expect(all.get("net/ipv4/vs/conntrack")).toMatchObject({ reason: expect.stringContaining("ENOENT") });
});

test("readConntrackLosses() adds the columns of all CPUs, by their names", () => {
  const text =
    "entries  clashres found drop early_drop icmp_error\n" +
    "00000001  00000000 00000000 0000000a 00000001 00000000\n" +
    "00000001  00000000 00000000 00000001 00000010 00000000\n";
  const files = fakeFiles({ texts: { "/proc/net/stat/nf_conntrack": text } });
  expect(readConntrackLosses(files)).toEqual(known({ dropped: 11, evicted: 17 }));
});

test("readRecent() counts the clients of lists of endpoints, and no others", () => {
  const client = "src=10.0.0.1 ttl: 64 last_seen: 4294 oldest_pkt: 1 4294\n";
  const files = fakeFiles({
    texts: {
      "/sys/module/xt_recent/parameters/ip_list_tot": "200\n",
      "/proc/net/xt_recent/KUBE-SEP-AAAA": client + client,
      "/proc/net/xt_recent/sshguard": client,
    },
  });
  expect(readRecent(files)).toEqual(known({ limit: 200, lists: [{ name: "KUBE-SEP-AAAA", clients: 2 }] }));
  expect(readRecent(fakeFiles({}))).toEqual(known({ limit: 100, lists: [] }));
  expect(readRecent(fakeFiles({ denied: ["/proc/net/xt_recent"] }))).toMatchObject({ known: false });
});

test("readLock() names whoever holds it, and not who waits or locks something else", () => {
  const locks =
    "1: FLOCK  ADVISORY  WRITE 4242 00:1a:77 0 EOF\n" +
    "1: -> FLOCK  ADVISORY  WRITE 4243 00:1a:77 0 EOF\n" +
    "2: POSIX  ADVISORY  WRITE 4244 00:1a:78 0 EOF\n";
  const texts = { "/proc/locks": locks, "/proc/4242/comm": "flanneld\n" };
  expect(readLock(fakeFiles({ texts, links: ownPids, identities }), lock)).toEqual(
    known([{ pid: 4242, name: "flanneld" }]),
  );
  expect(readLock(fakeFiles({ texts, links: ownPids }), lock)).toEqual(known([]));
});

test("a container that does not see the host's processes does not know of locks and proxies", () => {
  const links = { ...ownPids, "/proc/self/ns/pid": "pid:[4026532999]" };
  const files = fakeFiles({ texts: { "/proc/locks": "", "/proc/1/cmdline": "x" }, links, identities });
  expect(readLock(files, lock)).toMatchObject({ reason: expect.stringContaining("hostPID") });
  expect(readProxies(files)).toMatchObject({ reason: expect.stringContaining("hostPID") });
});

test("readProxies() finds programs by name, in this network namespace only", () => {
  const texts = {
    "/proc/10/cmdline": "/usr/local/bin/kube-proxy\0--config=/x\0",
    "/proc/11/cmdline": "/usr/local/bin/kube-proxy\0--config=/x\0",
    "/proc/12/cmdline": "grep\0kube-proxy\0",
  };
  const links = {
    ...ownPids,
    "/proc/10/ns/net": "net:[1]",
    "/proc/11/ns/net": "net:[2]",
    "/proc/12/ns/net": "net:[1]",
  };
  expect(readProxies(fakeFiles({ texts, links }))).toEqual(known(["kube-proxy"]));
});

test("readKernelParts() tells what is there, what is not, and what nobody knows", () => {
  const rr = schedulerPart("rr");
  const mh = schedulerPart("mh");
  const config = gzipSync("CONFIG_IP_VS_RR=y\n# CONFIG_IP_VS_MH is not set\nCONFIG_IP_VS_SH=m\n");
  const built = readKernelParts(fakeFiles({ bytes: { "/proc/config.gz": config } }), "6.1");
  expect([rr, mh, schedulerPart("sh")].map((part) => hasPart(built, part))).toEqual([true, false, undefined]);
  expect(mayRun(built, rr)).toBe(true);
  expect(mayRun(built, schedulerPart("sh"))).toBe(false);

  const texts = {
    "/lib/modules/6.1/modules.builtin": "kernel/net/netfilter/nf_tables.ko\n",
    "/lib/modules/6.1/modules.dep":
      "kernel/net/netfilter/ipvs/ip_vs_rr.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz\n",
  };
  const installed = readKernelParts(fakeFiles({ texts }), "6.1");
  expect([rr, mh].map((part) => hasPart(installed, part))).toEqual([true, false]);
  expect(mayRun(installed, rr)).toBe(false);

  const loaded = readKernelParts(
    fakeFiles({ texts: { "/proc/modules": "ip_vs_mh 16384 0 - Live 0x0\n" } }),
    "6.1",
  );
  expect([rr, mh].map((part) => hasPart(loaded, part))).toEqual([undefined, true]);
  expect(mayRun(loaded, mh)).toBe(true);
});
