/**
 * The text of `help`.
 *
 * @module
 */
import { kubeProxyFlags } from "../config/kube-proxy-flags.ts";
import { printFlagHelp } from "../config/print-flags.ts";

const commands = `kube-sluice: load-balances Kubernetes Services on this node, in place of kube-proxy

Usage:
  kube-sluice [run] [flags]               the daemon; --once syncs once and leaves the rules in place
  kube-sluice render --manifests DIR      prints what the kernel would be sent; touches nothing
  kube-sluice ipvsadm -Ln                 lists virtual servers as ipvsadm does, in every mode; --help for its options
  kube-sluice explain --from IP --to IP:PORT[/PROTOCOL] [--via INTERFACE] [--live] [--output text|json|yaml]
                                          what happens to the first packet of such a connection, and why: on this
                                          node, or with --manifests DIR (and without --live) from objects alone
  kube-sluice top                         Services by new connections, connections and traffic, live; --help for its options
  kube-sluice cleanup                     removes what any mode left on this node, and nothing else
  kube-sluice doctor [--strict]           what is missing or wrong on this node; changes nothing
  kube-sluice demo [--keep]               a two-node cluster in network namespaces, with traffic
  kube-sluice version | help

Flags of run, render, explain, cleanup and doctor (kube-proxy's, and some of our own):
`;

/** Commands, and the flags of those that are configured. */
export function helpText(): string {
  return commands + printFlagHelp(kubeProxyFlags);
}
