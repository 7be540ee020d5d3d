/**
 * How the fixed rules of ipvs mode look on this node: what the kernel can do and what the configuration asks for.
 *
 * @module
 */

/** What the rules depend on besides the Plan's node. */
export interface RuleSettings {
  /**
   * How packets are recognised that come back to the pod that sent them: by one rule that compares source and
   * destination (needs xt_bpf and xt_ipvs), or by a set of all endpoints, as kube-proxy does it.
   */
  readonly hairpin: "compare" | "set";
  /** Whether packets that conntrack calls INVALID are dropped when forwarded: unless `nf_conntrack_tcp_be_liberal` is set. */
  readonly dropInvalid: boolean;
  /**
   * Whether packets for a virtual server are accepted in INPUT. If not they go on to the rules behind ours, and a host
   * whose INPUT policy is DROP has to let them in by itself.
   */
  readonly acceptServices: boolean;
  /** Whether an address on kube-ipvs0 answers ping. */
  readonly answerPing: boolean;
}
