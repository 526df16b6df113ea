/**
 * The reference implementation of the Store port: etcd's revisions, history, compaction,
 * watches and leases, in memory and on a given clock. Unit tests of the whole controller run
 * on it; test/contract/store.test.ts holds it equal to a real etcd.
 */
import type { Clock } from "../../common/async/clock.ts";
import { TaskGroup } from "../../common/async/task-group.ts";
import { Trigger } from "../../common/async/trigger.ts";
import { TwillError } from "../../common/errors.ts";
import { type EtcdLeaseId, NO_ETCD_LEASE, type Revision } from "../../common/lease/lease.ts";
import type {
  ChangeSet,
  Compare,
  Entry,
  Listing,
  ListOptions,
  Store,
  Transaction,
  TransactionOutcome,
  Write,
} from "../../controller/store/store.ts";

/** etcd 3.4: max-txn-ops, for compares, writes and reads each. */
const MAX_TRANSACTION_OPS = 128;
/** etcd 3.4 with default timing: a shorter TTL is lengthened to this. */
const MIN_TTL_SECONDS = 2;

interface MemoryLease {
  readonly ttlSeconds: number;
  expiresMs: number;
}

interface Version {
  readonly revision: Revision;
  /** undefined: the key was deleted. */
  readonly entry: Entry | undefined;
}

export class MemoryStore implements Store {
  readonly #clock: Clock;
  readonly #tasks = new TaskGroup();
  readonly #versions = new Map<string, Version[]>();
  readonly #history: ChangeSet[] = [];
  readonly #leases = new Map<EtcdLeaseId, MemoryLease>();
  readonly #watchers = new Set<Trigger>();
  #revision: Revision = 1;
  #compacted: Revision = 0;
  #nextLease = 0x7587_0000_0000_0001n;
  #instance: string;

  constructor(clock: Clock, instance = "memory/coreos.com/network") {
    this.#clock = clock;
    this.#instance = instance;
  }

  get revision(): Revision {
    return this.#revision;
  }

  /** What an operator does with `etcdctl put`; answers the revision. */
  put(key: string, value: string, etcdLease: EtcdLeaseId = NO_ETCD_LEASE): Revision {
    return this.#commit([{ op: "put", key, value, etcdLease }]);
  }

  /** What an operator does with `etcdctl del`; answers the revision. */
  delete(key: string): Revision {
    return this.#commit([{ op: "delete", key }]);
  }

  get(key: string): Entry | undefined {
    return this.#at(key, this.#revision);
  }

