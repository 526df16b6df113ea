/** Time as an argument: effects take a Clock, tests pass a manual one, only `main` makes the real one. */
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
  sleep: (ms, signal) =>
    // Not timers/promises: it makes an error with a stack for every wait that is cut short, and
    // a controller under load cuts thousands a second short (3 % of its CPU, profiled).
    new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(reasonOf(signal));
        return;
      }
      let timer: NodeJS.Timeout | undefined;
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(reasonOf(signal));
      };
      const arm = (left: number): void => {
        timer = setTimeout(
          () => {
            if (left > MAX_TIMER_MS) {
              arm(left - MAX_TIMER_MS);
              return;
            }
            signal.removeEventListener("abort", onAbort);
            resolve();
          },
          Math.min(Math.max(left, 0), MAX_TIMER_MS),
        );
      };
      signal.addEventListener("abort", onAbort, { once: true });
      arm(ms);
    }),
};

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error("aborted");
}
