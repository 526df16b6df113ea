/**
 * When a key that failed may be tried again. Every key waits for itself, so that one that
 * keeps failing neither holds up the others nor is tried in a tight loop. Pure.
 */
import { type BackoffPolicy, backoffMs } from "../../common/async/backoff.ts";

/** The kernel answers at once, so the first retry is early; what lasts is tried twice a minute. */
export const RETRY_POLICY: BackoffPolicy = {
  initialMs: 100,
  maxMs: 30_000,
  factor: 2,
  jitter: 0.2,
};

interface Retry<Failure> {
  readonly attempts: number;
  readonly dueMs: number;
  readonly failure: Failure;
}

export class RetryBook<Failure> {
  readonly #retries = new Map<string, Retry<Failure>>();

  get isEmpty(): boolean {
    return this.#retries.size === 0;
  }

  /** What is failing now, also what is not tried again yet. */
  failures(): Failure[] {
    return [...this.#retries.values()].map(({ failure }) => failure);
  }

  has(id: string): boolean {
    return this.#retries.has(id);
  }

  /** `random` is uniform in [0, 1). */
  failed(id: string, failure: Failure, nowMs: number, random: number): void {
    const attempts = this.#retries.get(id)?.attempts ?? 0;
    const dueMs = nowMs + backoffMs(RETRY_POLICY, attempts, random);
    this.#retries.set(id, { attempts: attempts + 1, dueMs, failure });
  }

  succeeded(id: string): void {
    this.#retries.delete(id);
  }

  isDue(id: string, nowMs: number): boolean {
    return (this.#retries.get(id)?.dueMs ?? nowMs) <= nowMs;
  }

  /** Forgets every id that is no longer asked for. */
  keepOnly(isWanted: (id: string) => boolean): void {
    for (const id of this.#retries.keys()) if (!isWanted(id)) this.#retries.delete(id);
  }

  /** The world has changed: everything may be tried now, and back-off starts anew. */
  reset(nowMs: number): void {
    for (const [id, { failure }] of this.#retries) {
      this.#retries.set(id, { attempts: 0, dueMs: nowMs, failure });
    }
  }

  /** When the next one is due; undefined when none waits. */
  nextDueMs(): number | undefined {
    let next: number | undefined;
    for (const { dueMs } of this.#retries.values()) next = Math.min(next ?? dueMs, dueMs);
    return next;
  }
}
