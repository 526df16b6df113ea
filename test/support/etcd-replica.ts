/** A controller's part in an election, over its own connection, with the times of its terms. */
import { systemClock } from "../../common/async/clock.ts";
import { TaskGroup } from "../../common/async/task-group.ts";
import { TwillError } from "../../common/errors.ts";
import { runElection } from "../../controller/store/campaign.ts";
import type { Leadership, Store } from "../../controller/store/store.ts";
import { LogCapture } from "./log-capture.ts";

export interface Term {
  readonly leadership: Leadership;
  readonly gainedMs: number;
  /** Undefined while it lasts. */
  endedMs: number | undefined;
}

export class EtcdReplica implements AsyncDisposable {
  readonly log = new LogCapture();
  readonly terms: Term[] = [];
  readonly #group = new TaskGroup();

  constructor(store: Store, name: string, ttlSeconds: number) {
    const options = {
      store,
      clock: systemClock,
      random: Math.random,
      log: this.log,
      value: JSON.stringify({ id: name, address: `${name}:7443` }),
      ttlSeconds,
    };
    this.#group.spawn((signal) => runElection(options, (each) => this.#lead(each), signal));
  }

  get term(): Term | undefined {
    return this.terms.at(-1);
  }

  get isLeading(): boolean {
    return this.term !== undefined && this.term.endedMs === undefined;
  }

  /** Graceful stop. */
  async stop(): Promise<void> {
    this.#group.abort(new TwillError("SHUTTING_DOWN", "stop"));
    await this.#group.join();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #lead(leadership: Leadership): Promise<void> {
    const term: Term = { leadership, gainedMs: performance.now(), endedMs: undefined };
    this.terms.push(term);
    await new Promise<void>((resolve) => {
      leadership.signal.addEventListener("abort", () => resolve(), { once: true });
      if (leadership.signal.aborted) resolve();
    });
    term.endedMs = performance.now();
  }
}

/** Pairs of terms of different replicas that overlap in time. */
export function overlaps(replicas: readonly EtcdReplica[]): number {
  const all = replicas.flatMap((replica, owner) =>
    replica.terms.map((term) => ({ owner, from: term.gainedMs, to: term.endedMs ?? Infinity })),
  );
  return all
    .flatMap((a) => all.map((b) => [a, b] as const))
    .filter(([a, b]) => a.owner < b.owner && a.from < b.to && b.from < a.to).length;
}
