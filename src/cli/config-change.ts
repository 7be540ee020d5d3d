/**
 * What a change of the configuration takes: field by field, which can be made while the program runs, and how.
 *
 * Pure.
 *
 * @module
 */
import { modeSettings } from "../config/effective-settings.ts";
import type { ConfigFields, ProxyConfig, ProxyMode } from "../config/proxy-config.ts";

/**
 * How a changed field takes effect
 * - `nothing`: it has no effect in this program, or is looked at only when it is needed
 * - `at-once`: without touching what serves
 * - `rebind`: a server listens elsewhere
 * - `reopen`: what serves is replaced by the same mode with the new settings, which adopts what stands in the kernel
 * - `restart`: by a new start only
 */
export type Effect = "nothing" | "at-once" | "rebind" | "reopen" | "restart";

/** A field of which only some modes take notice. */
interface Rule {
  readonly effect: Effect;
  /** All modes unless given. */
  readonly modes?: readonly ProxyMode[];
}

const nothing: Rule = { effect: "nothing" };
const atOnce: Rule = { effect: "at-once" };
const rebind: Rule = { effect: "rebind" };
const reopen: Rule = { effect: "reopen" };
const restart: Rule = { effect: "restart" };
const iptablesOnly: Rule = { effect: "reopen", modes: ["iptables"] };
const ipvsOnly: Rule = { effect: "reopen", modes: ["ipvs"] };

/** By path of the field, or of the section when its fields are alike. */
const rules: Readonly<Record<string, Rule>> = {
  featureGates: nothing,
  hostnameOverride: restart,
  bindAddress: reopen,
  healthzBindAddress: rebind,
  metricsBindAddress: rebind,
  bindAddressHardFail: nothing,
  enableProfiling: nothing,
  showHiddenMetricsForVersion: nothing,
  mode: reopen,
  "iptables.masqueradeBit": { effect: "reopen", modes: ["iptables", "ipvs"] },
  "iptables.masqueradeAll": { effect: "reopen", modes: ["iptables", "ipvs"] },
  "iptables.localhostNodePorts": { effect: "reopen", modes: ["iptables", "ipvs"] },
  iptables: iptablesOnly,
  ipvs: ipvsOnly,
  nftables: { effect: "reopen", modes: ["nftables"] },
  winkernel: nothing,
  detectLocalMode: reopen,
  detectLocal: reopen,
  clusterCIDR: reopen,
  nodePortAddresses: reopen,
  "conntrack.tcpBeLiberal": reopen,
  conntrack: atOnce,
  oomScoreAdj: atOnce,
  configSyncPeriodMs: nothing,
  portRange: nothing,
  windowsRunAsService: nothing,
  "clientConnection.acceptContentTypes": nothing,
  "clientConnection.contentType": nothing,
  clientConnection: restart,
  logging: atOnce,
  "sluice.affinity": iptablesOnly,
  "sluice.iptables.variant": reopen,
  "sluice.iptables": iptablesOnly,
  "sluice.ipvs": ipvsOnly,
  "sluice.externalAddresses": reopen,
  "sluice.nodePorts": reopen,
  "sluice.page": atOnce,
  "sluice.metrics": atOnce,
};

/** What differs, by what it takes. Fields that have no effect are in none of the lists. */
export interface ConfigChange {
  readonly atOnce: readonly string[];
  readonly rebind: readonly string[];
  readonly reopen: readonly string[];
  readonly restart: readonly string[];
}

/** Compares two configurations. */
export function configChange(before: ProxyConfig, after: ProxyConfig): ConfigChange {
  const changed = changedFields(before, after);
  const having = (effect: Effect): readonly string[] =>
    changed.filter((field) => {
      const rule = ruleOf(field);
      const concerns = rule.modes === undefined || rule.modes.includes(after.mode);
      return concerns && rule.effect === effect;
    });
  return {
    atOnce: having("at-once"),
    rebind: having("rebind"),
    reopen: having("reopen"),
    restart: having("restart"),
  };
}

/** Paths of the fields that differ, as in memory, e.g. `iptables.syncPeriodMs`. */
export function changedFields(before: ConfigFields, after: ConfigFields): readonly string[] {
  const then = leaves(before);
  const now = leaves(after);
  return [...new Set([...then.keys(), ...now.keys()])].filter((field) => then.get(field) !== now.get(field));
}

/** How the field takes effect. @throws RangeError for a field that nobody has thought of */
export function ruleOf(field: string): Rule {
  for (let path = field; path !== ""; path = path.slice(0, Math.max(0, path.lastIndexOf(".")))) {
    const rule = Object.hasOwn(rules, path) ? rules[path] : undefined;
    if (rule !== undefined) {
      return rule;
    }
  }
  throw new RangeError(`Cannot tell how a change of ${field} takes effect`);
}

/** The sync period of the mode that is in effect. */
export function syncPeriodOf(config: ProxyConfig): number {
  return modeSettings(config, config.mode).syncPeriodMs;
}

/** Every field with its value as text. Lists and maps are values. */
function leaves(value: unknown, path = ""): ReadonlyMap<string, string> {
  if (isSection(value)) {
    return new Map(
      Object.entries(value).flatMap(([name, inner]) => [
        ...leaves(inner, path === "" ? name : `${path}.${name}`),
      ]),
    );
  }
  const plain = value instanceof Map ? [...value] : value;
  return new Map([[path, JSON.stringify(plain) ?? ""]]);
}

function isSection(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Map);
}
