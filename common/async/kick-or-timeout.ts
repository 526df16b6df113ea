/** Waits for a trigger, but no longer than a given time. */
import type { Clock } from "./clock.ts";
import { OVER } from "./over.ts";
import type { Trigger } from "./trigger.ts";

/** Resolves at a kick (and consumes it) or after `ms`; rejects with the signal's reason. */
export async function kickOrTimeout(
  trigger: Trigger,
  ms: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  // Not AbortSignal.any: on Node 20 every use of it stays referenced by a long-lived signal.
  const over = new AbortController();
  const onAbort = (): void => over.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([trigger.wait(over.signal), clock.sleep(ms, over.signal)]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    over.abort(OVER);
  }
}
