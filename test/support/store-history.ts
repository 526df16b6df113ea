/**
 * etcd's bookkeeping without etcd: keys put and deleted, revision by revision, as the change
 * sets and listings that pure code folds.
 */
import type { ChangeSet, Entry, Listing } from "../../controller/store/store.ts";

export interface KeyValue {
  readonly value: string;
  readonly etcdLease: string;
}

/** What the store holds, by key. */
export type Keys = ReadonlyMap<string, KeyValue>;

export class StoreHistory {
  readonly #entries = new Map<string, Entry>();
  readonly changes: ChangeSet[] = [];
  #revision: number;

  constructor(revision = 1) {
    this.#revision = revision;
  }

  get revision(): number {
    return this.#revision;
  }

  /** One transaction: everything in one revision. */
  commit(puts: Keys, deletes: readonly string[] = []): ChangeSet {
    this.#revision += 1;
    for (const key of deletes) this.#entries.delete(key);
    const entries = [...puts].map(([key, keyValue]) => this.#put(key, keyValue));
    const change = { revision: this.#revision, puts: entries, deletes };
    this.changes.push(change);
    return change;
  }

  put(key: string, value: string, etcdLease = "77"): ChangeSet {
    return this.commit(new Map([[key, { value, etcdLease }]]));
  }

  delete(key: string): ChangeSet {
    return this.commit(new Map(), [key]);
  }

  /** Something outside the prefix was written. */
  skip(): void {
    this.#revision += 1;
  }

  listing(): Listing {
    const entries = [...this.#entries.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1));
    return { revision: this.#revision, entries };
  }

  #put(key: string, { value, etcdLease }: KeyValue): Entry {
    const createRevision = this.#entries.get(key)?.createRevision ?? this.#revision;
    const entry = { key, value, createRevision, modRevision: this.#revision, etcdLease };
    this.#entries.set(key, entry);
    return entry;
  }
}
