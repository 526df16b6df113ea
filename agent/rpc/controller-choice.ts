/**
 * Which controller to try next, and when. The first choice is random, so that agents spread
 * over the replicas; after a loss another one is tried at once; when all have failed, the
 * next round waits with back-off. Pure but for its memory; randomness is given.
 */
import { type BackoffPolicy, backoffMs } from "../../common/async/backoff.ts";

/** fanout-notes 9: 500 to 5000 ms; half of it random, so that a fleet does not return in step. */
export const ROUND_BACKOFF: BackoffPolicy = {
  initialMs: 1000,
  maxMs: 3333,
  factor: 2,
  jitter: 0.5,
};
/** A stream that ended sooner was no success: the back-off goes on. */
export const SETTLED_MS = 10_000;
/** Spreads those that lost one controller together over the others' accept queues. */
export const FAILOVER_SPREAD_MS = 200;

/**
 * From opening a stream to Welcome. A stopped controller's host still accepts connections, so
 * the first round does not wait long for any; the rounds after it do, because controllers
 * that are merely busy (a fleet returns) must not be left again and again.
 */
export const WELCOME_PATIENCE_MS = { first: 3000, most: 10_000 } as const;

export interface Attempt {
  readonly endpoint: string;
  readonly delayMs: number;
  /** How long to wait for Welcome. */
  readonly patienceMs: number;
}

export class ControllerChoice {
  readonly #endpoints: readonly string[];
  readonly #random: () => number;
  /** Not yet tried in this round, next one last. */
  #round: string[];
  /** Rounds in which every controller failed. */
  #failedRounds = 0;
  #isFirst = true;

  /** `random` is uniform in [0, 1). */
  constructor(endpoints: readonly string[], random: () => number) {
    this.#endpoints = endpoints;
    this.#random = random;
    this.#round = this.#shuffled();
  }

  next(): Attempt {
    const delayMs = this.#delay();
    if (this.#round.length === 0) {
      this.#failedRounds += 1;
      this.#round = this.#shuffled();
    }
    return { endpoint: this.#round.pop() ?? "", delayMs, patienceMs: this.#patienceMs() };
  }

  /** A stream that was welcomed has ended; `aliveMs` counts from Welcome. */
  ended(endpoint: string, aliveMs: number): void {
    if (aliveMs < SETTLED_MS) return;
    this.#failedRounds = 0;
    // The one just lost comes last (the end of the array is tried first).
    const others = this.#shuffled().filter((candidate) => candidate !== endpoint);
    this.#round = [endpoint, ...others];
  }

  /** Where there is no other one to try, there is no haste. */
  #patienceMs(): number {
    const { first, most } = WELCOME_PATIENCE_MS;
    return this.#endpoints.length === 1 ? most : Math.min(first * 2 ** this.#failedRounds, most);
  }

  #delay(): number {
    if (this.#isFirst) {
      this.#isFirst = false;
      return 0;
    }
    return this.#round.length > 0
      ? this.#random() * FAILOVER_SPREAD_MS
      : backoffMs(ROUND_BACKOFF, this.#failedRounds, this.#random());
  }

  /** Fisher and Yates. */
  #shuffled(): string[] {
    const list = [...this.#endpoints];
    for (let index = list.length - 1; index > 0; index -= 1) {
      const other = Math.floor(this.#random() * (index + 1));
      const [a = "", b = ""] = [list[index], list[other]];
      [list[index], list[other]] = [b, a];
    }
    return list;
  }
}
