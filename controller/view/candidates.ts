/** Who campaigns for leadership, read from the election keys: the oldest key leads (etcd's layout). */
import type { Revision } from "../../common/lease/lease.ts";
import type { Entry } from "../store/store.ts";

export interface Candidate {
  readonly value: string;
  /** The leader's is the fencing token. */
  readonly createRevision: Revision;
}

export class Candidates {
  readonly #byKey = new Map<string, Candidate>();

  put(key: string, entry: Entry | undefined): void {
    if (entry === undefined) this.#byKey.delete(key);
    else this.#byKey.set(key, { value: entry.value, createRevision: entry.createRevision });
  }

  inOrder(): readonly Candidate[] {
    return [...this.#byKey.values()].toSorted((a, b) => a.createRevision - b.createRevision);
  }
}
