/**
 * A headless Chromium on a host of a test cluster, driven by the DevTools protocol over a pair of pipes, so that it works
 * from outside its network namespace.
 *
 * https://chromedevtools.github.io/devtools-protocol/; over pipes, a message is JSON with a zero byte behind it.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import type { Host } from "../harness/host.ts";
import { ScratchFolder } from "../harness/scratch.ts";

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

/** How a page is looked at. */
export interface Look {
  readonly width: number;
  readonly height: number;
  readonly scheme: "light" | "dark";
  /** Whether scripts run; true by default. */
  readonly scripts?: boolean;
}

/** A browser with one tab. */
export class Browser implements Disposable {
  readonly #child: ChildProcess;
  readonly #profile: ScratchFolder;
  readonly #input: Writable;
  readonly #waiting = new Map<number, PromiseWithResolvers<Reply>>();
  readonly #complaints: string[] = [];
  #loaded: (() => void) | undefined;
  #session = "";
  #last = 0;
  #rest = "";

  private constructor(host: Host) {
    this.#profile = new ScratchFolder("chromium");
    // Root needs --no-sandbox; nothing but our own page is ever opened.
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"];
    this.#child = host.spawn(
      ["chromium", ...flags, "--remote-debugging-pipe", `--user-data-dir=${this.#profile.path}`],
      { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], env: { HOME: this.#profile.path } },
    );
    const [, , , input, output] = this.#child.stdio;
    this.#input = input as Writable;
    (output as Readable).setEncoding("utf8").on("data", (text: string) => this.#read(text));
    this.#input.on("error", () => {});
    this.#child.once("close", () => {
      for (const { reject } of this.#waiting.values()) {
        reject(new Error("Chromium has ended"));
      }
    });
  }

  /** Starts it. */
  static async start(host: Host): Promise<Browser> {
    const browser = new Browser(host);
    const { targetId } = await browser.#send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await browser.#send("Target.attachToTarget", { targetId, flatten: true });
    browser.#session = String(sessionId);
    for (const domain of ["Page", "Runtime", "Log"]) {
      await browser.#send(`${domain}.enable`);
    }
    return browser;
  }

  /** What the browser had to complain about since the last call: errors of scripts, refused styles, failed requests. */
  takeComplaints(): readonly string[] {
    return this.#complaints.splice(0);
  }

  /** Opens an address and waits until it is loaded. */
  async open(url: string, { width, height, scheme, scripts = true }: Look): Promise<void> {
    await this.#send("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: false,
    });
    await this.#send("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value: scheme }],
    });
    await this.#send("Emulation.setScriptExecutionDisabled", { value: !scripts });
    const loaded = new Promise<void>((resolve) => {
      this.#loaded = resolve;
    });
    const { errorText } = await this.#send("Page.navigate", { url });
    if (errorText !== undefined) {
      throw new Error(`Cannot open ${url}: ${String(errorText)}`);
    }
    await loaded;
  }

  /** The value of an expression in the page, as JSON. Works without scripts as well. */
  async evaluate(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = await this.#send("Runtime.evaluate", {
      expression,
      returnByValue: true,
    });
    if (exceptionDetails !== undefined) {
      throw new Error(`Cannot evaluate ${expression}: ${JSON.stringify(exceptionDetails)}`);
    }
    return (result as { readonly value?: unknown }).value;
  }

  /** What is seen, as PNG. */
  async screenshot(): Promise<Buffer> {
    const { data } = await this.#send("Page.captureScreenshot", { format: "png" });
    return Buffer.from(String(data), "base64");
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
    this.#profile.remove();
  }

  async #send(
    method: string,
    params: Readonly<Record<string, unknown>> = {},
  ): Promise<Readonly<Record<string, unknown>>> {
    this.#last += 1;
    const id = this.#last;
    const session = this.#session === "" ? {} : { sessionId: this.#session };
    const replied = Promise.withResolvers<Reply>();
    this.#waiting.set(id, replied);
    this.#input.write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    const { error, result = {} } = await replied.promise;
    if (error !== undefined) {
      throw new Error(`${method}: ${error.message}`);
    }
    return result;
  }

  #read(text: string): void {
    const messages = (this.#rest + text).split("\0");
    this.#rest = messages.pop() ?? "";
    for (const message of messages) {
      this.#take(JSON.parse(message) as Reply);
    }
  }

  #take(reply: Reply): void {
    if (reply.id !== undefined) {
      this.#waiting.get(reply.id)?.resolve(reply);
      this.#waiting.delete(reply.id);
    } else if (reply.method === "Page.loadEventFired") {
      this.#loaded?.();
    } else if (reply.method === "Runtime.exceptionThrown" || reply.method === "Log.entryAdded") {
      this.#complaints.push(JSON.stringify(reply.params));
    }
  }
}
