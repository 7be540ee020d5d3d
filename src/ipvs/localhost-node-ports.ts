/**
 * IPVS mode with node ports on localhost.
 *
 * IPVS does not serve 127.0.0.0/8, so a few rules of iptables mode do, for nothing but node ports: the fixed rules lead
 * there. They are kept by a backend of iptables mode. Where they are not wanted, what an earlier configuration left of them
 * is taken away.
 *
 * Order. What the fixed rules lead to is there before they are, and goes when they lead there no more. In between a change
 * comes to IPVS first, which takes less time.
 *
 * @module
 */
import type { IptablesBackend } from "../iptables/backend.ts";
import { localhostDestinations, localhostService } from "../iptables/localhost-plan.ts";
import { localhostRules } from "../iptables/rule-part.ts";
import type { RuleSettings } from "../iptables/settings.ts";
import type { Backend, QuarantinedService, SyncReport } from "../proxier/backend.ts";
import type { ObjectKey } from "../proxier/objects.ts";
import type { Plan, PlanChange, ServicePlan } from "../proxier/plan.ts";

/**
 * How the rules are laid out. What comes back to its sender needs no rule: all of it is masqueraded. And the chains have one
 * client each, so lists of the `recent` match do for affinity.
 */
export const localhostRuleSettings: RuleSettings = {
  layout: "lean",
  dropInvalid: false,
  part: localhostRules,
};

/** What keeps the rules. */
export interface LocalhostRules {
  readonly backend: Pick<IptablesBackend, "sync" | "close">;
  /** Takes all of it out of the kernel, if it is there. */
  readonly remove: () => Promise<void>;
}

/** The backend of a family whose node ports may be served on localhost. */
export class WithLocalhost implements Backend {
  readonly name = "ipvs";
  readonly family: Backend["family"];
  readonly #main: Pick<Backend, "family" | "prepare" | "sync" | "close">;
  readonly #rules: LocalhostRules;
  readonly #services = new Map<ObjectKey, ServicePlan>();
  /** What the kernel holds, as far as is known. */
  #state: "unknown" | "absent" | "as wanted" = "unknown";
  #quarantined: readonly QuarantinedService[] = [];
  /** What was written last. */
  #plan: Plan | undefined;

  constructor(main: Pick<Backend, "family" | "prepare" | "sync" | "close">, rules: LocalhostRules) {
    this.family = main.family;
    this.#main = main;
    this.#rules = rules;
  }

  async prepare(plan: Plan, signal: AbortSignal): Promise<readonly QuarantinedService[]> {
    return (await this.#main.prepare?.(plan, signal)) ?? [];
  }

  async sync(plan: Plan, change: PlanChange | "everything", signal: AbortSignal): Promise<SyncReport> {
    if (localhostDestinations(plan.node).length === 0) {
      const report = await this.#main.sync(plan, change, signal);
      await this.#remove();
      return report;
    }
    if (change === "everything" || this.#state !== "as wanted") {
      const rules = await this.#everything(plan);
      return joined(await this.#main.sync(plan, change, signal), rules);
    }
    const report = await this.#main.sync(plan, change, signal);
    const rules = await this.#changes(plan, change);
    return rules === undefined ? withQuarantined(report, this.#quarantined) : joined(report, rules);
  }

  /** Call when the rules may be gone: the next sync looks at them. */
  doubt(): void {
    this.#state = "unknown";
  }

  /**
   * Reads the rules back and writes what differs. Not to overlap with a sync.
   *
   * @returns how much was written; undefined when there is nothing to read
   */
  async audit(): Promise<number | undefined> {
    const plan = this.#plan;
    if (this.#state !== "as wanted" || plan === undefined) {
      return undefined;
    }
    const report = await this.#write(plan, "everything");
    return report.written + report.removed;
  }

  async close(): Promise<void> {
    await this.#main.close();
    await this.#rules.backend.close();
  }

  async #remove(): Promise<void> {
    if (this.#state !== "absent") {
      await this.#rules.remove();
      this.#services.clear();
      this.#quarantined = [];
      this.#state = "absent";
    }
  }

  async #everything(plan: Plan): Promise<SyncReport> {
    this.#services.clear();
    this.#fold(plan, plan.services.keys());
    this.#plan = { node: plan.node, services: this.#services };
    return await this.#write(this.#plan, "everything");
  }

  /** A change that is not about node ports is none. */
  async #changes(plan: Plan, { services, node }: PlanChange): Promise<SyncReport | undefined> {
    const concerned = this.#fold(plan, services);
    if (concerned.size === 0 && !node) {
      return undefined;
    }
    this.#plan = { node: plan.node, services: this.#services };
    return await this.#write(this.#plan, { services: concerned, before: new Map(), node });
  }

  async #write(plan: Plan, change: PlanChange | "everything"): Promise<SyncReport> {
    this.#state = "unknown";
    const report = await this.#rules.backend.sync(plan, change);
    this.#state = "as wanted";
    this.#quarantined = report.quarantined;
    return report;
  }

  /** Takes in what Services want now. @returns those that want something, or did */
  #fold(plan: Plan, services: Iterable<ObjectKey>): ReadonlySet<ObjectKey> {
    const concerned = new Set<ObjectKey>();
    for (const key of services) {
      const service = plan.services.get(key);
      const wanted = service === undefined ? undefined : localhostService(service);
      if (wanted !== undefined) {
        this.#services.set(key, wanted);
        concerned.add(key);
      } else if (this.#services.delete(key)) {
        concerned.add(key);
      }
    }
    return concerned;
  }
}

function joined(report: SyncReport, rules: SyncReport): SyncReport {
  return withQuarantined(
    {
      ...report,
      written: report.written + rules.written,
      removed: report.removed + rules.removed,
      bytes: report.bytes + rules.bytes,
      repaired: report.repaired + rules.repaired,
    },
    rules.quarantined,
  );
}

/** What is refused of a Service by either leaves the Service as a whole on the list. */
function withQuarantined(report: SyncReport, more: readonly QuarantinedService[]): SyncReport {
  const others = more.filter(({ service }) => !report.quarantined.some((one) => one.service === service));
  return others.length === 0
    ? report
    : {
        ...report,
        quarantined: [...report.quarantined, ...others].sort((a, b) => (a.service < b.service ? -1 : 1)),
      };
}
