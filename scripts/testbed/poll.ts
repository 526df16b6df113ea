/** Waits for a condition with a deadline. Nothing in the test bed sleeps for a fixed time. */
import { systemClock } from "../../common/async/clock.ts";

export interface PollOptions {
  readonly deadlineMs: number;
  readonly everyMs?: number;
  readonly signal?: AbortSignal;
}

/** The condition did not come true in time; `cause` is the last error of the probe, if it threw. */
export class DeadlineMissed extends Error {
  override readonly name = "DeadlineMissed";
}

const EVERY_MS = 50;

/** Deadlines are for a machine of one's own; a guest (scripts/guest) with one slow CPU says here how much slower. */
const PATIENCE = Math.max(1, Number(process.env["TWILL_TEST_PATIENCE"] ?? "1") || 1);

/**
 * Calls `probe` until it answers something else than undefined. A probe that throws counts
 * as "not yet": the part it asks may be down on purpose.
 */
export async function until<T>(
  what: string,
  options: PollOptions,
  probe: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const { everyMs = EVERY_MS, signal = new AbortController().signal } = options;
  const deadlineMs = options.deadlineMs * PATIENCE;
  const started = systemClock.monotonicMs();
  for (;;) {
    signal.throwIfAborted();
    const attempt = await once(probe);
    if (attempt.value !== undefined) return attempt.value;
    if (systemClock.monotonicMs() - started >= deadlineMs) {
      const why = attempt.error instanceof Error ? `: ${attempt.error.message}` : "";
      throw new DeadlineMissed(`not within ${deadlineMs} ms: ${what}${why}`, {
        cause: attempt.error,
      });
    }
    await systemClock.sleep(everyMs, signal);
  }
}

async function once<T>(
  probe: () => Promise<T | undefined> | T | undefined,
): Promise<{ value?: T | undefined; error?: unknown }> {
  try {
    return { value: await probe() };
  } catch (error) {
    return { error };
  }
}
