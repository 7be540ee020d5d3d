/**
 * The iptables rules of ipvs mode: a fixed text that looks at ipsets, written once. What Services ask for is in the sets.
 *
 * The way of a packet. To a virtual server's address it comes in by INPUT (from outside and from pods) or goes out by
 * OUTPUT (from processes of the node); IPVS translates it behind filter INPUT, or between nat and filter OUTPUT; then it
 * passes OUTPUT (once more) and POSTROUTING with the endpoint as its destination. Answers pass FORWARD.
 *
 * Names of chains and comments are kube-proxy's where the thing is the same. Ours are one jump per built-in chain, so
 * that somebody who inserts rules cannot change the order between refusing and accepting, and the chains
 * `KUBE-SLUICE-…`:
 *
 * - `REFUSE`, `PORT` (filter): frontends without endpoints, or without endpoints on this node.
 * - `MARK-IN`, `MARK-OUT`, `UNMARK` (mangle): pods and the node itself are sent to all endpoints where everybody else
 *   only reaches those of this node. The mark picks a second virtual server (marks.ts). It is set as late before IPVS
 *   and taken off as soon behind it as can be; the masquerade of the node's own packets is decided when it comes off,
 *   because IPVS wants the mark to be whole until then. Only the first packet of a connection may ask for masquerade: nat
 *   looks at no other, so on others the bit would stay and come to the attention of whoever sees the packet next.
 *
 * @module
 */
import { sourceEqualsDestination } from "../iptables/builder/bpf.ts";
import {
  bpf,
  comment,
  ctstate,
  destination,
  destinationType,
  inSet,
  mark,
  markHas,
  not,
  protocol,
  raw,
  source,
  sourceType,
} from "../iptables/builder/matches.ts";
import type { Match, Rule, SetDirection, Target } from "../iptables/builder/rule.ts";
import {
  accept,
  drop,
  jump,
  masquerade,
  orMark,
  rawTarget,
  reject,
  returnToCaller,
  setXmark,
  xorMark,
} from "../iptables/builder/targets.ts";
import { coversEverything, detectorMatches } from "../iptables/detector-match.ts";
import { localhostDestinations } from "../iptables/localhost-plan.ts";
import { localhostChain } from "../iptables/rule-part.ts";
import { invalidReplies } from "../iptables/static-rules.ts";
import type { Family } from "../proxier/address.ts";
import type { NodePlan } from "../proxier/plan.ts";
import { canaryChain, chains, type FixedChain, type RuleTable } from "./fixed-chains.ts";
import { markPattern } from "./marks.ts";
import type { RuleSettings } from "./rule-settings.ts";
import { type SetRole, setComment, setName } from "./sets.ts";

/** All chains, each behind those that it jumps to. */
export function fixedChains(node: NodePlan, settings: RuleSettings): readonly FixedChain[] {
  return new FixedRules(node, settings).chains();
}

const newConnection: Match = ctstate("NEW");
const oldConnection: Match = ctstate("RELATED", "ESTABLISHED");
const ownMark: Match = mark(markPattern.value, markPattern.mask);
const notOwnMark: Match = not(mark(markPattern.value, markPattern.mask));
/** The first packet of a connection, until it has left: later ones, and its repetitions, are confirmed. */
const firstPacket: Match = raw("-m conntrack ! --ctstatus CONFIRMED");

const loopback: Readonly<Record<Family, string>> = { IPv4: "127.0.0.0/8", IPv6: "::1/128" };
const echoRequest: Readonly<Record<Family, readonly Match[]>> = {
  IPv4: [protocol("icmp"), raw("-m icmp --icmp-type 8")],
  IPv6: [protocol("ipv6-icmp"), raw("-m icmp6 --icmpv6-type 128")],
};

/** The sets of node ports, by protocol. SCTP has a hash of address and port, because a bitmap knows no SCTP. */
const portSets = [
  {
    transport: "tcp",
    all: "nodePortTCP",
    local: "nodePortLocalTCP",
    reject: "nodePortRejectTCP",
    drop: "nodePortDropTCP",
  },
  {
    transport: "udp",
    all: "nodePortUDP",
    local: "nodePortLocalUDP",
    reject: "nodePortRejectUDP",
    drop: "nodePortDropUDP",
  },
] as const satisfies readonly Readonly<
  Record<"all" | "local" | "reject" | "drop", SetRole> & { transport: string }
