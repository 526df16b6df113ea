/** Pings from pod to pod without a pause, to count what a fault costs. */
import { LineProcess } from "./line-process.ts";
import { type PingReport, readPing } from "./ping-report.ts";
import type { Pod } from "./pods.ts";
import { until } from "./poll.ts";

/** 100 packets a second. */
const INTERVAL_SECONDS = 0.01;
const FIRST_ANSWER_MS = 10_000;

export class Pinger implements AsyncDisposable {
  readonly from: Pod;
  readonly to: Pod;
  readonly #lines: string[] = [];
  readonly #process: LineProcess;

  private constructor(from: Pod, to: Pod) {
    this.from = from;
    this.to = to;
    const ping = ["ping", "-n", "-D", "-i", String(INTERVAL_SECONDS), to.ip];
    this.#process = new LineProcess(from.machine.enter(ping, from.name), (line) =>
      this.#lines.push(line),
    );
  }

  /** Resolves when the first answers have come. */
  static async start(from: Pod, to: Pod): Promise<Pinger> {
    const pinger = new Pinger(from, to);
    await pinger.answered(3);
    return pinger;
  }

  /** Waits for this many more answers: "the network works now". */
  async answered(count: number, deadlineMs = FIRST_ANSWER_MS): Promise<void> {
    const before = this.#lines.length;
    const what = `${count} answers from ${this.to.ip} to ${this.from.name} of ${this.from.machine.name}`;
    await until(what, { deadlineMs, everyMs: 10 }, () =>
      this.#lines.length >= before + count ? true : undefined,
    );
  }

  /** Ends the pings and counts. */
  async stop(): Promise<PingReport> {
    // SIGINT makes ping print its summary.
    await this.#process.end("SIGINT");
    return readPing(this.#lines);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}

/**
 * True when an answer comes in every address family the two share. IPv6 is asked for longer:
 * a new address is silent while it looks for duplicates of itself (RFC 4862 5.4, 1 to 2 s).
 */
export async function pingOnce(from: Pod, to: Pod): Promise<boolean> {
  const answers = await Promise.all(
    to.ips.map(async (ip) => {
      const patience = ip.includes(":") ? ["-w", "4"] : ["-W", "1"];
      const ping = ["ping", "-n", "-c", "1", ...patience, ip];
      return (await from.machine.tryExecInPod(from.name, ping)).code === 0;
    }),
  );
  return answers.every((answer) => answer);
}
