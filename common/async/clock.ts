/** Time as an argument: effects take a Clock, tests pass a manual one, only `main` makes the real one. */
import { setTimeout as delay } from "node:timers/promises";

export interface Clock {
  /** Milliseconds that never go backwards; the origin means nothing. */
  monotonicMs(): number;
  /** Milliseconds since 1970 by the wall clock, which may jump. */
  wallMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** setTimeout takes 31 bits of milliseconds; anything longer would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  async sleep(ms, signal) {
    signal.throwIfAborted();
    try {
      for (let left = ms; ; left -= MAX_TIMER_MS) {
        await delay(Math.min(Math.max(left, 0), MAX_TIMER_MS), undefined, { signal });
        if (!(left > MAX_TIMER_MS)) return;
      }
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  },
};