>[];

class FixedRules {
  readonly #node: NodePlan;
  readonly #settings: RuleSettings;

  constructor(node: NodePlan, settings: RuleSettings) {
    this.#node = node;
    this.#settings = settings;
  }

  chains(): readonly FixedChain[] {
    const table = (name: RuleTable, contents: Readonly<Record<string, readonly Rule[]>>) =>
      Object.entries(contents).map(([chain, rules]): FixedChain => ({ table: name, name: chain, rules }));
    return [
      ...table("filter", {
        [chains.sourceRanges]: this.#sourceRangeRules(),
        [chains.firewall]: [this.#onSet("restricted", ["dst", "dst"], jump(chains.sourceRanges))],
        [chains.refuse]: this.#refuseRules(),
        [chains.nodePort]: [this.#onSet("healthCheck", ["dst"], accept, { first: [protocol("tcp")] })],
        [chains.port]: this.#portRules(),
        [chains.forward]: this.#forwardRules(),
        [chains.input]: this.#inputRules(),
        [chains.output]: [this.#refusal("clusterIPReject", reject(this.#node.family), newConnection)],
        [canaryChain]: [],
      }),
      ...table("mangle", {
        [chains.unmark]: this.#unmarkRules(),
        [chains.markIn]: this.#markInRules(),
        [chains.markOut]: this.#markOutRules(),
        [canaryChain]: [],
      }),
      ...table("nat", {
        [chains.markMasquerade]: [{ matches: [], target: orMark(this.#node.masqueradeMark) }],
        [chains.loadBalancer]: [
          this.#onSet("loadBalancerLocal", ["dst", "dst"], accept),
          { matches: [], target: jump(chains.markMasquerade) },
          { matches: [], target: accept },
        ],
        [chains.nodePort]: this.#nodePortMasquerade(),
        [chains.services]: this.#serviceRules(),
        [chains.postrouting]: this.#postroutingRules(),
        [canaryChain]: [],
      }),
    ];
  }

  #sourceRangeRules(): readonly Rule[] {
    return [
      this.#onSet("allowedRange", ["dst", "dst", "src"], returnToCaller),
      this.#onSet("allowedAddress", ["dst", "dst", "src"], returnToCaller),
      { matches: [], target: drop },
    ];
  }

  /** For new connections, in INPUT and FORWARD. */
  #refuseRules(): readonly Rule[] {
    const refused = reject(this.#node.family);
    return [
      this.#refusal("clusterIPDrop", drop),
      this.#refusal("clusterIPReject", refused),
      this.#refusal("externalReject", refused),
      this.#refusal("externalDrop", drop, notOwnMark),
      // A node port whose virtual server drains may well be one that takes nothing on this node any more.
      this.#refusal(
        "draining",
        drop,
        protocol("tcp"),
        inSet(this.#name("nodePortDropTCP"), "dst"),
        inSet(this.#name("nodeAddress"), "dst"),
        notOwnMark,
      ),
      this.#refusal("draining", refused, notOwnMark),
    ];
  }

  #refusal(role: SetRole, target: Target, ...more: readonly Match[]): Rule {
    return this.#onSet(role, ["dst", "dst"], target, { last: more });
  }

  /** Whatever goes to an address of the node that is not on kube-ipvs0 may be for a node port. */
  #portRules(): readonly Rule[] {
    const refused = reject(this.#node.family);
    const onNodeAddress = inSet(this.#name("nodeAddress"), "dst");
    return [
      ...portSets.flatMap(({ transport, reject: none, drop: elsewhere }) => [
        this.#onSet(none, ["dst"], refused, { first: [protocol(transport)], last: [newConnection] }),
        this.#onSet(elsewhere, ["dst"], drop, {
          first: [protocol(transport)],
          last: [notOwnMark, newConnection],
        }),
      ]),
      ...portSets.map(({ transport, all }) =>
        this.#onSet(all, ["dst"], this.#letIn(), { first: [protocol(transport)], last: [onNodeAddress] }),
      ),
      this.#onSet("nodePortSCTP", ["dst", "dst"], this.#letIn(), { first: [protocol("sctp")] }),
    ];
  }

  #forwardRules(): readonly Rule[] {
    return [
      { matches: [newConnection], target: jump(chains.firewall) },
      { matches: [newConnection], target: jump(chains.refuse) },
      // A packet that conntrack cannot place would reach the other side untranslated and provoke a reset.
      ...(this.#settings.dropInvalid ? [{ matches: [ctstate("INVALID")], target: drop }] : []),
      {
        matches: [comment("kubernetes forwarding rules"), markHas(this.#node.masqueradeMark)],
        target: accept,
      },
      { matches: [comment("kubernetes forwarding conntrack rule"), oldConnection], target: accept },
    ];
  }

  #inputRules(): readonly Rule[] {
    const letIn = this.#letIn();
    const services = ["loadBalancer", "clusterIP", "externalIP", "externalIPLocal"] as const;
    return [
      this.#onSet("boundAddress", ["dst"], letIn, { last: [oldConnection] }),
      this.#onSet("draining", ["dst", "dst"], letIn, { last: [oldConnection] }),
      ...invalidReplies(this.#node, this.#settings),
      { matches: [], target: jump(chains.nodePort) },
      { matches: [newConnection], target: jump(chains.firewall) },
      { matches: [newConnection], target: jump(chains.refuse) },
      ...services.map((role) => this.#onSet(role, ["dst", "dst"], letIn)),
      ...(this.#settings.answerPing
        ? [this.#onSet("boundAddress", ["dst"], letIn, { first: echoRequest[this.#node.family] })]
        : []),
      // Everything else that listens on this node would be reachable through a Service's address.
      this.#onSet("boundAddress", ["dst"], reject(this.#node.family), { last: [newConnection] }),
      { matches: this.#nodePortDestination(), target: jump(chains.port) },
    ];
  }

  #nodePortDestination(): readonly Match[] {
    const { family, localhostForwarder } = this.#node;
    const type = destinationType("LOCAL");
    return localhostForwarder === true ? [not(destination(loopback[family])), type] : [type];
  }

  #unmarkRules(): readonly Rule[] {
    const { detector, masqueradeMark } = this.#node;
    const masqueraded = setXmark(masqueradeMark);
    // A connection of the node itself has the Service's address for its source unless its program chose another one.
    const rules: Rule[] = [
      {
        matches: [ownMark, firstPacket, inSet(this.#name("boundAddress"), "src")],
        target: masqueraded,
      },
    ];
    if (detector === undefined || !coversEverything(detector)) {
      // Packets of the node have come in by no interface, so only a detector that goes by address can claim them.
      const notPod = detector?.kind === "cidr" ? [not(source(detector.cidr.text))] : [];
      rules.push({ matches: [...notPod, ownMark, firstPacket, sourceType("LOCAL")], target: masqueraded });
    }
    return [...rules, { matches: [ownMark], target: setXmark(0) }];
  }

  #markInRules(): readonly Rule[] {
    const { detector } = this.#node;
    if (detector === undefined) {
      return [];
    }
    return [this.#mark(coversEverything(detector) ? [] : [detectorMatches(detector).pod])];
  }

  #markOutRules(): readonly Rule[] {
    const outside = (role: SetRole): Match => not(inSet(this.#name(role), "dst", "dst", "src"));
    return [
      { matches: [], target: jump(chains.unmark) },
      // Behind this table IPVS takes the packets of the node away: filter OUTPUT sees the endpoint's address only.
      this.#refusal("restricted", drop, outside("allowedRange"), outside("allowedAddress"), newConnection),
      this.#refusal("clusterIPDrop", drop, newConnection),
      this.#mark([]),
    ];
  }

  #mark(matches: readonly Match[]): Rule {
    const set = this.#name("mark");
    return {
      matches: [...matches, inSet(set, "dst", "dst")],
      target: rawTarget(`SET --map-set ${set} dst,dst --map-mark`),
    };
  }

  #serviceRules(): readonly Rule[] {
    const { detector, family } = this.#node;
    const masqueraded = jump(chains.markMasquerade);
    const rules: Rule[] = [
      // By rules of iptables mode: see localhost-node-ports.ts.
      ...localhostDestinations(this.#node).map((address): Rule => {
        const words = comment("kubernetes service nodeports on localhost");
        return { matches: [destination(address), words], target: jump(localhostChain) };
      }),
      { matches: [source(loopback[family])], target: returnToCaller },
    ];
    if (detector !== undefined && !coversEverything(detector)) {
      const first = [detectorMatches(detector).foreign];
      rules.push(this.#onSet("clusterIP", ["dst", "dst"], masqueraded, { first }));
    }
    return [
      ...rules,
      // The node itself: it has the Service's address for its source, and would never see an answer.
      this.#onSet("clusterIP", ["src", "dst"], masqueraded),
      this.#onSet("clusterIPMasquerade", ["dst", "dst"], masqueraded),
      // What has a virtual server is nobody else's to translate: an address on kube-ipvs0 looks like the node's own.
      this.#onSet("clusterIP", ["dst", "dst"], accept),
      this.#onSet("externalIP", ["dst", "dst"], masqueraded),
      this.#onSet("externalIP", ["dst", "dst"], accept),
      this.#onSet("externalIPLocal", ["dst", "dst"], accept),
      this.#onSet("loadBalancer", ["dst", "dst"], jump(chains.loadBalancer)),
      { matches: [inSet(this.#name("nodeAddress"), "dst")], target: jump(chains.nodePort) },
    ];
  }

  #nodePortMasquerade(): readonly Rule[] {
    const masqueraded = jump(chains.markMasquerade);
    const rules = (transport: string, all: SetRole, local: SetRole, directions: readonly SetDirection[]) => {
      const first = [protocol(transport)];
      return [
        this.#onSet(local, directions, accept, { first }),
        this.#onSet(all, directions, masqueraded, { first }),
        this.#onSet(all, directions, accept, { first }),
      ];
    };
    return [
      ...portSets.flatMap(({ transport, all, local }) => rules(transport, all, local, ["dst"])),
      ...rules("sctp", "nodePortSCTP", "nodePortLocalSCTP", ["dst", "dst"]),
    ];
  }

  #postroutingRules(): readonly Rule[] {
    const { masqueradeMark } = this.#node;
    return [
      this.#hairpinRule(),
      { matches: [not(markHas(masqueradeMark))], target: returnToCaller },
      // Cleared, so that an encapsulated packet that comes by again is not masqueraded twice.
      { matches: [], target: xorMark(masqueradeMark) },
      {
        matches: [comment("kubernetes service traffic requiring SNAT")],
        target: masquerade({ randomFully: true }),
      },
    ];
  }

  #hairpinRule(): Rule {
    const target = jump(chains.markMasquerade);
    if (this.#settings.hairpin === "set") {
      return this.#onSet("loopBack", ["dst", "dst", "src"], target);
    }
    const words = comment("kubernetes hairpin traffic requiring SNAT");
    const matches = [words, raw("-m ipvs --ipvs"), bpf(sourceEqualsDestination(this.#node.family))];
    return { matches, target };
  }

  #letIn(): Target {
    return this.#settings.acceptServices ? accept : returnToCaller;
  }

  #name(role: SetRole): string {
    return setName(role, this.#node.family);
  }

  /** A rule that looks a packet up in a set, with other matches before and behind. */
  #onSet(
    role: SetRole,
    directions: readonly SetDirection[],
    target: Target,
    more: { readonly first?: readonly Match[]; readonly last?: readonly Match[] } = {},
  ): Rule {
    const words = setComment(role);
    return {
      matches: [
        ...(more.first ?? []),
        ...(words === "" ? [] : [comment(words)]),
        inSet(this.#name(role), ...directions),
        ...(more.last ?? []),
      ],
      target,
    };
  }
}
