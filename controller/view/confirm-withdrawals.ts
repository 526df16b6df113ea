/**
 * Lets held withdrawals pass: when the storm is over and a listing that needed a quorum of
 * etcd, read after that, shows the leases gone. While etcd does not answer they stay, and so
 * do the routes of every node.
 */
import type { Clock } from "../../common/async/clock.ts";
import { TwillError } from "../../common/errors.ts";
import type { LeaseView } from "./lease-view.ts";
import type { TableChange } from "./table-change.ts";

const CHECK_MS = 1000;

export interface ConfirmationParts {
  readonly view: LeaseView;
  readonly clock: Clock;
  /** Lists, and folds the listing into the view; undefined: it was older than the table. */
  readonly refresh: (signal: AbortSignal) => Promise<TableChange | undefined>;
}

/** For ever; ends only by the signal, or by a bug. */
export async function confirmWithdrawals(
  { view, clock, refresh }: ConfirmationParts,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await clock.sleep(CHECK_MS, signal);
    if (view.heldBack.size === 0 || !view.isStormOver) continue;
    try {
      const listed = await refresh(signal);
      // The listing may have brought the next gust.
      if (listed !== undefined && view.isStormOver) view.passWithdrawals();
    } catch (error) {
      signal.throwIfAborted();
      // An etcd that does not answer is the follower's affair; it says so.
      if (TwillError.from(error).code === "BUG") throw error;
    }
  }
}