  /** Forgets what was before `revision`; every watcher that still needs it is told. */
  compact(revision: Revision): void {
    this.#compacted = Math.max(this.#compacted, revision);
    for (const watcher of this.#watchers) watcher.kick();
  }

  /** How many watches are open. */
  get watching(): number {
    return this.#watchers.size;
  }

  async close(): Promise<void> {
    this.#tasks.abort(new TwillError("SHUTTING_DOWN", "the memory store was closed"));
    await this.#tasks.join();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async instance(signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    return this.#instance;
  }

  /** What rebuilding etcd does: another cluster, with another history. */
  setInstance(instance: string): void {
    this.#instance = instance;
  }

  async list(range: string, options: ListOptions): Promise<Listing> {
    options.signal.throwIfAborted();
    const revision = options.revision ?? this.#revision;
    if (revision < this.#compacted) throw this.#compactedError(revision);
    const entries = [...this.#versions.keys()]
      .filter((key) => key.startsWith(range))
      .sort()
      .flatMap((key) => this.#at(key, revision) ?? []);
    return { revision, entries };
  }

  async *watch(range: string, after: Revision, signal: AbortSignal): AsyncGenerator<ChangeSet> {
    const changed = new Trigger();
    this.#watchers.add(changed);
    try {
      for (let last = after; ; ) {
        signal.throwIfAborted();
        if (last + 1 < this.#compacted) throw this.#compactedError(last + 1);
        // The first change made revision 2, and every later one the next.
        const next = this.#history[Math.max(last, 1) - 1];
        if (next === undefined) {
          await changed.wait(signal);
          continue;
        }
        last = next.revision;
        const inRange = within(range, next);
        if (inRange !== undefined) yield inRange;
      }
    } finally {
      this.#watchers.delete(changed);
    }
  }

  async transact(transaction: Transaction, signal: AbortSignal): Promise<TransactionOutcome> {
    signal.throwIfAborted();
    checkLimits(transaction);
    if (!transaction.compares.every((compare) => this.#holds(compare))) {
      const found = transaction.onConflict.flatMap((key) => this.get(key) ?? []);
      return { kind: "conflict", revision: this.#revision, found };
    }
    return { kind: "committed", revision: this.#commit(transaction.writes) };
  }

  async grantLease(ttlSeconds: number, signal: AbortSignal): Promise<EtcdLeaseId> {
    signal.throwIfAborted();
    const id = String(this.#nextLease);
    this.#nextLease += 1n;
    const granted = Math.max(ttlSeconds, MIN_TTL_SECONDS);
    const lease: MemoryLease = { ttlSeconds: granted, expiresMs: this.#expiry(granted) };
    this.#leases.set(id, lease);
    this.#tasks.spawn(async (stop) => {
      for (;;) {
        const leftMs = lease.expiresMs - this.#clock.monotonicMs();
        if (leftMs <= 0) break;
        await this.#clock.sleep(leftMs, stop);
      }
      this.#end(id);
    });
    return id;
  }

  async revokeLease(id: EtcdLeaseId, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#end(id);
  }

  async timeToLive(id: EtcdLeaseId, signal: AbortSignal): Promise<number | undefined> {
    signal.throwIfAborted();
    const lease = this.#leases.get(id);
    if (lease === undefined) return undefined;
    return Math.floor((lease.expiresMs - this.#clock.monotonicMs()) / 1000);
  }

  async keepAlive(id: EtcdLeaseId, signal: AbortSignal): Promise<number | undefined> {
    signal.throwIfAborted();
    const lease = this.#leases.get(id);
    if (lease === undefined) return undefined;
    lease.expiresMs = this.#expiry(lease.ttlSeconds);
    return lease.ttlSeconds;
  }

  #expiry(ttlSeconds: number): number {
    return this.#clock.monotonicMs() + ttlSeconds * 1000;
  }

  /** Ends an etcd lease and deletes its keys in one revision, as expiry and revoke do. */
  #end(id: EtcdLeaseId): void {
    if (!this.#leases.delete(id)) return;
    const keys = [...this.#versions.keys()].filter((key) => this.get(key)?.etcdLease === id);
    if (keys.length > 0) this.#commit(keys.map((key) => ({ op: "delete", key }) as const));
  }

  #holds(compare: Compare): boolean {
    const entry = this.get(compare.key);
    return "createRevision" in compare
      ? (entry?.createRevision ?? 0) === compare.createRevision
      : (entry?.modRevision ?? 0) === compare.modRevision;
  }

  /** etcd's revision moves only when something changed: deleting nothing changes nothing. */
  #commit(writes: readonly Write[]): Revision {
    for (const write of writes) this.#checkLease(write);
    const effective = writes.filter((w) => w.op === "put" || this.get(w.key) !== undefined);
    if (effective.length === 0) return this.#revision;
    this.#revision += 1;
    const puts: Entry[] = [];
    const deletes: string[] = [];
    for (const write of effective) {
      const entry = write.op === "put" ? this.#entry(write) : undefined;
      const versions = this.#versions.get(write.key) ?? [];
      versions.push({ revision: this.#revision, entry });
      this.#versions.set(write.key, versions);
      if (entry === undefined) deletes.push(write.key);
      else puts.push(entry);
    }
    puts.sort((a, b) => (a.key < b.key ? -1 : 1));
    this.#history.push({ revision: this.#revision, puts, deletes: deletes.sort() });
    for (const watcher of this.#watchers) watcher.kick();
    return this.#revision;
  }

  #checkLease(write: Write): void {
    if (write.op !== "put" || write.etcdLease === NO_ETCD_LEASE) return;
    if (this.#leases.has(write.etcdLease)) return;
    throw new TwillError("LEASE_LOST", `etcd lease ${write.etcdLease} of ${write.key} is gone`);
  }

  #entry(write: Write & { op: "put" }): Entry {
    const { key, value, etcdLease } = write;
    const createRevision = this.get(key)?.createRevision ?? this.#revision;
    return { key, value, createRevision, modRevision: this.#revision, etcdLease };
  }

  #at(key: string, revision: Revision): Entry | undefined {
    return this.#versions.get(key)?.findLast((version) => version.revision <= revision)?.entry;
  }

  #compactedError(revision: Revision): TwillError {
    return new TwillError(
      "STORE_COMPACTED",
      `revision ${revision} is gone: the store was compacted at ${this.#compacted}`,
      { context: { compact_revision: this.#compacted } },
    );
  }
}

function within(range: string, change: ChangeSet): ChangeSet | undefined {
  const puts = change.puts.filter((entry) => entry.key.startsWith(range));
  const deletes = change.deletes.filter((key) => key.startsWith(range));
  if (puts.length + deletes.length === 0) return undefined;
  return { revision: change.revision, puts, deletes };
}

function checkLimits(transaction: Transaction): void {
  const { compares, writes, onConflict } = transaction;
  for (const list of [compares, writes, onConflict]) {
    if (list.length > MAX_TRANSACTION_OPS) {
      throw new TwillError("BUG", `${list.length} operations in a transaction, etcd takes 128`);
    }
  }
  if (new Set(writes.map((write) => write.key)).size < writes.length) {
    throw new TwillError("BUG", "a transaction writes one key twice");
  }
}
