/**
 * A clock that stands still until a test moves it. `advance` wakes sleepers in the order of
 * their deadlines and lets everything that follows from one wake run before the next.
 * Monotonic and wall time may be moved apart: a suspended machine is a jump of the wall
 * clock alone.
 */
import type { Clock } from "../../common/async/clock.ts";

interface Sleeper {
  readonly dueMs: number;
  readonly wake: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 0;
  #wallOffsetMs: number;
  readonly #sleepers = new Set<Sleeper>();

  constructor(wallMs = Date.UTC(2024, 0, 1)) {
    this.#wallOffsetMs = wallMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallOffsetMs + this.#nowMs;
  }

  /** How many sleeps are pending. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#sleepers.delete(sleeper);
        signal.removeEventListener("abort", onAbort);
      };
      const onAbort = (): void => {
        leave();
        reject(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
      };
      const wake = (): void => {
        leave();
        resolve();
      };
      const sleeper: Sleeper = { dueMs: this.#nowMs + Math.max(ms, 0), wake };
      this.#sleepers.add(sleeper);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Lets `ms` pass, waking every sleeper on the way at its own time. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.wake();
      await settle();
    }
    this.#nowMs = endMs;
    await settle();
  }

  /** Moves the wall clock alone: an operator's correction, or a machine that was suspended. */
  jumpWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  /** Time passes, but no timer fires: a process that was stopped and has not run yet. */
  skip(ms: number): void {
    this.#nowMs += ms;
  }

  #next(endMs: number): Sleeper | undefined {
    const due = [...this.#sleepers].filter((sleeper) => sleeper.dueMs <= endMs);
    return due.sort((a, b) => a.dueMs - b.dueMs)[0];
  }
}

/** Lets every promise chain that can go on do so; no time passes. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}
