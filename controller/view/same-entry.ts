/** What counts as the same key of etcd: byte for byte, on the same etcd lease, by the same creation. */
import type { Entry } from "../store/store.ts";

export function sameEntry(a: Entry, b: Entry): boolean {
  return a.modRevision === b.modRevision && isPutAgain(a, b);
}

/** True when nothing but the mod revision has changed. */
export function isPutAgain(before: Entry | undefined, after: Entry | undefined): boolean {
  return (
    before !== undefined &&
    after !== undefined &&
    before.createRevision === after.createRevision &&
    before.etcdLease === after.etcdLease &&
    before.value === after.value
  );
}
