/**
 * Lists the keys that the table is made of, and not the journal beside them, which may be as
 * large as all of them together and is not needed to give out leases.
 */
import type { Listing, ListOptions, Store } from "../store/store.ts";
import { isWatchedKey, WATCHED_RANGES } from "./keys.ts";

export async function listWatched(
  store: Pick<Store, "list">,
  options: ListOptions,
): Promise<Listing> {
  const [first, ...others] = WATCHED_RANGES;
  const { revision, entries } = await store.list(first, options);
  const rest = await Promise.all(
    others.map((range) => store.list(range, { ...options, revision })),
  );
  const all = [...entries, ...rest.flatMap((listing) => listing.entries)];
  return { revision, entries: all.filter(({ key }) => isWatchedKey(key)) };
}
