/**
 * IPVS mode on this host: kernel, families, backends, and what watches over them.
 *
 * @module
 */
import { ipvsScheduler, parseCidrs } from "../config/effective-settings.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { DriftMonitor } from "../iptables/monitor.ts";
import { ipvsMemory } from "../ipvs/affinity-memory.ts";
import { allOrNone } from "../ipvs/host-switches.ts";
import type { WithLocalhost } from "../ipvs/localhost-node-ports.ts";
import { IpvsMonitor } from "../ipvs/monitor.ts";
import { IpvsUnavailableError, type OpenIpvs, openIpvs, prepareIpvsHost } from "../ipvs/open.ts";
import { watchRoutes } from "../ipvs/watch-routes.ts";
import { systemClock } from "../kube/clock.ts";
import { isKernelError } from "../netlink/kernel-error.ts";
import { errorField } from "../operations/logger.ts";
import type { NodeObject } from "../proxier/objects.ts";
import type { NodePlan } from "../proxier/plan.ts";
import type { Proxier } from "../proxier/proxier.ts";
import { CommandError } from "./exit.ts";
import { isConntrackLiberal } from "./host-sysctls.ts";
import { allowLocalhostNodePorts, findIptables, initializeLocalhostNodePorts } from "./iptables-mode.ts";
import type { ModeContext, OpenBackend, OpenMode, Watch } from "./mode.ts";
import { reservedAddresses } from "./node-settings.ts";

/** How often it is looked whether somebody flushed the rules. */
const flushPeriodMs = 5_000;

/**
 * Opens IPVS mode.
 *
 * @throws CommandError when it is not possible here
 */
export async function openIpvsMode(context: ModeContext): Promise<OpenMode> {
  const { config } = context;
  const host = await findIptables(config);
  const switches = allOrNone(prepare(config), ({ path, wanted, reason }) => {
    const remedy = "ipvs mode needs it; run with --init-only once";
    return new CommandError(1, `Cannot set ${path} to ${wanted}: ${reason}; ${remedy}`);
  });
  let setBack = (): void => {};
  return {
    families: host.families,
    variant: host.variant,
    initialize: () => initializeLocalhostNodePorts(context, host.families),
    abandon: () => {
      setBack();
      switches.restore();
    },
    open: async (plan, node) => {
      if (plan.localhostNodePorts) {
        setBack = allowLocalhostNodePorts();
      }
      const opened = await openIpvs(
        {
          variant: host.variant,
          backend: backendOptions(context, plan, node),
          rules: {
            dropInvalid: !config.conntrack.tcpBeLiberal && !isConntrackLiberal(),
            acceptServices: config.sluice.ipvs.acceptServices,
            answerPing: config.sluice.ipvs.answerPing,
          },
        },
        plan,
      );
      return describe(context, opened, host.variant);
    },
  };
}

function describe(context: ModeContext, opened: OpenIpvs, variant: string): OpenBackend {
  context.onAffinityLimit("set", Number.POSITIVE_INFINITY);
  return {
    backend: opened.withLocalhost ?? opened.backend,
    memory: ipvsMemory,
    details: { variant, scheduler: ipvsScheduler(context.config), hairpin: opened.settings.hairpin },
    localAddresses: () => opened.backend.localAddresses,
    watch: (proxier) => new IpvsWatch(context, opened, proxier),
  };
}

function prepare(config: ProxyConfig): ReturnType<typeof prepareIpvsHost> {
  const { strictARP, tcpTimeoutMs, tcpFinTimeoutMs, udpTimeoutMs } = config.ipvs;
  const seconds = (ms: number): number => Math.floor(ms / 1000);
  try {
    return prepareIpvsHost({
      scheduler: ipvsScheduler(config),
      strictARP,
      timeouts: { tcp: seconds(tcpTimeoutMs), tcpFin: seconds(tcpFinTimeoutMs), udp: seconds(udpTimeoutMs) },
    });
  } catch (error) {
    throw error instanceof IpvsUnavailableError
      ? new CommandError(1, error.message, { cause: error })
      : error;
  }
}

