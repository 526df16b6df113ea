/**
 * Finds keys where the table and a listing cannot both be right. The listing may come from
 * a member that lags, and the table may be ahead or a moment behind: only what cannot be
 * explained by time counts, and the caller looks again before it believes it.
 */
import type { Entry, Listing } from "../store/store.ts";
import { isWatchedKey } from "./keys.ts";
import type { LeaseTable } from "./lease-table.ts";

export function suspiciousKeys(table: LeaseTable, listing: Listing): readonly string[] {
  const watched = listing.entries.filter(({ key }) => isWatchedKey(key));
  const listed = new Set(watched.map(({ key }) => key));
  const wrong = watched.filter((entry) => isSuspicious(entry, table, listing));
  // A key that is not listed may have been put after the listing.
  const extra = [...table.entries()].filter(
    ({ key, modRevision }) => !listed.has(key) && modRevision <= listing.revision,
  );
  return [...wrong, ...extra].map(({ key }) => key);
}

function isSuspicious(entry: Entry, table: LeaseTable, listing: Listing): boolean {
  const known = table.entry(entry.key);
  // It may have been deleted after the listing, unless the table is no newer.
  if (known === undefined) return table.revision <= listing.revision;
  if (known.modRevision === entry.modRevision) return known.value !== entry.value;
  return known.modRevision < entry.modRevision;
}
