/**
 * Reads the recent past out of etcd when a controller starts: the table as it was some
 * thousand revisions ago, and every change since. So agents that come back after all
 * controllers were replaced go on by delta, instead of all taking snapshots at once.
 */

import type { Clock } from "../../common/async/clock.ts";
import { withDeadline } from "../../common/async/deadline.ts";
import { TwillError } from "../../common/errors.ts";
import type { Revision } from "../../common/lease/lease.ts";
import type { Digest } from "../../common/lease/lease-digest.ts";
import type { Listing, Store } from "../store/store.ts";
import { LeaseTable } from "./lease-table.ts";
import { listWatched } from "./list-watched.ts";
import type { TableChange } from "./table-change.ts";

export interface History {
  /** The table before the first step. */
  readonly origin: { readonly revision: Revision; readonly digest: Digest };
  readonly steps: readonly { readonly change: TableChange; readonly digest: Digest }[];
}

export interface HistoryParts {
  readonly store: Store;
  readonly clock: Clock;
}

/** How far back to try; etcd may have been compacted since. */
const REVISIONS_BACK: readonly Revision[] = [2000, 200];
/** Agents wait meanwhile, so history is worth only so much. */
const BUDGET_MS = 3000;

/** The way to `head`; undefined when etcd has forgotten it or does not tell in time. */
export async function readHistory(
  { store, clock }: HistoryParts,
  head: Listing,
  signal: AbortSignal,
): Promise<History | undefined> {
  const late = (): TwillError => new TwillError("STORE_TIMEOUT", "reading history took too long");
  try {
    return await withDeadline({ clock, ms: BUDGET_MS, late, signal }, (inner) =>
      replay(store, head, inner),
    );
  } catch (error) {
    signal.throwIfAborted();
    // History is a gain, not a need: without it agents take snapshots.
    if (TwillError.from(error).code === "BUG") throw error;
    return undefined;
  }
}

async function replay(
  store: Store,
  head: Listing,
  signal: AbortSignal,
): Promise<History | undefined> {
  const past = await listPast(store, head.revision, signal);
  if (past === undefined) return undefined;
  const table = new LeaseTable();
  table.replace(past);
  const { revision, digest } = table;
  const steps: { change: TableChange; digest: Digest }[] = [];
  const end = LeaseTable.fingerprintOf(head.entries);
  if (table.fingerprint === end) return { origin: { revision, digest }, steps };
  for await (const changes of store.watch("", past.revision, signal)) {
    if (changes.revision > head.revision) break;
    const change = table.apply(changes);
    if (change !== undefined) steps.push({ change, digest: table.digest });
    if (table.fingerprint === end) break;
  }
  return { origin: { revision, digest }, steps };
}

async function listPast(
  store: Store,
  head: Revision,
  signal: AbortSignal,
): Promise<Listing | undefined> {
  for (const back of REVISIONS_BACK) {
    const revision = Math.max(head - back, 1);
    try {
      return await listWatched(store, { revision, signal });
    } catch (error) {
      if (TwillError.from(error).code !== "STORE_COMPACTED") throw error;
    }
  }
  return undefined;
}
