/**
 * The program on a node in one of its modes, with a supervisor that starts it again, as kubelet does.
 *
 * @module
 */
import { Daemon, type DaemonOptions } from "../daemon/daemon.ts";
import type { Node } from "../harness/cluster.ts";

/** A mode, with the iptables that it uses. */
export type Mode = "nft" | "legacy" | "ipvs";

/** A supervised daemon. */
export class NodeProxy implements AsyncDisposable {
  readonly node: Node;
  readonly #manifests: string;
  #mode: Mode;
  #daemon: Daemon;
  #stopped = false;

  private constructor(node: Node, mode: Mode, manifests: string) {
    this.node = node;
    this.#mode = mode;
    this.#manifests = manifests;
    this.#daemon = this.#launch();
  }

  /** Starts it and waits until the kernel has what it wants. */
  static async start(node: Node, mode: Mode, manifests: string): Promise<NodeProxy> {
    const proxy = new NodeProxy(node, mode, manifests);
    await proxy.#daemon.ready();
    return proxy;
  }

  /** The process that runs now. */
  get daemon(): Daemon {
    return this.#daemon;
  }

  get mode(): Mode {
    return this.#mode;
  }

  /** Changes the mode by the configuration file of the running process, and waits until the other mode serves. */
  async switchTo(mode: Mode): Promise<void> {
    this.#mode = mode;
    const mark = this.#daemon.log.mark();
    this.#daemon.configure(this.#options().config ?? {});
    await this.#daemon.configured(mark);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#daemon.stop("SIGKILL");
  }

  #launch(): Daemon {
    const daemon = Daemon.launch(this.node, this.#options());
    void daemon.ended().then((status) => {
      if (status === 1 && !this.#stopped) this.#daemon = this.#launch();
    });
    return daemon;
  }

  #options(): DaemonOptions {
    const variant = this.#mode === "ipvs" ? "legacy" : this.#mode;
    return {
      from: { manifests: this.#manifests },
      config: {
        mode: this.#mode === "ipvs" ? "ipvs" : "iptables",
        ipvs: { syncPeriod: "1s", minSyncPeriod: "10ms" },
        sluice: { iptables: { variant } },
      },
    };
  }
}
