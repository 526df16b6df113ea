/**
 * What the journal has not told: config and leases that were changed past the controllers, by
 * etcdctl, a real flannel or expiry, found by comparing what the journal says last with what
 * is there. Pure.
 */
import type { Revision } from "../../common/lease/lease.ts";
import type { Entry } from "../store/store.ts";
import type { KeyChange, KeyState, WrittenEntry } from "./journal-entry.ts";
import { isTold, stateOf } from "./told-keys.ts";

export interface MissedChange {
  readonly change: KeyChange;
  readonly revision: Revision;
}

export interface Compared {
  /** The oldest first. */
  readonly journal: readonly WrittenEntry[];
  /** Config and subnets keys at one revision, the same that the journal was listed at. */
  readonly entries: readonly Entry[];
  readonly revision: Revision;
  /** When a key was seen to go, where that is known; else the listing's revision stands for it. */
  readonly goneAt: ReadonlyMap<string, Revision>;
}

export function missedChanges({
  journal,
  entries,
  revision,
  goneAt,
}: Compared): readonly MissedChange[] {
  const last = new Map(
    journal.flatMap(({ changes }) => changes.map((each) => [each.key, each] as const)),
  );
  const oldest = journal[0]?.revision ?? revision;
  const there = new Map(entries.filter(({ key }) => isTold(key)).map((one) => [one.key, one]));
  const changed = [...there.values()].flatMap((entry): MissedChange[] => {
    const told = last.get(entry.key);
    // What is older than the journal was there before it began.
    if (told === undefined && entry.modRevision <= oldest) return [];
    const after = stateOf(entry);
    if (told !== undefined && sameState(told.after, after)) return [];
    const change = { key: entry.key, before: told?.after, after };
    return [{ change, revision: entry.modRevision }];
  });
  const gone = [...last.values()]
    .filter(({ key, after }) => after !== undefined && !there.has(key))
    .map(({ key, after }) => ({
      change: { key, before: after, after: undefined },
      revision: goneAt.get(key) ?? revision,
    }));
  return [...changed, ...gone].toSorted((a, b) => a.revision - b.revision);
}

function sameState(a: KeyState | undefined, b: KeyState): boolean {
  return a?.value === b.value && a.forever === b.forever;
}
