/**
 * Thousands of simulated agents in a few processes (two: there are two cores, and the
 * controllers need them too), ordered about from the bench.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Answer, FleetReport, Histogram, NumberedAnswer, Order } from "./fleet-orders.ts";
import type { AgentWords } from "./simulated-agent.ts";
import { addHistograms } from "./statistics.ts";

const PROGRAM = fileURLToPath(new URL("./fleet-process.js", import.meta.url));
const PROCESSES = 2;

export class Fleet implements AsyncDisposable {
  readonly size: number;
  readonly #crews: readonly CrewProcess[];

  private constructor(size: number, crews: readonly CrewProcess[]) {
    this.size = size;
    this.#crews = crews;
  }

  static async crew(agents: readonly AgentWords[], controllers: readonly string[]): Promise<Fleet> {
    const crews = Array.from(
      { length: Math.min(PROCESSES, agents.length) },
      () => new CrewProcess(),
    );
    const fleet = new Fleet(agents.length, crews);
    await Promise.all(
      crews.map((crew, index) => {
        const own = agents.filter((_, at) => at % crews.length === index);
        return crew.order({ kind: "crew", agents: own, controllers });
      }),
    );
    return fleet;
  }

  /** Connects all at once; answers when the last of them has its table. */
  async connect(): Promise<number> {
    return this.#last({ kind: "connect" });
  }

  /** When the last agent has a stream, and has acknowledged on it. */
  async settled(revision: number): Promise<number> {
    return this.#last({ kind: "settle", revision });
  }

  /** When the last agent was given its lease, and who has which. */
  async register(): Promise<{ atMs: number; leases: ReadonlyMap<string, string> }> {
    const answers = await this.#all({ kind: "register" });
    const leases = answers.flatMap((answer) => (answer.kind === "registered" ? answer.leases : []));
    return { atMs: lastOf(answers), leases: new Map(leases) };
  }

  /** Connects all at once, each asking for its lease as soon as it is welcomed. */
  async coldStart(): Promise<{ leases: ReadonlyMap<string, string> }> {
    const [{ leases }] = await Promise.all([this.register(), this.connect()]);
    return { leases };
  }

  /** How long each agent took to acknowledge this revision, asked for at `atMs`. */
  async mark(revision: number, atMs: number): Promise<Histogram> {
    const answers = await this.#all({ kind: "mark", revision, atMs });
    return addHistograms(answers.map((answer) => (answer.kind === "lags" ? answer.lags : {})));
  }

  async report(): Promise<FleetReport> {
    const answers = await this.#all({ kind: "report" });
    const reports = answers.flatMap((answer) => (answer.kind === "report" ? [answer.report] : []));
    return {
      lost: addHistograms(reports.map(({ lost }) => lost)),
      snapshots: reports.reduce((sum, { snapshots }) => sum + snapshots, 0),
      cpuMs: reports.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#crews.map((crew) => crew.end()));
  }

  async #last(order: Order): Promise<number> {
    return lastOf(await this.#all(order));
  }

  #all(order: Order): Promise<readonly Answer[]> {
    return Promise.all(this.#crews.map((crew) => crew.order(order)));
  }
}

function lastOf(answers: readonly Answer[]): number {
  return Math.max(...answers.map((answer) => ("atMs" in answer ? answer.atMs : 0)));
}

class CrewProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<
    number,
    { readonly settle: (answer: Answer) => void; readonly fail: (error: Error) => void }
  >();
  #orders = 0;

  constructor() {
    this.#child = fork(PROGRAM, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#child.on("message", ({ id, answer }: NumberedAnswer) => {
      this.#waiting.get(id)?.settle(answer);
      this.#waiting.delete(id);
    });
    this.#child.on("exit", (code) => {
      const gone = new Error(`a fleet process ended with ${code}`);
      for (const { fail } of this.#waiting.values()) fail(gone);
    });
  }

  order(order: Order): Promise<Answer> {
    this.#orders += 1;
    const id = this.#orders;
    return new Promise((settle, fail) => {
      this.#waiting.set(id, { settle, fail });
      this.#child.send({ id, order });
    });
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }
}