function backendOptions(
  { config, nodeName, onProblems }: ModeContext,
  { family }: NodePlan,
  node: NodeObject | undefined,
): Parameters<typeof openIpvs>[0]["backend"] {
  return {
    nodeName,
    scheduler: ipvsScheduler(config),
    reserved: reservedAddresses(config, node),
    excludeCIDRs: parseCidrs(config.ipvs.excludeCIDRs),
    drainMs: config.sluice.ipvs.drainTimeoutMs,
    clock: systemClock,
    onProblems: (service, problems) => onProblems(family, service, problems),
  };
}

/** Drains real servers, follows addresses, looks for flushed rules, and reads everything back now and then. */
class IpvsWatch implements Watch {
  readonly #context: ModeContext;
  readonly #proxier: Proxier;
  readonly #monitor: IpvsMonitor;
  readonly #rules: DriftMonitor;
  readonly #withLocalhost: WithLocalhost | undefined;
  #routes: Disposable | undefined;
  #started = false;

  constructor(context: ModeContext, { backend, withLocalhost, rules }: OpenIpvs, proxier: Proxier) {
    const { config, log } = context;
    this.#withLocalhost = withLocalhost;
    const { family } = proxier;
    this.#context = context;
    this.#proxier = proxier;
    this.#monitor = new IpvsMonitor({
      backend,
      clock: systemClock,
      auditPeriodMs: config.sluice.ipvs.auditPeriodMs,
      exclusively: (job) => proxier.exclusively(job),
      requestSync: () => proxier.nudge(),
      onAudit: ({ durationMs, differs }) => {
        const elapsed = `${durationMs.toFixed(1)}ms`;
        log.info("Compared the kernel with what is known of it", { ipFamily: family, elapsed, differs }, 2);
        void this.#auditLocalhost();
      },
      onError: (error) => this.#tell("Cannot look after IPVS", error),
    });
    this.#rules = new DriftMonitor({
      kernel: rules,
      clock: systemClock,
      canaryPeriodMs: Math.min(config.ipvs.syncPeriodMs, flushPeriodMs),
      auditPeriodMs: 0,
      resync: () => {
        log.warning("Somebody flushed the rules: writing them anew", { ipFamily: family });
        backend.noteFlush();
        withLocalhost?.doubt();
        proxier.nudge();
      },
      onLook: () => {},
    });
  }

  synced(): void {
    if (!this.#started) {
      this.#started = true;
      this.#watchRoutes();
      this.#rules.start();
    }
    this.#monitor.synced();
  }

  stop(): void {
    this.#monitor.stop();
    this.#rules.stop();
    this.#routes?.[Symbol.dispose]();
    this.#routes = undefined;
  }

  /** Beside the rest: what differs is written at once. Never rejects. */
  async #auditLocalhost(): Promise<void> {
    try {
      const written = await this.#proxier.exclusively(async () => await this.#withLocalhost?.audit());
      if (written !== undefined && written > 0) {
        const { family } = this.#proxier;
        this.#context.log.warning(
          "Somebody changed the rules of node ports on localhost: they are right again",
          {
            ipFamily: family,
            written,
          },
        );
      }
    } catch (error) {
      this.#tell("Cannot look after the rules of node ports on localhost", error);
    }
  }

  #watchRoutes(): void {
    try {
      this.#routes = watchRoutes({
        onEvent: (event) => this.#monitor.noteEvent(event),
        onLost: () => this.#monitor.noteLoss(),
        onError: (error) => this.#tell("Cannot follow the addresses of this node any more", error),
      });
    } catch (error) {
      if (!isKernelError(error)) {
        throw error;
      }
      this.#tell("Cannot follow the addresses of this node", error);
    }
  }

  #tell(message: string, error: unknown): void {
    const { family } = this.#proxier;
    this.#context.log.error(message, {
      ipFamily: family,
      error: errorField(error),
    });
  }
}
