/** Waiting for something to become so, with a deadline that says what it was. */
import { setTimeout as delay } from "node:timers/promises";

const POLL_MS = 20;

/** Polls until `condition` holds; fails with `what` after `timeoutMs`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`${timeoutMs} ms passed before ${what}`);
    await delay(POLL_MS);
  }
}
