/**
 * A replica that does not follow etcd any more sends its agents away, because another replica
 * may still follow: a partition must not leave part of the fleet on an old table. When etcd
 * is away for all, agents go round; that gets ever rarer, so that a long outage costs nothing.
 */
import type { Clock } from "../../common/async/clock.ts";
import { TwillError } from "../../common/errors.ts";

/** A shorter outage is nothing: etcd elects a leader, a connection is made anew. */
const STALE_MS = 10_000;
/** A stream may have had half the outage so far to bring news, but never more than this. */
const LONGEST_STAY_MS = 300_000;
const CHECK_MS = 1000;

export interface StaleReplicaParts {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** True while the table may be old. */
  readonly isStale: () => boolean;
  /** Ends the streams that are older than this, with this reason. */
  readonly endOlder: (ageMs: number, reason: TwillError) => void;
}

/** For ever; ends only by the signal. */
export async function sendAwayWhileStale(
  parts: StaleReplicaParts,
  signal: AbortSignal,
): Promise<void> {
  const { clock, random, isStale, endOlder } = parts;
  for (let sinceMs: number | undefined; ; ) {
    await clock.sleep(CHECK_MS * (0.5 + random()), signal);
    const now = clock.monotonicMs();
    sinceMs = isStale() ? (sinceMs ?? now) : undefined;
    if (sinceMs === undefined || now - sinceMs < STALE_MS) continue;
    const seconds = Math.round((now - sinceMs) / 1000);
    const what = `this controller has not followed etcd for ${seconds} s; another one may`;
    const stayMs = Math.min(Math.max((now - sinceMs) / 2, STALE_MS), LONGEST_STAY_MS);
    endOlder(stayMs, new TwillError("CONTROLLER_UNAVAILABLE", what));
  }
}
