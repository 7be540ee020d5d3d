/**
 * Command lines: what they ask for, and how they are refused. The words of refusals are compared with ipvsadm's own in
 * `e2e/ipvs/ipvsadm.test.ts`.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type IpvsadmCommand, readIpvsadmCommand } from "./ipvsadm-command.ts";
import { UsageError } from "./ipvsadm-options.ts";

const plain: IpvsadmCommand = {
  action: "list",
  format: "default",
  exact: false,
  unsorted: false,
  names: false,
  mode: "auto",
  output: "text",
  selection: {},
  nameSource: {},
};

test.each<[string, Partial<IpvsadmCommand>]>([
  ["", {}],
  ["-L -n", {}],
  ["-ln", {}],
  ["--list --numeric --sort", {}],
  ["-Lnc", { action: "connections" }],
  ["-Ln --persistent-conn -c", { action: "connections", format: "persistent-conn" }],
  ["-Ln --stats --exact --nosort", { format: "stats", exact: true, unsorted: true }],
  ["-Ln --tun-info --rate --thresholds", { format: "rate" }],
  ["-L --timeout", { action: "timeouts" }],
  ["-L --daemon", { action: "daemons" }],
  ["-Sn", { action: "save" }],
  ["--save", { action: "save" }],
  ["-h", { action: "help" }],
  ["--version", { action: "version" }],
  ["-Ln --names --mode ipvs --output=json", { names: true, mode: "ipvs", output: "json" }],
  ["--manifests /m --kubeconfig=/k", { nameSource: { manifests: "/m", kubeconfig: "/k" } }],
])("%j is understood", (line, wanted) => {
  expect(readIpvsadmCommand(line.split(" ").filter((word) => word !== ""))).toEqual({ ...plain, ...wanted });
});

test.each<[string, IpvsadmCommand["selection"]]>([
  ["-Lnt 192.0.2.1:80", { server: { protocol: "TCP", address: "192.0.2.1", port: 80 } }],
  ["-Ln -t192.0.2.1:80", { server: { protocol: "TCP", address: "192.0.2.1", port: 80 } }],
  ["-u [2001:DB8::1]:53", { server: { protocol: "UDP", address: "2001:db8::1", port: 53 } }],
  ["--sctp-service=192.0.2.1", { server: { protocol: "SCTP", address: "192.0.2.1", port: 0 } }],
  ["-f 7", { server: { firewallMark: 7, family: "IPv4" } }],
  ["-6 -f 4294967295", { server: { firewallMark: 4_294_967_295, family: "IPv6" } }],
  ["--service ns/web", { service: { namespace: "ns", name: "web", port: "" } }],
  [
    "--service ns/web:http --namespace ns",
    { service: { namespace: "ns", name: "web", port: "http" }, namespace: "ns" },
  ],
  ["--address [2001:db8:0::1]", { address: "2001:db8::1" }],
])("%j selects", (line, selection) => {
  expect(readIpvsadmCommand(line.split(" ")).selection).toEqual(selection);
});

test.each<[string, string]>([
  ["--bogus", "unknown option --bogus; see kube-sluice ipvsadm --help"],
  ["-Lq", "unknown option -q; see kube-sluice ipvsadm --help"],
  ["-L foo", "unexpected argument foo"],
  ["-L -", "unexpected argument -"],
  ["-L -S", "invalid option `-S'"],
  ["-Lnn", "multiple 'numeric' options specified"],
  ["-t 192.0.2.1:80 -u 192.0.2.1:80", "multiple 'service-address' options specified"],
  ["-Ln -c --timeout", "The option 'timeout' conflicts with the 'connection' option in the 'list' command"],
  [
    "-Ln -f 7 -c",
    "The option 'service-address' conflicts with the 'connection' option in the 'list' command",
  ],
  ["-Ln -c --stats", "options conflicts in the list command"],
  ["-Ln --daemon --persistent-conn", "options conflicts in the list command"],
  ["-Ln -r 192.0.2.1", "Illegal 'real-server' option with the 'list' command"],
  ["-S --stats", "Illegal 'stats' option with the 'save' command"],
  ["-S --output json", "-S prints lines for ipvsadm -R: leave --output out"],
  ["-A -t 192.0.2.1:80", "this command only looks: for --add-service use ipvsadm itself"],
  ["--clear", "this command only looks: for --clear use ipvsadm itself"],
  ["-L -t", "option -t needs a value"],
  ["-L --names=yes", "option --names takes no value"],
  ["-L -t 192.0.2.300:80", "illegal virtual server address[:port] specified: 192.0.2.300:80"],
  ["-L -t 2001:db8::1:80", "illegal virtual server address[:port] specified: 2001:db8::1:80"],
  ["-L -t [192.0.2.1]:80", "illegal virtual server address[:port] specified: [192.0.2.1]:80"],
  ["-L -t 192.0.2.1:70000", "illegal virtual server address[:port] specified: 192.0.2.1:70000"],
  ["-L -f 0", "illegal firewall mark specified: 0"],
  ["-L -6", "-6 used before -f"],
  ["--mode nftables", '--mode must be one of auto, ipvs, iptables, got "nftables"'],
  ["--output xml", '--output must be one of text, json, yaml, got "xml"'],
  ["--service web", '--service must be NAMESPACE/NAME or NAMESPACE/NAME:PORT, got "web"'],
  ["--address web", '--address must be an IP address, got "web"'],
])("%j is refused", (line, message) => {
  expect(() => readIpvsadmCommand(line.split(" "))).toThrow(new UsageError(message));
});

describe("readIpvsadmCommand()", () => {
  test("gives a command or a UsageError of one line for any words", () => {
    const anyWord = fc.oneof(
      fc.constantFrom(
        "-L",
        "-n",
        "-c",
        "-t",
        "-f",
        "-6",
        "--stats",
        "--service",
        "--mode",
        "-S",
        "--exact=1",
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(anyWord, { maxLength: 5 }), (words) => {
        try {
          expect(readIpvsadmCommand(words).format).toBeTruthy();
        } catch (error) {
          if (!(error instanceof UsageError)) throw error;
        }
      }),
    );
  });
});
