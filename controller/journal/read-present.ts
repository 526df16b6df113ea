/** Reads journal, config and leases as they were at one moment. */
import type { Listing, Store } from "../store/store.ts";
import { JOURNAL } from "../view/keys.ts";
import { readJournal } from "./journal-entry.ts";
import type { Present } from "./past.ts";
import { TOLD_RANGES } from "./told-keys.ts";

export async function readPresent(
  store: Pick<Store, "list">,
  signal: AbortSignal,
): Promise<Present> {
  const journal = await store.list(JOURNAL, { signal });
  const { revision } = journal;
  const told: readonly Listing[] = await Promise.all(
    TOLD_RANGES.map((range) => store.list(range, { revision, signal })),
  );
  const entries = told.flatMap((listing) => listing.entries);
  return { revision, journal: readJournal(journal.entries), entries };
}
