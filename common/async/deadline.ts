/** Work that may take only so long: its signal is aborted when the time is up, or the caller's is. */
import type { TwillError } from "../errors.ts";
import type { Clock } from "./clock.ts";
import { OVER } from "./over.ts";

export interface Deadline {
  readonly clock: Clock;
  readonly ms: number;
  /** What the work is aborted with, and what it then throws. */
  readonly late: () => TwillError;
  /** The caller's. */
  readonly signal: AbortSignal;
}

/** Leaves no timer and no listener behind, however the work ends. */
export async function withDeadline<T>(
  deadline: Deadline,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { clock, ms, late, signal } = deadline;
  signal.throwIfAborted();
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = new AbortController();
  const timedOut = clock.sleep(ms, timer.signal).then(
    () => controller.abort(late()),
    () => undefined,
  );
  try {
    return await work(controller.signal);
  } finally {
    signal.removeEventListener("abort", onAbort);
    timer.abort(OVER);
    await timedOut;
  }
}
