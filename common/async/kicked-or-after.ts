/** Waits for a kick, but not longer than a time: how a loop sleeps until it is due or told. */
import type { Clock } from "./clock.ts";
import type { Trigger } from "./trigger.ts";

/** Resolves at the next kick (or a pending one) and after `ms` at the latest; Infinity: no limit. */
export async function kickedOrAfter(
  trigger: Trigger,
  ms: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const timer = new AbortController();
  if (ms !== Number.POSITIVE_INFINITY) {
    clock.sleep(ms, timer.signal).then(
      () => trigger.kick(),
      () => undefined,
    );
  }
  try {
    await trigger.wait(signal);
  } finally {
    timer.abort();
  }
}
