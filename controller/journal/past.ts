/**
 * Config and leases as they were: what is there now, with the journal's entries undone from
 * the newest back to the revision asked for. Pure.
 */
import type { Revision } from "../../common/lease/lease.ts";
import type { Entry } from "../store/store.ts";
import type { KeyState, WrittenEntry } from "./journal-entry.ts";
import { isTold, stateOf } from "./told-keys.ts";

export interface PastKey extends KeyState {
  readonly key: string;
  /** The entry that made it what it was; undefined: older than the journal. */
  readonly changed: WrittenEntry | undefined;
}

export type Past =
  | {
      readonly kind: "past";
      /** Nothing changed from here to the revision asked for. */
      readonly revision: Revision;
      /** In key order. */
      readonly keys: readonly PastKey[];
    }
  /** The journal begins later. */
  | { readonly kind: "forgotten"; readonly since: Revision };

/** Journal, config and leases as one listing found them. */
export interface Present {
  readonly revision: Revision;
  /** The oldest first. */
  readonly journal: readonly WrittenEntry[];
  readonly entries: readonly Entry[];
}

export function pastAt({ journal, entries, ...present }: Present, revision: Revision): Past {
  // What the first entry changed is known; what was before it may have been cut off.
  const since = journal[0] === undefined ? present.revision : journal[0].revision - 1;
  if (revision < since) return { kind: "forgotten", since };
  const states = new Map(entries.filter(({ key }) => isTold(key)).map((e) => [e.key, stateOf(e)]));
  for (const { changes } of journal.filter((entry) => entry.revision > revision).toReversed()) {
    for (const { key, before } of changes) {
      if (before === undefined) states.delete(key);
      else states.set(key, before);
    }
  }
  const until = journal.filter((entry) => entry.revision <= revision);
  const changed = new Map(
    until.flatMap((entry) => entry.changes.map(({ key }) => [key, entry] as const)),
  );
  return {
    kind: "past",
    revision: until.at(-1)?.revision ?? 0,
    keys: [...states]
      .map(([key, state]) => ({ key, ...state, changed: changed.get(key) }))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1)),
  };
}

/** The last revision at or before a time; 0: before everything the journal tells. */
export function revisionAt(journal: readonly WrittenEntry[], at: string): Revision {
  return journal.filter((entry) => entry.at <= at).at(-1)?.revision ?? 0;
}
