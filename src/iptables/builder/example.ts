/**
 * The program of README.md: a load balancer of three rules, as text, as read back, and as what it does to a packet.
 *
 * @module
 */
import {
  canonicalLine,
  chain,
  comment,
  createTracer,
  destination,
  dnat,
  dport,
  jump,
  oneIn,
  ports,
  renderRestore,
  rule,
} from "kube-sluice/iptables-builder";

const ruleset = {
  tables: [
    {
      name: "nat" as const,
      chains: [
        chain("PREROUTING", [rule([destination("192.0.2.1"), dport("tcp", 80)], jump("WEB"))]),
        chain("WEB", [
          rule([comment("one in two"), ports("tcp"), oneIn(2)], dnat("10.0.0.1", 8080)),
          rule([comment("the others"), ports("tcp")], dnat("10.0.0.2", 8080)),
        ]),
      ],
    },
  ],
};

// What iptables-restore --noflush takes. WEB is replaced as a whole; PREROUTING is built in, so its rule is appended.
const text = renderRestore(ruleset);
process.stdout.write(text);

// A line of iptables-save or of another program, in the form in which it can be compared with the text above.
const foreign = "-A PREROUTING -m tcp -p tcp -d 192.0.2.1 --dport 80 -j WEB";
process.stdout.write(`${text.includes(canonicalLine(foreign, "IPv4"))}\n`);

// What becomes of a packet, without a kernel.
const packet = { source: "198.51.100.7", destination: "192.0.2.1", protocol: "tcp", destinationPort: 80 };
const node = { origin: "network" as const, localAddresses: new Set<string>() };
for (const { probability, verdict, dnat: to } of createTracer(ruleset).connection(packet, node)) {
  process.stdout.write(`${probability} ${verdict} ${to}\n`);
}
