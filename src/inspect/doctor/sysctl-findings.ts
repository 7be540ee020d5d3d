/**
 * Kernel settings that Services depend on.
 *
 * @module
 */
import { ipvsSysctls, parseKernelVersion } from "../../ipvs/sysctls.ts";
import { type Facts, sysctl, usedRules } from "./facts.ts";
import { type Finding, finding, judged } from "./finding.ts";

/** All of them for the mode in use. */
export function sysctlFindings(facts: Facts): readonly Finding[] {
  return [
    forwarding(facts),
    ...ipv6Forwarding(facts),
    routeLocalnet(facts),
    liberal(facts),
    ...(facts.wanted.mode === "ipvs" ? ipvsFindings(facts) : []),
  ];
}

function forwarding(facts: Facts): Finding {
  return judged("ip-forward", sysctl(facts, "net/ipv4/ip_forward"), (value) =>
    finding("ip-forward", value === 0 ? "error" : "ok", `net.ipv4.ip_forward is ${value}`),
  );
}

/** Only where pods have IPv6: an address on some interface that is neither loopback nor link-local. */
function ipv6Forwarding(facts: Facts): readonly Finding[] {
  const { links } = facts;
  const hasIPv6 =
    links.known &&
    links.value.some(({ own }) =>
      own.some((one) => one.includes(":") && one !== "::1" && !one.startsWith("fe80")),
    );
  return hasIPv6
    ? [
        judged("ipv6-forward", sysctl(facts, "net/ipv6/conf/all/forwarding"), (value) =>
          finding("ipv6-forward", value === 0 ? "error" : "ok", `net.ipv6.conf.all.forwarding is ${value}`),
        ),
      ]
    : [];
}

function routeLocalnet(facts: Facts): Finding {
  const wanted = facts.wanted.localhostNodePorts;
  return judged("route-localnet", sysctl(facts, "net/ipv4/conf/all/route_localnet"), (value) => {
    const words = `net.ipv4.conf.all.route_localnet is ${value}`;
    if (value !== 0 && !wanted) {
      return finding(
        "route-localnet",
        "warning",
        `${words}, and nothing of the configuration needs it`,
        "sysctl -w net.ipv4.conf.all.route_localnet=0",
      );
    }
    return value === 0 && wanted
      ? finding("route-localnet", "warning", `${words}: NodePorts on 127.0.0.1 do not answer`)
      : finding("route-localnet", "ok", words);
  });
}

function liberal(facts: Facts): Finding {
  return judged("conntrack-liberal", sysctl(facts, "net/netfilter/nf_conntrack_tcp_be_liberal"), (value) => {
    if (value !== 0) {
      return finding("conntrack-liberal", "ok", "conntrack takes out-of-window packets for valid");
    }
    return judged("conntrack-liberal", usedRules(facts), (all) =>
      all.lines.some(({ line }) => /--ctstate INVALID\b.* -j DROP/.test(line))
        ? finding("conntrack-liberal", "ok", "INVALID packets are dropped by a rule")
        : finding(
            "conntrack-liberal",
            "warning",
            "nf_conntrack_tcp_be_liberal is 0, and no rule drops INVALID packets",
          ),
    );
  });
}

const ipvsFindingIds = {
  "net/ipv4/vs/conntrack": "ipvs-conntrack",
  "net/ipv4/vs/conn_reuse_mode": "ipvs-conn-reuse",
  "net/ipv4/vs/expire_nodest_conn": "ipvs-expire",
  "net/ipv4/vs/expire_quiescent_template": "ipvs-expire",
  "net/ipv4/conf/all/arp_ignore": "strict-arp",
  "net/ipv4/conf/all/arp_announce": "strict-arp",
} as const;

function ipvsFindings(facts: Facts): readonly Finding[] {
  const settings = ipvsSysctls(parseKernelVersion(facts.kernelRelease), facts.wanted.strictARP);
  const ids = new Map<(typeof ipvsFindingIds)[keyof typeof ipvsFindingIds], Finding>();
  for (const { name, value: wanted } of settings) {
    const id = ipvsFindingIds[name as keyof typeof ipvsFindingIds] as
      | (typeof ipvsFindingIds)[keyof typeof ipvsFindingIds]
      | undefined;
    if (id === undefined) {
      continue;
    }
    const dotted = name.replaceAll("/", ".");
    const found = judged(id, sysctl(facts, name), (value) =>
      value === wanted
        ? finding(id, "ok", `${dotted} is ${value}`)
        : finding(id, "error", `${dotted} is ${value}, not ${wanted}`, `sysctl -w ${dotted}=${wanted}`),
    );
    const before = ids.get(id);
    if (before === undefined || before.level === "ok") {
      ids.set(id, found);
    }
  }
  return [...ids.values(), timeouts(facts)];
}

function timeouts(facts: Facts): Finding {
  const id = "ipvs-timeouts";
  return judged(id, facts.ipvs, (ipvs) => {
    if (ipvs === undefined) {
      return finding(id, "unknown", "IPVS is not loaded");
    }
    const { tcpTimeout } = ipvs;
    if (tcpTimeout === undefined) {
      return finding(id, "unknown", "the timeouts of IPVS can only be read with CAP_NET_ADMIN");
    }
    return judged(id, sysctl(facts, "net/ipv4/tcp_keepalive_time"), (keepalive) =>
      tcpTimeout < keepalive
        ? finding(
            id,
            "warning",
            `IPVS forgets idle connections after ${tcpTimeout} s, the first keepalive comes after ${keepalive} s`,
          )
        : finding(id, "ok", `IPVS forgets idle connections after ${tcpTimeout} s, keepalive ${keepalive} s`),
    );
  });
}
