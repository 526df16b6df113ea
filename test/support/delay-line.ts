/**
 * Slow and lossy lines in a lab whose kernel has no netem: a proxy on the switch delays what
 * diverted machines send to some others and get back, and their own packet filter loses a share
 * of it. Only new connections are diverted; when it ends, they are all cut.
 */
import { fileURLToPath } from "node:url";
import type { Lab } from "../../scripts/testbed/lab.ts";
import { LineProcess } from "../../scripts/testbed/line-process.ts";
import type { Machine } from "../../scripts/testbed/machine.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { GATEWAY, switchNamespace } from "../../scripts/testbed/topology.ts";
import type { DelayProxyOptions } from "./fixtures/delay-proxy.ts";

const PROGRAM = fileURLToPath(new URL("fixtures/delay-proxy.js", import.meta.url));
const TABLE = "ip delayline";
const FIRST_PORT = 20_000;
const READY_MS = 20_000;

export interface LineOptions {
  /** To these machines, on this port. */
  readonly targets: readonly Machine[];
  readonly port: number;
  /** In each direction. */
  readonly delayMs: number;
  /** Of the packets of diverted connections, in each direction. */
  readonly lossPercent?: number;
}

export class DelayLine implements AsyncDisposable {
  readonly #options: LineOptions;
  readonly #proxy: LineProcess;
  readonly #diverted: Machine[] = [];

  private constructor(options: LineOptions, proxy: LineProcess) {
    this.#options = options;
    this.#proxy = proxy;
  }

  static async start(lab: Lab, options: LineOptions): Promise<DelayLine> {
    const { targets, port, delayMs } = options;
    const lines = targets.map(({ id }, index) => ({
      listen: { host: GATEWAY, port: FIRST_PORT + index },
      target: { host: id.ip, port },
    }));
    const words: DelayProxyOptions = { delayMs, lines };
    const enter = ["ip", "netns", "exec", switchNamespace(lab.site.name)];
    let isReady = false;
    const argv = [...enter, process.execPath, PROGRAM, JSON.stringify(words)];
    const proxy = new LineProcess(argv, () => {
      isReady = true;
    });
    await until("the proxy listens", { deadlineMs: READY_MS }, () => isReady || undefined);
    return new DelayLine(options, proxy);
  }

  /** From now on the machine's new connections to the targets take the slow line. */
  async divert(machine: Machine): Promise<void> {
    this.#diverted.push(machine);
    const { targets, port, lossPercent = 0 } = this.#options;
    const lose = `numgen random mod 100 < ${lossPercent} drop`;
    const ips = targets.map(({ id }) => id.ip).join(", ");
    const ports = targets.map((_, index) => FIRST_PORT + index).join(", ");
    const diversions = targets.map(
      ({ id }, index) =>
        `ip daddr ${id.ip} tcp dport ${port} dnat to ${GATEWAY}:${FIRST_PORT + index}`,
    );
    const script = `table ${TABLE} {
  chain divert { type nat hook output priority -100; ${diversions.join("; ")}; }
  chain sent { type filter hook output priority 0; ip daddr ${GATEWAY} tcp dport { ${ports} } ${lose}; }
  chain got { type filter hook input priority 0; ip saddr { ${ips} } tcp sport ${port} ${lose}; }
}`;
    await machine.exec(["nft", "-f", "-"], { input: script });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const machine of this.#diverted)
      await machine.tryExec(["nft", "delete", "table", ...TABLE.split(" ")]);
    await this.#proxy[Symbol.asyncDispose]();
  }
}
