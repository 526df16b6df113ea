/** --release-on-exit: gives the lease back and waits until the table says so, but not for ever. */
import type { Clock } from "../../common/async/clock.ts";
import type { Logger } from "../../common/log.ts";
import type { LeaseHolder } from "../lease/lease-holder.ts";
import type { PeerTable } from "../peers/peer-table.ts";
import type { Session } from "../rpc/session.ts";

export const RELEASE_TIMEOUT_MS = 3_000;
const POLL_MS = 20;

export interface Releasing {
  readonly session: Pick<Session, "isConnected" | "release">;
  readonly lease: Pick<LeaseHolder, "lease">;
  readonly table: Pick<PeerTable, "get">;
}

export async function releaseLease(
  { session, lease, table }: Releasing,
  clock: Clock,
  log: Logger,
): Promise<void> {
  const key = lease.lease?.key;
  if (key === undefined) return;
  const deadlineMs = clock.monotonicMs() + RELEASE_TIMEOUT_MS;
  if (session.isConnected) session.release();
  while (session.isConnected && clock.monotonicMs() < deadlineMs) {
    if (table.get(key) === undefined) {
      log.event("lease.released", `gave ${key} back`, { subnet: key });
      return;
    }
    await clock.sleep(POLL_MS, new AbortController().signal);
  }
  const message = `giving ${key} back was not confirmed; the lease stays until it expires`;
  log.event("lease.unreleased", message, { subnet: key });
}
